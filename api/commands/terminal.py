"""What commands say and how: one answer for people or as JSON, progress, and errors in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for programs.")]

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)

Step = Callable[[str, float, float], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def answer(as_json: bool, data: Mapping[str, Any], lines: str) -> None:
    """Print the answer of a command: `data` as JSON on request, else `lines`."""
    if as_json:
        print(json.dumps(data, ensure_ascii=False, default=str))
    else:
        out.print(lines, markup=False)


def say(line: str) -> None:
    """Say what is going on, on standard error."""
    err.print(line, markup=False)


def fail(message: str, *, command: str | None = None, code: int = 1) -> NoReturn:
    """Print one clear error and what to do, and leave with `code`."""
    err.print("[bold red]✗[/] ", end="")
    err.print(message, markup=False)
    if command:
        err.print("  Type this, then try again:", markup=False)
        err.print(f"    {command}", markup=False, style="bold")
    raise typer.Exit(code)


@contextmanager
def progress() -> Iterator[Step]:
    """Show one bar for each step that the called code reports; lines where no terminal is."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
    ) as bars:
        tasks: dict[str, Any] = {}

        def step(what: str, done: float, total: float) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total or None)
            bars.update(tasks[what], completed=int(done), total=int(total) or None)

        yield step


class _Lines:
    """Progress without a terminal: one line when a step begins."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, what: str, done: float, total: float) -> None:
        if what not in self._said:
            self._said.add(what)
            say(f"{what} ...")
