"""Dual-write: table maps between data entities and Dataverse tables, and what keeps both sides in step."""
