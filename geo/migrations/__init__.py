"""Alembic migrations of the schema; each stands alone."""
