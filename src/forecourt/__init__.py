"""Forecourt: external people work with their part of the company's ERP data, and with nothing else."""

__version__ = "0.1.0"
