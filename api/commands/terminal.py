"""What commands say and how: one answer for people or as JSON, progress, and errors in one line."""

from __future__ import annotations

import json
import sys
import time
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

USAGE = 2
"""Exit code of a command that was called wrongly."""
WORTH_SHOWING_S = 1.0
"""A step that took less leaves no bar behind."""

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


def report_misuse(error: Exception) -> int:
    """Print as JSON how a command was called wrongly; return the exit code of wrong usage."""
    said = getattr(error, "format_message", lambda: str(error))()
    report_failure("usage", said, {}, as_json=True)
    return int(getattr(error, "exit_code", USAGE))


@contextmanager
def progress() -> Iterator[Step]:
    """Show a bar for each step that the called code reports; lines where no terminal is."""
    if not sys.stderr.isatty():
        lines = _Lines()
        yield lines
        lines.finish()
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

        def finish() -> None:
            for task in bars.tasks:
                bars.update(task.id, completed=1.0)
                if (task.elapsed or 0.0) < WORTH_SHOWING_S:
                    bars.remove_task(task.id)

        def step(what: str, share: float) -> None:
            if what not in tasks:
                finish()
                tasks[what] = bars.add_task(what, total=1.0)
            if tasks[what] in bars.task_ids:
                bars.update(tasks[what], completed=share)

        yield step
        finish()


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
    """Progress without a terminal: a line for each step that took its time, when it is over."""

    def __init__(self) -> None:
        self._step: str | None = None
        self._began_s = 0.0

    def __call__(self, what: str, share: float) -> None:
        if what != self._step:
            self.finish()
            self._step = what
            self._began_s = time.monotonic()

    def finish(self) -> None:
        """End the last step."""
        took_s = time.monotonic() - self._began_s
        if self._step is not None and took_s >= WORTH_SHOWING_S:
            say(f"{self._step}: {took_s:.1f} s")
        self._step = None
