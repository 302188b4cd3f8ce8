"""`python -m proofs [NAME ...]`: run long proofs, print what they claim, fail when one does not."""

from __future__ import annotations

import pkgutil
import time
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import proofs
from proofs.claims import Claim, Say

Prove: TypeAlias = Callable[[float, Say], list[Claim]]


def discover() -> dict[str, Prove]:
    """Return the proofs by name: every module here that has a function `prove`.

    It takes the effort, 1.0 for all that is promised, and where to say what runs now.
    """
    found: dict[str, Prove] = {}
    for module in sorted(pkgutil.iter_modules(proofs.__path__), key=lambda one: one.name):
        if module.name != "__main__":
            prove = getattr(import_module(f"proofs.{module.name}"), "prove", None)
            if callable(prove):
                found[module.name] = prove
    return found


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Proofs to run; all when none is named.")
    ] = None,
    effort: Annotated[float, typer.Option(min=0.0001, help="Share of the full length.")] = 1.0,
) -> None:
    """Run proofs; the exit code is 1 when a claim does not hold."""
    console = Console(soft_wrap=True)
    known = discover()
    chosen = list(dict.fromkeys(names or known))
    unknown = [name for name in chosen if name not in known]
    if unknown:
        console.print(f"There is no proof {', '.join(unknown)}; there are {', '.join(known)}.")
        raise typer.Exit(2)
    failed = 0
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    for name in chosen:
        began_s = time.monotonic()
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(name)

            def say(words: str, bar: Progress = bar, named: str = name) -> None:
                bar.update(task, description=f"{named}: {words}")  # noqa: B023 - one bar at a time

            claims = known[name](effort, say)
        console.print(f"[bold]{name}[/] ({time.monotonic() - began_s:.0f} s)")
        for claim in claims:
            mark = "[green]✓[/]" if claim.held else "[red]✗[/]"
            console.print(f"  {mark} {escape(claim.promise)}: {escape(claim.figure)}")
            failed += not claim.held
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
