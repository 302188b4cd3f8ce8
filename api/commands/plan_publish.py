"""`wangge plan`, second half: submitted, approved, rebased, published, cancelled, begun."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from api.commands.acting import As, Number, at_work
from api.commands.terminal import Json, answer, waiting
from geo import service
from geo.errors import InvalidInputError, RebaseConflictError

app = typer.Typer()

Content = Annotated[
    str | None, typer.Option(help="Hash of the content that was looked at; default: that of now.")
]
Day = Annotated[datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="First day of the net.")]


@app.command()
def standing(plan: Number, login: As, as_json: Json = False) -> None:
    """Say where a plan stands on its way to a net."""
    with at_work(login) as (session, viewer):
        card = service.publishing.card(session, viewer, plan)
    line = f"Plan {plan} is {card['state']}, on net {card['base_seq']} of {card['last_seq']}; "
    line += f"content {card['content'][:16]}, {card['unsettled_posts']} posts unsettled"
    answer(as_json, card, line)


@app.command()
def submit(plan: Number, login: As, as_json: Json = False) -> None:
    """Hand a draft in for approval."""
    with at_work(login) as (session, viewer):
        done = service.publishing.submit(session, viewer, plan)
    answer(as_json, done, f"Plan {plan} was submitted; content {done['content'][:16]}")


@app.command()
def approve(plan: Number, login: As, content: Content = None, as_json: Json = False) -> None:
    """Approve a plan as a second person, after the full validator."""
    with at_work(login) as (session, viewer), waiting("Recompute the plan"):
        seen = content or service.publishing.card(session, viewer, plan)["content"]
        done = service.publishing.approve(session, viewer, plan, seen)
    answer(as_json, done, f"Plan {plan} was approved; content {done['content'][:16]}")


@app.command()
def withdraw(plan: Number, login: As, as_json: Json = False) -> None:
    """Take a plan back for good."""
    with at_work(login) as (session, viewer):
        done = service.publishing.withdraw(session, viewer, plan)
    answer(as_json, done, f"Plan {plan} was withdrawn.")


@app.command()
def rebase(
    plan: Number,
    login: As,
    choices: Annotated[
        str, typer.Option(help='Decisions as JSON, {"grid:212:name": "mine"}; "*" for all others.')
    ] = "{}",
    as_json: Json = False,
) -> None:
    """Put a plan on the last net; conflicts are listed with their place."""
    told = _object(choices)
    with at_work(login) as (session, viewer), waiting("Put the plan on the last net"):
        try:
            done = service.publishing.rebase(session, viewer, plan, told)
        except RebaseConflictError as error:
            lines = [f"{one['key']}: {one['message']}" for one in error.data["conflicts"]]
            error.message = "\n".join([error.message, *lines])
            raise
    data = {"base_seq": done.base_seq, "cells": done.cells, "grids": done.grids}
    answer(as_json, data, f"Plan {plan} stands on net {done.base_seq}; {done.cells} cells differ.")


@app.command()
def posts(
    plan: Number,
    login: As,
    settle: Annotated[
        str | None, typer.Option(help='Where posts go as JSON, {"7": 212, "8": null}.')
    ] = None,
    as_json: Json = False,
) -> None:
    """List the posts of grids that a plan ends, or say where they go; null is vacant."""
    with at_work(login) as (session, viewer):
        if settle is not None:
            service.publishing.settle_posts(session, viewer, plan, _posts(_object(settle)))
        listed = service.publishing.posts(session, viewer, plan)
    lines = [
        f"post {one['post']} ({one['role']}) of {one['grid_name']}: "
        + (str(one["to_grid"] or "vacant") if one["settled"] else f"open, {one['proposed']}?")
        for one in listed
    ]
    answer(as_json, {"items": listed}, "\n".join(lines) or "The plan ends no grid with posts.")


@app.command()
def publish(plan: Number, login: As, on: Day, as_json: Json = False) -> None:
    """Publish an approved plan as the next net."""
    with at_work(login) as (session, viewer), waiting("Publish the plan"):
        done = service.publishing.publish(session, viewer, plan, on.date())
    with at_work(login) as (session, viewer):
        begun = service.publishing.activate(session, viewer.city_id or 0)
    data = {
        "seq": done.seq, "effective_from": done.effective_from.isoformat(), "cells": done.cells,
        "grids": done.grids, "ended": done.ended, "codes": done.codes, "hash": done.hash,
        "begun": [one.seq for one in begun],
    }  # fmt: skip
    line = f"Net {done.seq} begins on {done.effective_from}: {done.cells} cells changed hands, "
    answer(as_json, data, line + f"{len(done.grids)} grids written, {len(done.ended)} ended.")


@app.command()
def cancel(plan: Number, login: As, as_json: Json = False) -> None:
    """Cancel the net that a plan became, before its date; the plan is a draft again."""
    with at_work(login) as (session, viewer):
        seq = service.publishing.cancel(session, viewer, plan)
    answer(as_json, {"seq": seq}, f"Net {seq} was cancelled; plan {plan} is a draft again.")


@app.command()
def activate(login: As, as_json: Json = False) -> None:
    """Hand over what is open where a net has begun, and let closed rows follow; once for each."""
    with at_work(login) as (session, viewer), waiting("Hand over"):
        begun = service.publishing.activate(session, viewer.city_id or 0)
    moved = 0
    while True:
        with at_work(login) as (session, viewer):
            done = service.publishing.settle(session, viewer.city_id or 0)
        moved += done
        if not done:
            break
    data: dict[str, Any] = {
        "begun": [
            {"seq": one.seq, "handed": one.handed, "accounts_without_area": one.grants}
            for one in begun
        ],
        "followed": moved,
    }
    listed = ", ".join(f"net {one.seq} {one.handed}" for one in begun) or "no net was due"
    answer(as_json, data, f"{listed}; {moved} closed issues followed.")


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise InvalidInputError("Decisions are an object in JSON.", field="choices")
    return told


def _posts(told: dict[str, Any]) -> dict[int, int | None]:
    for post, grid in told.items():
        if not post.isdecimal() or not (grid is None or isinstance(grid, int)):
            raise InvalidInputError("Posts go to grids: {'7': 212, '8': null}.", field="posts")
    return {int(post): grid for post, grid in told.items()}
