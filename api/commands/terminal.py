"""What commands say and how: one answer for people or as JSON, progress, and errors in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for programs.")]

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)

Step = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


def answer(as_json: bool, data: Mapping[str, Any], lines: str) -> None:
    """Print the answer of a command: `data` as JSON on request, else `lines`."""
    if as_json:
        print(json.dumps(data, ensure_ascii=False, default=str))
    else:
        out.print(lines, markup=False)


def say(line: str) -> None:
    """Say what is going on, on standard error."""
    err.print(line, markup=False)


def report_failure(code: str, message: str, data: Mapping[str, Any], *, as_json: bool) -> int:
    """Print one clear error and what to do; return the exit code."""
    if as_json:
        print(
            json.dumps(
                {"error": {"code": code, "message": message, **data}},
                ensure_ascii=False,
                default=str,
            )
        )
        return 1
    err.print("[bold red]✗[/] ", end="")
    err.print(message, markup=False)
    if data.get("command"):
        err.print("  Type this, then try again:", markup=False)
        err.print(f"    {data['command']}", markup=False, style="bold")
    return 1


@contextmanager
def progress() -> Iterator[Step]:
    """Show a bar for each step that the called code reports; lines where no terminal is."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=err,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def step(what: str, share: float) -> None:
            if what not in tasks:
                for done in tasks.values():
                    bars.update(done, completed=1.0)
                tasks[what] = bars.add_task(what, total=1.0)
            bars.update(tasks[what], completed=share)

        yield step
        for done in tasks.values():
            bars.update(done, completed=1.0)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something is going on whose length is not known."""
    if not sys.stderr.isatty():
        say(f"{what} ...")
        yield
        return
    with err.status(what):
        yield


class _Lines:
    """Progress without a terminal: one line when a step begins."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, what: str, share: float) -> None:
        if what not in self._said:
            self._said.add(what)
            say(f"{what} ...")
