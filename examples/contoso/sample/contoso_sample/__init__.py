"""The rows of the sample company: its world, its cast, their orders. The interface is `generate.py`, one folder up."""
