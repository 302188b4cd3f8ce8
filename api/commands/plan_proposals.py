"""`wangge plan`, the part of proposals: asked for and worked out, looked at, adopted."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Engine

from api.commands.acting import As, Number, at_work
from api.commands.opening import open_database
from api.commands.terminal import Json, answer, progress, say
from geo import service
from geo.db import Viewer, owner_transaction
from geo.errors import InvalidInputError, NotFoundError
from geo.settings import Settings

app = typer.Typer()

Proposal = Annotated[int, typer.Argument(help="Number of the proposal.", min=1)]
Out = Annotated[Path | None, typer.Option(help="Write the parts here: .geojson.")]
LOOK_S: Final = 0.3
SHOWN: Final = 30
OVER: Final = ("done", "failed", "cancelled")


@app.command()
def divide(
    plan: Number,
    login: As,
    grid: Annotated[list[int], typer.Option(help="A grid that is divided; may repeat.")],
    target: Annotated[float | None, typer.Option(min=0, help="Households of a part.")] = None,
    parts: Annotated[int | None, typer.Option(min=1, help="Number of parts.")] = None,
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="Share it may be off.")] = 0.2,
    mode: Annotated[str, typer.Option(help="new, least_change or merge_small.")] = "new",
    max_change: Annotated[
        float, typer.Option(min=0, max=1, help="least_change: share that may change its grid.")
    ] = 0.05,
    least: Annotated[float, typer.Option(min=0, help="merge_small: smaller grids go.")] = 0.0,
    fixed: Annotated[list[int] | None, typer.Option(help="A grid that stays as it is.")] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="households_in_season or issues_per_month, shared out as well."),
    ] = None,
    split_compounds: Annotated[
        bool, typer.Option("--split-compounds", help="Compounds may be parted.")
    ] = False,
    thorough: Annotated[bool, typer.Option("--thorough", help="Look five times longer.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another number, another division.")] = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Propose how grids could be divided evenly; nothing changes until it is adopted."""
    proposing = service.drafts.proposing
    measures = [{"measure": "households", "target": target, "tolerance": tolerance}]
    measures += [{"measure": one, "target": None, "tolerance": tolerance} for one in also or []]
    wish = {
        "grids": grid, "mode": mode, "measures": measures, "parts": parts, "least": least,
        "max_change": max_change, "fixed": fixed or [], "thorough": thorough, "seed": seed,
        "keep_compounds": not split_compounds,
    }  # fmt: skip
    _proposed(plan, login, proposing.DIVISION, wish, out, as_json=as_json)


@app.command("merge-nets")
def merge_nets(
    plan: Number,
    login: As,
    net: Annotated[list[int], typer.Option(help="A delivered net; may repeat.")],
    grid: Annotated[list[int] | None, typer.Option(help="A grid whose ground it is.")] = None,
    tolerance_m: Annotated[float, typer.Option(min=0, help="Nearer borders are one.")] = 5.0,
    least_m2: Annotated[float, typer.Option(min=0, help="Smaller units are given away.")] = 1.0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Propose one net out of several delivered ones; nothing changes until it is adopted."""
    wish = {"nets": net, "grids": grid or [], "tolerance_m": tolerance_m, "least_m2": least_m2}
    _proposed(plan, login, service.drafts.proposing.NET, wish, out, as_json=as_json)


@app.command()
def proposals(plan: Number, login: As, as_json: Json = False) -> None:
    """List the proposals for a plan with their figures."""
    with at_work(login) as (session, viewer):
        found = service.drafts.proposing.listing(session, viewer, plan)
    lines = [f"{one['proposal']:>6} {one['state']:<9} {_sum(one)}" for one in found]
    answer(as_json, {"items": found}, "\n".join(lines) or "There is no proposal yet.")


@app.command()
def adopt(plan: Number, proposal: Proposal, login: As, as_json: Json = False) -> None:
    """Take a proposal over into its plan: one edit, which `plan undo` takes back."""
    with at_work(login) as (session, viewer):
        done = service.drafts.proposing.adopt(session, viewer, plan, proposal)
    data = {"n": done.n, "touched": done.touched, "new": done.new, "cells": done.cells}
    lines = f"Edit {done.n}: {done.cells} cells, {len(done.touched)} grids, {len(done.new)} new"
    answer(as_json, data, lines)


def _proposed(
    plan: int, login: str, op: str, wish: dict[str, Any], out: Path | None, *, as_json: bool
) -> None:
    """Ask for a proposal, work it out in this process if no worker has it, and tell it."""
    if out is not None and (out.exists() or out.suffix.lower() != ".geojson"):
        raise InvalidInputError(f"{out} exists, or does not end in .geojson.", field="out")
    proposing = service.drafts.proposing
    with open_database(Settings(), say) as opened:
        with owner_transaction(opened.engine) as session:
            viewer = service.drafts.acting(session, login)
            number = proposing.ask(session, viewer, plan, op, wish)
        try:
            card = _followed(opened.engine, viewer, plan, number)
        except KeyboardInterrupt:
            with owner_transaction(opened.engine) as session:
                service.drafts.asking.cancel(session, viewer, plan, number)
            raise
        if card["state"] == "done" and out is not None:
            with owner_transaction(opened.engine) as session:
                out.write_text(proposing.shapes(session, viewer, plan, number), encoding="utf-8")
    answer(as_json, json.loads(json.dumps(card, default=str)), _told(card))
    if card["state"] != "done":
        raise typer.Exit(1)


def _followed(engine: Engine, viewer: Viewer, plan: int, number: int) -> dict[str, Any]:
    """Show how far a proposal is until it is over; return it."""
    hand = threading.Thread(target=service.drafts.asking.work, args=(engine,), daemon=True)
    hand.start()
    with progress() as step:
        while True:
            hand.join(LOOK_S)
            with owner_transaction(engine) as session:
                card = service.drafts.proposing.show(session, viewer, plan, number)
            if card["state"] in OVER:
                hand.join()
                return card
            if card["words"]:
                step(str(card["words"]), card["share"])
            if card["state"] == "queued" and not hand.is_alive():
                message = f"Nobody works on proposal {number}: start `wangge worker`."
                raise NotFoundError(message, proposal=number)


def _told(card: dict[str, Any]) -> str:
    if card["state"] != "done":
        reason = card["error"]["message"] if card["error"] else "nothing was changed"
        return f"Proposal {card['proposal']} {card['state']}: {reason}"
    lines = [f"Proposal {card['proposal']}: {_sum(card)}"]
    for part in card["parts"][:SHOWN]:
        name = f"{part['name']}{'' if part['grid'] else ' (new)'}"
        sums = ", ".join(f"{value:g} {key}" for key, value in part["weights"].items())
        lines.append(f"  {name}: {sums}" + (f"; {part['said']}" if part.get("said") else ""))
    if len(card["parts"]) > SHOWN:
        lines.append(f"  and {len(card['parts']) - SHOWN} more")
    lines += [f"  note: {said}" for said in card["warnings"]]
    lines += [f"  ✗ {fault['message']}" for fault in card["faults"]]
    return "\n".join(lines)


def _sum(card: dict[str, Any]) -> str:
    figures = card["figures"]
    if not figures:
        return str(card["error"]["message"] if card["error"] else card["words"])
    told = f"{figures['units']} parts, {figures['new']} new, {figures['ended']} end"
    if "within_tolerance" in figures:
        told += f", {figures['within_tolerance']:.1%} within tolerance, {figures['cut_km']:.1f} km"
    return told
