"""`wangge db`: the private database of this folder."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Literal

import typer

from api.commands.address import addresses
from api.commands.terminal import Json, answer, say
from geo.cluster import DATABASE, Cluster
from geo.errors import SetupError
from geo.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The private database of this folder.")


class Login(StrEnum):
    """The logins of the database."""

    OWNER = "owner"
    APP = "app"
    ADMIN = "admin"


def private_cluster(settings: Settings) -> Cluster:
    """Return this folder's cluster; an error when `DATABASE_URL` names another database.

    Raises
    ------
    SetupError
        If `DATABASE_URL` is set.
    """
    if settings.database_url:
        raise SetupError(
            "DATABASE_URL is set, so this folder's private database is not used. "
            "Unset it to use the private one."
        )
    return Cluster(settings.project_dir)


@app.command()
def up(as_json: Json = False) -> None:
    """Start the private database, leave it running, and bring its schema up to date."""
    from api.commands.opening import bring_up_to_date, open_engine  # heavy, for this one alone

    cluster = private_cluster(Settings())
    cluster.keep(True)
    started = cluster.start(say)
    url = cluster.url("owner")
    with open_engine(url) as engine:
        bring_up_to_date(engine)
    line = "The database runs." if started else "The database was running already."
    answer(as_json, {"running": True, "started": started, "url": url}, f"{line}\n{url}")


@app.command()
def down(as_json: Json = False) -> None:
    """Stop the private database."""
    cluster = private_cluster(Settings())
    cluster.keep(False)
    stopped = cluster.stop()
    line = "The database was stopped." if stopped else "The database was not running."
    answer(as_json, {"running": False, "stopped": stopped}, line)


@app.command()
def status(as_json: Json = False) -> None:
    """Say whether the private database runs, and where it lies; exit code 1 when it does not."""
    found = private_cluster(Settings()).status()
    state = f"runs (process {found.pid})" if found.running else "does not run"
    version = f"PostgreSQL {found.version}" if found.version else "not made yet"
    answer(as_json, asdict(found), f"The database {state}; {version}; data in {found.data_dir}")
    if not found.running:
        raise typer.Exit(1)


@app.command()
def url(
    login: Annotated[Login, typer.Option(help="Whose login.")] = Login.OWNER,
    database: Annotated[str, typer.Option(help="Name of the database.")] = DATABASE,
    libpq: Annotated[bool, typer.Option(help="In the form that psql takes.")] = False,
    as_json: Json = False,
) -> None:
    """Print the address of the database."""
    settings = Settings()
    if settings.database_url:
        both = addresses(settings)
        found = both.app if login is Login.APP else both.owner
    else:
        role: Literal["owner", "app", "admin"] = login.value
        found = Cluster(settings.project_dir).url(role, database)
    if libpq:
        found = found.replace("postgresql+psycopg://", "postgresql://", 1)
    answer(as_json, {"url": found}, found)
