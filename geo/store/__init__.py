"""Queries by subject: what is read from and written to the database, without decisions."""
