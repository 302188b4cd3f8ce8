"""The command line `wangge`: the outer door of operators."""

from __future__ import annotations

import sys

import typer

from api.commands import database
from api.commands.terminal import fail
from geo.errors import WanggeError

app = typer.Typer(
    name="wangge",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The exact, dated net of grids of a city: drawn, served and read on one map.",
)
app.add_typer(database.app, name="db")


def main() -> None:
    """Run the command line; an expected error is one line and an exit code, never a trace."""
    try:
        app()
    except WanggeError as error:
        try:
            fail(error.message, command=error.data.get("command"))
        except typer.Exit as leave:
            sys.exit(leave.exit_code)
