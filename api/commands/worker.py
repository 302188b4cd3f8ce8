"""`wangge worker`: does the long work that pages ask for."""

from __future__ import annotations

from typing import Annotated

import typer

from api.commands.opening import reach_database
from api.commands.terminal import say
from geo.settings import Settings


def worker(
    parent: Annotated[int | None, typer.Option(hidden=True, help="End with this process.")] = None,
) -> None:
    """Do the imports that pages ask for, one after the other, until Ctrl-C.

    `wangge run` and `wangge serve` start one of their own; more may run beside them, on
    this machine or on others that share the folder of delivered files.
    """
    from api import worker as working  # heavy, for this command alone

    settings = Settings()
    with reach_database(settings, say) as opened:
        if parent is None:
            say("The worker waits for jobs. Ctrl-C ends it.")
        working.run(opened.engine, settings, parent=parent)
