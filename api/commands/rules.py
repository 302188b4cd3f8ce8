"""`wangge rules`: who takes what, limits and working days of a city's own."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Any

import typer

from api.commands.issue import CityName, _city, _day, _owning
from api.commands.terminal import Json, answer
from geo import service
from geo.deadlines import Limit
from geo.errors import InvalidInputError
from geo.store.cases import ruling
from geo.tables import LimitRule, RoutingRule, WorkingCalendar
from geo.terms import LimitUnit

app = typer.Typer(no_args_is_help=True, help="The city's own rules for its issues.")

Off = Annotated[bool, typer.Option("--off", help="Take the rule back.")]


@app.command("list")
def list_rules(city: CityName, as_json: Json = False) -> None:
    """List the city's own rules: who takes what, limits, working days."""
    with _owning() as session:
        found = ruling.listed(session, _city(session, city)[0])
    lines = [f"{len(rows)} {name}" for name, rows in found.items()]
    for name, rows in found.items():
        lines += [f"{name}  " + "  ".join(_said(row)) for row in rows]
    answer(as_json, found, "\n".join(lines))


def _said(row: dict[str, Any]) -> list[str]:
    return [f"{name} {value}" for name, value in row.items() if value is not None]


@app.command("limit")
def put_limit(
    city: CityName,
    category: Annotated[str, typer.Argument(help="With all below it.")],
    step: Annotated[str, typer.Argument(help="register, handle ...")],
    amount: Annotated[float, typer.Option(help="How many.")] = 0.0,
    unit: Annotated[LimitUnit, typer.Option(help="Of what.")] = LimitUnit.WORKING_HOURS,
    off: Off = False,
    as_json: Json = False,
) -> None:
    """Say how long a step may take; issues on their way keep the deadline that they have."""
    with _owning() as session:
        city_id, _ = _city(session, city)
        if off:
            ruling.drop(session, city_id, LimitRule, category=category, step=step)
        else:
            ruling.put_limit(session, city_id, category, step, Limit(amount, unit))
    told = {"category": category, "step": step, "amount": None if off else amount}
    answer(as_json, {**told, "unit": None if off else unit.value}, "Taken back." if off else "Set.")


@app.command("day")
def put_day(
    city: CityName,
    day: Annotated[str, typer.Argument(help="YYYY-MM-DD")],
    working: Annotated[bool, typer.Option("--working/--free", help="Whether the city works.")] = (
        False
    ),
    note: Annotated[str, typer.Option(help="Why.")] = "",
    off: Off = False,
    as_json: Json = False,
) -> None:
    """Say that the city works on a day, or does not, whatever its country does."""
    wanted = _day(day, "day") or date.min
    with _owning() as session:
        city_id, _ = _city(session, city)
        if off:
            ruling.drop(session, city_id, WorkingCalendar, day=wanted)
        else:
            ruling.put_day(session, city_id, wanted, note, working=working)
    told = {"day": wanted.isoformat(), "working": None if off else working}
    answer(as_json, told, "Taken back." if off else "Set.")


@app.command("route")
def put_route(
    city: CityName,
    n: Annotated[int, typer.Argument(help="Rules are looked at in this order.", min=1)],
    name: Annotated[str, typer.Option(help="What the rule is called.")] = "",
    category: Annotated[str | None, typer.Option(help="With all below it.")] = None,
    grid: Annotated[int | None, typer.Option(help="With all below it.")] = None,
    weekdays: Annotated[str | None, typer.Option(help="1 (Monday) to 7, as 67.")] = None,
    hours: Annotated[str | None, typer.Option(help="HH:MM-HH:MM, may pass midnight.")] = None,
    organisation: Annotated[int | None, typer.Option(help="Who takes it; none: the desk.")] = None,
    level: Annotated[int | None, typer.Option(help="Level of the desk in charge.")] = None,
    off: Off = False,
    as_json: Json = False,
) -> None:
    """Say who takes an issue: the first rule whose conditions all hold decides."""
    with _owning() as session:
        city_id, _ = _city(session, city)
        if off:
            ruling.drop(session, city_id, RoutingRule, n=n)
        else:
            begins, ends = _hours(hours)
            days = None if weekdays is None else tuple(_digits(weekdays))
            rule = ruling.Route(
                name, grid, category, days, begins, ends, organisation, desk_level=level
            )
            ruling.put_route(session, service.Asked(city_id).moment(session), n, rule)
    answer(as_json, {"n": n, "name": None if off else name}, "Taken back." if off else "Set.")


def _digits(said: str) -> list[int]:
    return [int(letter) if letter in "1234567" else 0 for letter in said]


def _hours(said: str | None) -> tuple[time | None, time | None]:
    if said is None:
        return None, None
    begins, _, ends = said.partition("-")
    try:
        return time.fromisoformat(begins), time.fromisoformat(ends)
    except ValueError:
        raise InvalidInputError("Hours are HH:MM-HH:MM.", field="hours", reason="times") from None
