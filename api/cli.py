"""The command line `wangge`: the outer door of operators."""

from __future__ import annotations

import os
import sys
import traceback
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from api.commands.terminal import report_failure, report_misuse
from geo.errors import WanggeError
from geo.settings import Settings

COMMANDS = {
    "run": "api.commands.serve:run",
    "serve": "api.commands.serve:serve",
    "worker": "api.commands.worker:worker",
    "demo": "api.commands.demo:demo",
    "city": "api.commands.city:app",
    "account": "api.commands.account:app",
    "import": "api.commands.importing:app",
    "plan": "api.commands.plan:app",
    "issue": "api.commands.issue:app",
    "rules": "api.commands.rules:app",
    "device": "api.commands.device:app",
    "check": "api.commands.files:check",
    "repair": "api.commands.repairing:repair",
    "compare": "api.commands.comparing:compare",
    "cells": "api.commands.cells:cells",
    "divide": "api.commands.divide:divide",
    "assign": "api.commands.assigning:assign",
    "merge-nets": "api.commands.merging:merge",
    "db": "api.commands.database:app",
    "backup": "api.commands.keeping:backup",
    "restore": "api.commands.keeping:restore",
    "upgrade": "api.commands.keeping:upgrade",
    "doctor": "api.commands.keeping:doctor",
}
"""Each command, and where it lies: a module and a function or a group."""


class Commands(TyperGroup):
    """Commands whose modules are loaded when they are asked for, since some are heavy."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a command; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(name=cmd_name)(found)
        return typer.main.get_command(alone)


app = typer.Typer(
    name="wangge",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The exact, dated net of grids of a city: drawn, served and read on one map.",
)


@app.callback()
def wangge() -> None:
    """Draw, serve and read the exact, dated net of grids of a city on one map."""


def main() -> None:
    """Run the command line; whatever goes wrong is one line and an exit code, never a trace."""
    as_json = "--json" in sys.argv
    try:
        if not as_json:
            app()
        sys.exit(app(standalone_mode=False) or 0)
    except TyperException as error:
        sys.exit(report_misuse(error))
    except WanggeError as error:
        sys.exit(report_failure(error.code, error.message, error.data, as_json=as_json))
    except typer.Abort:
        sys.exit(
            report_failure("aborted", "Nothing was done: nobody said yes.", {}, as_json=as_json)
        )
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        code, message = _explained(error)
        sys.exit(report_failure(code, message, {}, as_json=as_json))


def _explained(error: Exception) -> tuple[str, str]:
    from sqlalchemy.exc import OperationalError  # heavy, and seldom needed

    if isinstance(error, OperationalError):
        return "database_away", f"The database cannot be reached: {str(error.orig).strip()}"
    return "unexpected", _noted(error)


def _noted(error: Exception) -> str:
    """Write an unexpected error to a file that nobody else can read; return what to say about it.

    A trace may quote rows. The folder is one of its own: the database's account enters `.wangge`.
    """
    kind = type(error).__name__
    try:
        log = Settings().project_dir / ".wangge" / "log" / "errors.log"
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.parent.chmod(0o700)
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)  # whatever the mode of an older file
            file.write(f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv)}\n")
            file.write("".join(traceback.format_exception(error)) + "\n")
    except OSError:
        return f"Something unexpected went wrong: {kind}: {error}"
    return f"Something unexpected went wrong ({kind}). The details are at the end of {log}"
