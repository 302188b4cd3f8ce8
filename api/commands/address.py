"""Where the database in use is: the private one of this folder, or that of `DATABASE_URL`."""

from __future__ import annotations

from dataclasses import dataclass

from geo.cluster import Cluster
from geo.settings import Settings


@dataclass(frozen=True)
class Addresses:
    """Where the database is: for migrations and loading, and for the application."""

    owner: str
    app: str


def addresses(settings: Settings) -> Addresses:
    """Return the addresses of the database in use."""
    if settings.database_url:
        app_url = _with_driver(settings.database_url)
        return Addresses(_with_driver(settings.database_owner_url or app_url), app_url)
    cluster = Cluster(settings.project_dir)
    return Addresses(cluster.url("owner"), cluster.url("app"))


def _with_driver(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    if scheme in ("postgres", "postgresql"):
        return f"postgresql+psycopg{mark}{rest}"
    return url
