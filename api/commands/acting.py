"""In whose name commands work on plans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from api.commands.opening import open_database
from api.commands.terminal import say
from geo import service
from geo.db import Viewer, owner_transaction
from geo.settings import Settings

As = Annotated[str, typer.Option("--as", help="Login of the account that does it.")]
Number = Annotated[int, typer.Argument(help="Number of the plan.", min=1)]


@contextmanager
def at_work(login: str) -> Iterator[tuple[Session, Viewer]]:
    """Yield a transaction and the account in whose name it runs."""
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        yield session, service.drafts.acting(session, login)
