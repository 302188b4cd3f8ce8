"""`wangge plan`, the part of its members: comments, and grids that one keeps for a while."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.commands.acting import As, Number, at_work
from api.commands.terminal import Json, answer
from geo import service

app = typer.Typer()

Comment = Annotated[int, typer.Argument(help="Number of the comment.", min=1)]
Grids = Annotated[list[int], typer.Argument(help="Numbers of grids.", min=1)]


@app.command()
def comments(plan: Number, login: As, as_json: Json = False) -> None:
    """List what was said of a plan."""
    with at_work(login) as (session, viewer):
        found = service.drafts.comments.listing(session, viewer, plan)
    answer(as_json, {"items": found}, "\n".join(map(_line, found)) or "Nothing was said yet.")


def _line(one: dict[str, Any]) -> str:
    mark = "✓" if one["resolved_by"] else " "
    place = f" (grid {one['grid']})" if one["grid"] else ""
    indent = "    " if one["answers"] else ""
    return f"{mark}{one['comment']:>5} {indent}{one['author_name']}{place}: {one['text']}"


@app.command()
def comment(
    plan: Number,
    words: Annotated[str, typer.Argument(help="What is to be said.")],
    login: As,
    grid: Annotated[int | None, typer.Option(help="Number of the grid that is meant.")] = None,
    answers: Annotated[int | None, typer.Option(help="Comment that is answered.")] = None,
    as_json: Json = False,
) -> None:
    """Say something of a plan, of a grid of it, or as an answer."""
    with at_work(login) as (session, viewer):
        made = service.drafts.comments.add(session, viewer, plan, words, grid=grid, answers=answers)
    answer(as_json, {"comment": made}, f"Comment {made} stands.")


@app.command()
def resolve(
    plan: Number,
    comment: Comment,
    login: As,
    again: Annotated[bool, typer.Option("--open", help="Open it again.")] = False,
    as_json: Json = False,
) -> None:
    """Mark a comment as done with."""
    with at_work(login) as (session, viewer):
        service.drafts.comments.resolve(session, viewer, plan, comment, resolved=not again)
    state = "open again" if again else "done with"
    answer(as_json, {"comment": comment, "resolved": not again}, f"Comment {comment} is {state}.")


@app.command()
def locks(plan: Number, login: As, as_json: Json = False) -> None:
    """List the grids that members keep."""
    with at_work(login) as (session, viewer):
        found = service.drafts.locks.listing(session, viewer, plan)
    lines = [f"{one['grid']:>8} {one['name']}: {one['user_name']}" for one in found]
    answer(as_json, {"items": found}, "\n".join(lines) or "Nobody keeps a grid.")


@app.command()
def lock(plan: Number, grids: Grids, login: As, as_json: Json = False) -> None:
    """Keep grids: nobody else redraws them meanwhile."""
    with at_work(login) as (session, viewer):
        kept = service.drafts.locks.keep(session, viewer, plan, grids)
    answer(as_json, {"grids": kept}, f"Kept: {_numbers(kept)}")


@app.command()
def unlock(plan: Number, grids: Grids, login: As, as_json: Json = False) -> None:
    """Give grids back."""
    with at_work(login) as (session, viewer):
        freed = service.drafts.locks.give_back(session, viewer, plan, grids)
    answer(as_json, {"grids": freed}, f"Given back: {_numbers(freed)}")


def _numbers(grids: list[int]) -> str:
    return ", ".join(map(str, grids)) or "nothing new"
