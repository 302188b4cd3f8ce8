"""`python -m benchmarks [NAME ...]`: run benchmarks, print a table, write results.json."""

from __future__ import annotations

import pkgutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import benchmarks
from benchmarks import harness, results
from benchmarks.harness import CannotRunError, Case, DisagreementError, Row

PLAIN_WIDTH = 120
"""Columns of the table where it goes into a file."""
Cases: TypeAlias = Callable[[], Iterator[Case]]


def discover() -> dict[str, Cases]:
    """Return the benchmarks by name: every module here that has a function `cases`."""
    found: dict[str, Cases] = {}
    for module in sorted(pkgutil.iter_modules(benchmarks.__path__), key=lambda one: one.name):
        if module.name != "__main__":
            cases = getattr(import_module(f"benchmarks.{module.name}"), "cases", None)
            if callable(cases):
                found[module.name] = cases
    return found


def run_benchmark(
    name: str, cases: Cases, rounds: int, progress: Callable[[str], None]
) -> list[Row]:
    """Run all cases of a benchmark; a row's name begins with the benchmark's."""
    rows: list[Row] = []
    progress(f"{name}: preparing")
    with closing(cases()) as made:  # type: ignore[type-var]
        for case in made:
            rows += harness.run(case, rounds, lambda step: progress(f"{name}.{step}"))
            progress(f"{name}: preparing")
    return [_under(name, row) for row in rows]


def _under(name: str, row: Row) -> Row:
    return Row(**{**row.__dict__, "name": f"{name}.{row.name}"})


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Benchmarks to run; all when none is named.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Measured rounds.")] = harness.LEAST_ROUNDS,
    out: Annotated[Path, typer.Option(help="Where the rows go.")] = results.RESULTS,
) -> None:
    """Run benchmarks beside their peers, in turns; answers must agree before a figure is taken."""
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    known = discover()
    chosen = list(dict.fromkeys(names or known))
    unknown = [name for name in chosen if name not in known]
    if unknown:
        console.print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(known)}.")
        raise typer.Exit(2)
    rows, failures = _run_all(console, {name: known[name] for name in chosen}, rounds)
    if rows:
        console.print(results.table(rows))
        if rounds >= harness.LEAST_ROUNDS:
            _keep(rows, out)
        else:
            console.print(f"Not written: {harness.LEAST_ROUNDS} rounds are the least that counts.")
    for failure in failures:
        console.print(f"[red]{escape(failure)}[/]")
    raise typer.Exit(1 if failures else 0)


def _run_all(
    console: Console, chosen: dict[str, Cases], rounds: int
) -> tuple[list[Row], Sequence[str]]:
    rows: list[Row] = []
    failures: list[str] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("")

        def say(step: str) -> None:
            bar.update(task, description=step, refresh=console.is_terminal)

        for name, cases in chosen.items():
            if not console.is_terminal:
                console.print(f"{name}: {rounds} rounds after a warm-up")
            try:
                rows += run_benchmark(name, cases, rounds, say)
            except CannotRunError as error:
                failures.append(f"{name} cannot run: {error}")
            except DisagreementError as error:
                failures.append(f"{name}: no figures, the answers differ. {error}")
            except Exception:  # one broken benchmark does not hide the others
                failures.append(f"{name} broke:\n{traceback.format_exc()}")
    return rows, failures


def _keep(rows: Sequence[Row], out: Path) -> None:
    made = results.document(rows, results.machine(), results.read(out))
    results.write(out, made)
    if out.resolve() == results.RESULTS:
        results.write_page(results.PAGE, made)


if __name__ == "__main__":
    typer.run(main)
