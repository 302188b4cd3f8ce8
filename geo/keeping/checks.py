"""What a check is: the line of the doctor's table, and what all checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Engine

from geo.settings import Settings


class State(StrEnum):
    """How a check ended."""

    GOOD = "good"
    WATCH = "watch"
    BAD = "bad"


@dataclass(frozen=True)
class Check:
    """One line of the table: what was looked at, how it is, what was found, what to do."""

    name: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Installation:
    """What is looked at.

    Attributes
    ----------
    engine : Engine
        Of the owner.
    app_url : str
        Login of the application, SQLAlchemy form.
    pool_size : int
        Connections that the application keeps open.
    backups : Path
        Folder of the backups.
    data_dir : Path or None
        Folder of the private database; None when another server has it.
    assets : Path
        Folder of the copied browser libraries.
    tls : Path
        Folder of the certificate that the program made itself.
    hosts : tuple of str
        Names under which the server is asked.
    behind_proxy : bool
        Whether a proxy ends TLS.
    address : str, optional
        Address at which people reach the server, to be tried.
    settings : Settings, optional
        Those that name the ways of messages; read from the environment without.
    """

    engine: Engine
    app_url: str
    pool_size: int
    backups: Path
    data_dir: Path | None
    assets: Path
    tls: Path
    hosts: tuple[str, ...] = ()
    behind_proxy: bool = False
    address: str | None = None
    settings: Settings | None = None
