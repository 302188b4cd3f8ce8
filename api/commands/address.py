"""Where the database in use is: the private one of this folder, or that of `DATABASE_URL`."""

from __future__ import annotations

from dataclasses import dataclass

from geo.cluster import Cluster
from geo.errors import SetupError
from geo.settings import Settings

NEEDED = "a PostgreSQL with PostGIS is needed: postgresql://user:password@host:5432/database"


@dataclass(frozen=True)
class Addresses:
    """Where the database is: for migrations and loading, and for the application."""

    owner: str
    app: str


def addresses(settings: Settings) -> Addresses:
    """Return the addresses of the database in use.

    Raises
    ------
    SetupError
        If `DATABASE_URL` or `DATABASE_OWNER_URL` is no address of a PostgreSQL.
    """
    if settings.database_url:
        app_url = _with_driver(settings.database_url, "DATABASE_URL")
        owner_url = _with_driver(settings.database_owner_url or app_url, "DATABASE_OWNER_URL")
        return Addresses(owner_url, app_url)
    cluster = Cluster(settings.project_dir)
    return Addresses(cluster.url("owner"), cluster.url("app"))


def _with_driver(url: str, name: str) -> str:
    """Return an address with the driver in use; `name` is where it was set."""
    from sqlalchemy import make_url  # heavy, for addresses of one's own alone
    from sqlalchemy.exc import ArgumentError

    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        begins = f"{scheme}://" if mark else "no scheme"
        raise SetupError(f"{name} begins with {begins}, but {NEEDED}")
    try:
        make_url(found := f"postgresql+psycopg{mark}{rest}")
    except (ArgumentError, ValueError):
        raise SetupError(f"{name} cannot be read as an address; {NEEDED}") from None
    return found
