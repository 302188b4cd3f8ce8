"""What benchmarks leave: rows as JSON, a table on the terminal, a table in the documentation."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.harness import Row

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"

BEGIN = "<!-- results: written by python -m benchmarks -->"
END = "<!-- end of results -->"
PACKAGES = ("geopandas", "shapely", "folium", "libpysal", "topojson", "playwright", "psycopg")
DIGITS = 4
RATIO_DIGITS = 3

_UNITS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((1e6, "MB"), (1e3, "kB"), (1.0, "B")),
}


def machine() -> dict[str, Any]:
    """Return what the figures depend on: cores and versions, no name or path of this machine."""
    cores = len(os.sched_getaffinity(0))
    packages = {name: version(name) for name in PACKAGES}
    return {"cores": cores, "python": platform.python_version(), "versions": packages}


def document(
    rows: Iterable[Row], on: Mapping[str, Any], earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the document of the results.

    Parameters
    ----------
    rows : iterable of Row
        Just measured.
    on : mapping
        The machine, from `machine`.
    earlier : mapping, optional
        The document before. Its rows of other benchmarks stay if they come from an equal machine.

    Returns
    -------
    dict
        ``machine`` and ``rows``, sorted by name.
    """
    new = [_rounded(row) for row in rows]
    measured = {benchmark(row["name"]) for row in new}
    kept: list[dict[str, Any]] = []
    if earlier and earlier.get("machine") == dict(on):
        kept = [row for row in earlier["rows"] if benchmark(row["name"]) not in measured]
    return {"machine": dict(on), "rows": sorted(kept + new, key=lambda row: str(row["name"]))}


def benchmark(name: str) -> str:
    """Return the benchmark that a row belongs to."""
    return name.partition(".")[0]


def read(path: Path) -> dict[str, Any] | None:
    """Return the document of a file; None when there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "rows" in found else None


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write the document, one row a line."""
    rows = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in results["rows"])
    head = json.dumps(results["machine"], ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f'{{\n  "machine": {head},\n  "rows": [\n{rows}\n  ]\n}}\n'
    path.write_text(text, encoding="utf-8")


def table(rows: Sequence[Row]) -> Table:
    """Return the rows for a terminal."""
    made = Table(title="ratio = best peer / ours: more is better", title_justify="left")
    for heading in ("benchmark", "ours", "peers", "ratio", "goal", ""):
        right = heading in ("ours", "ratio", "goal")
        made.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=heading not in ("benchmark", "peers"),
            overflow="fold",
            min_width=24 if heading == "peers" else None,
        )
    for row in rows:
        peers = "\n".join(f"{name} {shown(value, row.unit)}" for name, value in row.peers.items())
        colour = "green" if row.met else "red"
        made.add_row(
            row.name,
            shown(row.ours, row.unit),
            peers,
            f"[{colour}]{row.ratio:.3g}[/]",
            f"{row.goal:.3g}",
            f"[{colour}]{verdict(row)}[/]",
        )
    return made


def markdown(results: Mapping[str, Any]) -> str:
    """Return the results as a table for the documentation, with the machine below it."""
    lines = [
        "| benchmark | ours | peers | ratio | goal | |",
        "|---|---:|---|---:|---:|---|",
    ]
    for entry in results["rows"]:
        row = Row(**entry)
        peers = "; ".join(f"{name} {shown(value, row.unit)}" for name, value in row.peers.items())
        lines.append(
            f"| `{row.name}` | {shown(row.ours, row.unit)} | {peers} "
            f"| {row.ratio:.3g} | {row.goal:.3g} | {verdict(row)} |"
        )
    notes = {f"`{row['name'].rpartition('.')[0]}`: {row['note']}" for row in results["rows"]}
    lines += ["", *(f"- {note}" for note in sorted(notes) if not note.endswith(": "))]
    on = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in on["versions"].items())
    return "\n".join(
        [*lines, "", f"Taken on {on['cores']} cores, Python {on['python']}, {versions}."]
    )


def write_page(path: Path, results: Mapping[str, Any]) -> None:
    """Put the table between the two marks of a page."""
    page = path.read_text(encoding="utf-8")
    between = re.compile(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", re.DOTALL)
    path.write_text(
        between.sub(lambda _: f"\n\n{markdown(results)}\n\n", page, count=1), encoding="utf-8"
    )


def verdict(row: Row) -> str:
    """Say in a word whether the goal is reached."""
    return "reached" if row.met else "missed"


def shown(value: float, unit: str) -> str:
    """Return a value with a unit that suits its size.

    Examples
    --------
    >>> shown(0.0123, "s"), shown(234_000, "B"), shown(12, "steps")
    ('12.3 ms', '234 kB', '12 steps')
    """
    for size, name in _UNITS.get(unit, ()):
        if value >= size:
            return f"{_plain(value / size)} {name}"
    smallest = _UNITS[unit][-1] if unit in _UNITS else (1.0, unit)
    return f"{_plain(value / smallest[0])} {smallest[1]}"


def _plain(value: float) -> str:
    """Return three digits that count, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rounded(row: Row) -> dict[str, Any]:
    entry = asdict(row)
    entry["ours"] = _significant(row.ours, DIGITS)
    entry["peers"] = {name: _significant(value, DIGITS) for name, value in row.peers.items()}
    entry["ratio"] = _significant(row.ratio, RATIO_DIGITS)
    return entry


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
