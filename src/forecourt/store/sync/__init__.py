"""The database's half of copies kept in step: captured changes, and the two ends of a table map as SQL over sets."""
