"""`wangge plan`: drafts of the next net, opened, redrawn, undone and checked by an account."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands import plan_proposals, plan_publish, plan_together
from api.commands.acting import As, Number, at_work
from api.commands.terminal import Json, answer, waiting
from geo import service
from geo.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="Plans: drafts of the next net of a city.")

app.add_typer(plan_proposals.app)
app.add_typer(plan_publish.app)
app.add_typer(plan_together.app)


@app.command()
def new(
    login: As,
    name: Annotated[str, typer.Option(help="Name of the plan.")],
    copy_of: Annotated[int | None, typer.Option(help="Number of a plan to begin with.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Begin with all in the reserve.")] = False,
    as_json: Json = False,
) -> None:
    """Open a plan of the net of today, of another plan, or empty."""
    with at_work(login) as (session, viewer):
        at = service.Asked(viewer.city_id or 0, None, None).moment(session)
        made = service.drafts.open_plan(session, viewer, at, name, copy_of=copy_of, empty=empty)
    answer(as_json, {"plan": made}, f"Plan {made} was opened.")


@app.command("list")
def list_plans(login: As, as_json: Json = False) -> None:
    """List the plans that the account is a member of."""
    with at_work(login) as (session, viewer):
        page = service.list_plans(session, viewer, viewer.city_id or 0, service.Turn(1000, None))
    found = [dict(one) for one in page.items]
    lines = [f"{one['plan']:>6}  {one['state']:<10} {one['name']}" for one in found]
    answer(as_json, {"plans": found}, "\n".join(lines) or "There is no plan yet.")


@app.command()
def show(plan: Number, login: As, as_json: Json = False) -> None:
    """Show a plan and its grids with their versions."""
    with at_work(login) as (session, viewer):
        card = service.drafts.show(session, viewer, plan)
        grids = service.drafts.grids(session, viewer, plan)
    head = f"{card['name']} ({card['state']}), edit {card['last_edit']}, base {card['base_seq']}"
    answer(as_json, {**card, "items": grids}, "\n".join([head, *map(_line, grids)]))


def _line(grid: dict[str, Any]) -> str:
    marks = [word for word in ("ended", "redrawn") if grid[word]]
    told = f"{'  ' * grid['level']}{grid['grid']:>8} v{grid['version']} {grid['name']}"
    return f"{told}, {grid['households']:g} households{''.join(f', {one}' for one in marks)}"


@app.command()
def edit(
    plan: Number,
    op: Annotated[str, typer.Argument(help="move, merge, split, draw, rename ...")],
    login: As,
    args: Annotated[
        str, typer.Option(help="What the edit names, as JSON; - reads it from standard input.")
    ],
    versions: Annotated[
        str | None,
        typer.Option(help='Versions as JSON, {"211": 0}; default: those of now.'),
    ] = None,
    as_json: Json = False,
) -> None:
    """Redraw a plan by one edit."""
    told = _json(sys.stdin.read() if args == "-" else args, "args")
    with at_work(login) as (session, viewer):
        if versions is None:
            listed = service.drafts.grids(session, viewer, plan)
            known = {one["grid"]: one["version"] for one in listed}
        else:
            known = _versions(_json(versions, "versions"))
        done = service.drafts.redraw(session, viewer, plan, op, told, known)
    _answer(as_json, done)


@app.command()
def undo(plan: Number, login: As, as_json: Json = False) -> None:
    """Take the account's own last edit back."""
    with at_work(login) as (session, viewer):
        done = service.drafts.undo(session, viewer, plan)
    _answer(as_json, done)


@app.command()
def check(plan: Number, login: As, as_json: Json = False) -> None:
    """Recompute a plan from its cells; the exit code is 1 when something is wrong."""
    with at_work(login) as (session, viewer), waiting("Recompute the plan"):
        report = service.drafts.check(session, viewer, plan)
    lines = [f"{report['grids']} grids, {report['cells']} cells"]
    lines += [f"✗ {fault}" for fault in report["faults"]]
    lines += [f"grid {one['grid']} lies in {one['parts']} parts" for one in report["exceptions"]]
    answer(as_json, report, "\n".join(lines))
    if not report["ok"]:
        raise typer.Exit(1)


@app.command("compare")
def compare_sides(
    old: Annotated[str, typer.Argument(help="net:3, plan:7, or a date for the net of it.")],
    new: Annotated[str, typer.Argument(help="The same for the other side.")],
    login: As,
    level: Annotated[int | None, typer.Option(min=1, help="Default: the leaf grids.")] = None,
    vintage: Annotated[str | None, typer.Option(help="Households of both sides.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the crosswalk here: .csv.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Compare two nets or plans: what moves, a crosswalk, balance, posts, issues, stations."""
    from api.commands import comparing  # frames are loaded by those who compare

    comparing.refuse_target([], out, overwrite)
    with at_work(login) as (session, viewer), waiting("Compare them"):
        at, found = service.comparing.compare(
            session, viewer, old, new, level=level, vintage=vintage
        )
    if out is not None:
        comparing.write_rows(found["crosswalk"], out)
    answer(as_json, comparing.dated(at, found), comparing.told_of_sides(found))


@app.command()
def dossier(
    plan: Number,
    login: As,
    out: Annotated[Path, typer.Option(help="A folder, or a file that ends in .zip.")],
    lang: Annotated[str, typer.Option(help="zh or en: language of the pages.")] = "zh",
    vintage: Annotated[str | None, typer.Option(help="Households of this one.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write the dossier of a plan: manifest, page, print, maps and tables; the same bytes again."""
    from api.commands import comparing  # frames are loaded by those who compare

    comparing.refuse_place(out, overwrite)
    tongue = comparing.language(lang)
    with at_work(login) as (session, viewer), waiting("Gather the dossier"):
        files = service.comparing.dossier(session, viewer, plan, lang=tongue, vintage=vintage)
    told = comparing.write_dossier(files, out)
    lines = [f"{one['name']}: {one['bytes']:,} bytes, SHA-256 {one['sha256']}" for one in told]
    answer(as_json, {"out": str(out), "parts": told}, "\n".join([*lines, f"Written to {out}"]))


def _answer(as_json: bool, done: service.drafts.Applied) -> None:
    data = {
        "n": done.n, "touched": done.touched, "new": done.new, "cells": done.cells,
        "warnings": done.warnings,
    }  # fmt: skip
    lines = [f"Edit {done.n}: {done.cells} cells, grids {' '.join(map(str, done.touched))}"]
    lines += [f"new: {' '.join(map(str, done.new))}"] if done.new else []
    lines += [f"! {one['message']}" for one in done.warnings]
    answer(as_json, data, "\n".join(lines))


def _json(text: str, field: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise InvalidInputError(f"--{field} is an object in JSON.", field=field)
    return told


def _versions(told: dict[str, Any]) -> dict[int, int]:
    if any(not grid.isdecimal() or not isinstance(number, int) for grid, number in told.items()):
        raise InvalidInputError("--versions says a number for each grid.", field="versions")
    return {int(grid): number for grid, number in told.items()}
