"""The command line `wangge`: the outer door of operators."""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime

import typer
from sqlalchemy.exc import OperationalError

from api.commands import city, database, demo, importing, keeping, serve
from api.commands.terminal import report_failure
from geo.errors import WanggeError
from geo.settings import Settings

app = typer.Typer(
    name="wangge",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The exact, dated net of grids of a city: drawn, served and read on one map.",
)
app.add_typer(database.app, name="db")
app.add_typer(city.app, name="city")
app.add_typer(importing.app, name="import")
app.command()(city.check)
app.command()(demo.demo)
app.command()(serve.run)
app.command()(serve.serve)
for command in (keeping.backup, keeping.restore, keeping.upgrade, keeping.doctor):
    app.command()(command)


def main() -> None:
    """Run the command line; whatever goes wrong is one line and an exit code, never a trace."""
    as_json = "--json" in sys.argv
    try:
        app()
    except WanggeError as error:
        sys.exit(report_failure(error.code, error.message, error.data, as_json=as_json))
    except KeyboardInterrupt:
        sys.exit(130)
    except OperationalError as error:
        message = f"The database cannot be reached: {str(error.orig).strip()}"
        sys.exit(report_failure("database_away", message, {}, as_json=as_json))
    except Exception as error:
        sys.exit(report_failure("unexpected", _noted(error), {}, as_json=as_json))


def _noted(error: Exception) -> str:
    """Write an unexpected error to a file, and return what to say about it."""
    kind = type(error).__name__
    try:
        log = Settings().project_dir / ".wangge" / "errors.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv)}\n")
            file.write("".join(traceback.format_exception(error)) + "\n")
    except OSError:
        return f"Something unexpected went wrong: {kind}: {error}"
    return f"Something unexpected went wrong ({kind}). The details are at the end of {log}"
