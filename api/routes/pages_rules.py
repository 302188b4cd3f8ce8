"""The page of the rules: kinds with their limits, who takes what, working days."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import time
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse

from api import i18n
from api.i18n import marked
from api.office_desk import REFUSALS, Desk, Failed, Sent, SentDep, desk_for
from geo import service
from geo.errors import InvalidInputError
from geo.terms import STAFF, LimitUnit, Role, Shown

router = APIRouter(include_in_schema=False)

Tab = Literal["kinds", "routing", "days"]
UNITS: Final[Mapping[str, str]] = {
    LimitUnit.CLOCK_HOURS: marked("clock hours"),
    LimitUnit.WORKING_HOURS: marked("working hours"),
    LimitUnit.WORKING_DAYS: marked("working days"),
}
STEPS: Final[Mapping[str, str]] = {
    "register": marked("Register"),
    "handle": marked("Handle"),
    "stop": marked("Stop it"),
    "penalty": marked("Penalty"),
}
"""Steps of the shipped profiles; those of others are told by their codes."""
PLACES: Final[Mapping[str, str]] = {
    Shown.EXACT: marked("exactly, after a check"),
    Shown.COMPOUND: marked("the compound"),
    Shown.NEVER: marked("never"),
}
WEEKDAYS: Final = (
    marked("Mon"), marked("Tue"), marked("Wed"), marked("Thu"), marked("Fri"), marked("Sat"),
    marked("Sun"),
)  # fmt: skip
DONE: Final[Mapping[str, str]] = {
    "limit.put": marked("The limit holds from now on; what is open keeps its deadline."),
    "limit.drop": marked("The limit is taken back; the one above holds again."),
    "kind.put": marked("The kind is kept."),
    "routing.put": marked("The rule holds from now on."),
    "routing.drop": marked("The rule is taken back."),
    "day.put": marked("The day is kept."),
    "day.drop": marked("The day is taken back; the country's calendar holds again."),
}
Words = Annotated[str, Query(max_length=100)]
N = Annotated[str, Query(max_length=3, pattern=r"^(\d*|new)$")]
DeskDep = Annotated[Desk, Depends(desk_for(*sorted(STAFF)), scope="function")]
KeeperDep = Annotated[Desk, Depends(desk_for(Role.ADMINISTRATOR), scope="function")]


@router.get("/issues/rules")
def show_rules(
    desk: DeskDep,
    tab: Tab = "kinds",
    kind: Words = "",
    n: N = "",
    asked: Annotated[str, Query(alias="try", max_length=100)] = "",
    grid: Words = "",
    done: Words = "",
) -> Response:
    """Show the rules of the city's issues to its staff."""
    return _page(desk, tab, kind, n, tried=(asked, grid), done=done)


@router.post("/issues/rules")
def change_rules(desk: KeeperDep, sent: SentDep, tab: Tab = "kinds") -> Response:
    """Change a rule; the form again, with a sentence, when that fails."""
    do, kind, n = sent.text("do"), sent.text("kind"), sent.text("n")
    try:
        if do not in ACTIONS:
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            ACTIONS[do](desk, sent)
    except REFUSALS as error:
        n = sent.text("key") if do == "routing.put" else n  # the form that was sent
        said = _said(sent) if do == "routing.put" else None
        return _page(desk, tab, kind, n, status=422, failed=desk.failed(sent, error), said=said)
    query = {"city": desk.city["slug"], "tab": tab, "done": do, **({"kind": kind} if kind else {})}
    return RedirectResponse(f"/issues/rules?{urlencode(query)}", 303)


def _page(
    desk: Desk,
    tab: str,
    kind: str,
    n: str,
    *,
    tried: tuple[str, str] = ("", ""),
    done: str = "",
    status: int = 200,
    failed: Failed | None = None,
    said: dict[str, Any] | None = None,
) -> Response:
    session, viewer = desk.access.session, desk.access.viewer
    book = service.rulebook.book(session, viewer, desk.at)
    route, wrong = _tried(desk, *tried)
    for row in book["categories"]:
        row["limits"] = {limit["step"]: limit for limit in row["limits"]}
    first = {row["category"]: row for row in book["categories"]}
    bodies = _bodies(desk)
    shown = first.get(kind)
    rule = next((row for row in book["routing"] if str(row["n"]) == n), None)
    return desk.page(
        "rules.html",
        status=status,
        tab=tab,
        book=book,
        kinds=first,
        chosen=shown,
        rule=rule,
        said=said or rule,
        adding=n == "new",
        next_n=min(999, max((row["n"] for row in book["routing"]), default=0) + 1),
        bodies=bodies,
        names={one["organisation"]: one["name"] for one in bodies},
        keeps=viewer.role is Role.ADMINISTRATOR,
        tried={"kind": tried[0], "grid": tried[1]},
        route=route,
        wrong=wrong,
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
        units={code: desk.word(word) for code, word in UNITS.items()},
        step_words={code: desk.word(word) for code, word in STEPS.items()},
        places={code: desk.word(word) for code, word in PLACES.items()},
        weekdays=[desk.word(word) for word in WEEKDAYS],
    )


def _said(sent: Sent) -> dict[str, Any]:
    """Return what was chosen in the form of a rule, so that a refusal takes nothing of it away."""
    return {
        "category": sent.text("category"),
        "weekdays": _numbers(sent, "weekdays"),
        "organisation": next(iter(_numbers(sent, "organisation")), None),
        "assisting": _numbers(sent, "assisting"),
        "desk_level": next(iter(_numbers(sent, "desk_level")), None),
    }


def _tried(desk: Desk, kind: str, code: str) -> tuple[dict[str, Any] | None, str]:
    """Return who would take an issue of a kind in a grid, or why that cannot be said."""
    if not kind or not code.strip():
        return None, ""
    try:
        grid = service.rulebook.grid_called(desk.access.session, desk.at, code)
        route = service.rulebook.try_route(
            desk.access.session, desk.access.viewer, desk.at, kind, grid
        )
    except InvalidInputError as error:
        language = i18n.get_language(desk.request)
        if error.data.get("field") == "grid":
            return None, str(i18n.told(error.message, language))
        return None, desk.word(marked("There is no such kind or grid."))
    told: dict[str, Any] = i18n.told(route.row(), i18n.get_language(desk.request))
    zone = ZoneInfo(desk.at.timezone)
    by = service.rulebook.due(desk.access.session, desk.at, kind)
    return told | {
        "by": {step: f"{until.astimezone(zone):%Y-%m-%d %H:%M}" for step, until in by.items()}
    }, ""


def _bodies(desk: Desk) -> list[dict[str, Any]]:
    """Return the bodies that may lead, departments first."""
    turn = service.Turn(1000, None)
    asked = service.Asked(int(desk.access.city_id or 0))
    _, found = service.list_organisations(desk.access.session, asked, service.PlaceFilter(), turn)
    rows = sorted(found.items, key=lambda row: (row["kind"] != "department", row["organisation"]))
    return [{"organisation": row["organisation"], "name": row["name"]} for row in rows]


# ---- orders --------------------------------------------------------------------------------------


def _unit(sent: Sent) -> LimitUnit:
    try:
        return LimitUnit(sent.text("unit"))
    except ValueError:
        raise InvalidInputError("There is no such unit.", field="unit", reason="no_unit") from None


def _put_limit(desk: Desk, sent: Sent) -> None:
    service.rulebook.put_limit(
        desk.access.session, desk.access.viewer, sent.text("kind"), sent.text("step"),
        sent.real("amount"), _unit(sent),
    )  # fmt: skip


def _drop_limit(desk: Desk, sent: Sent) -> None:
    session, viewer = desk.access.session, desk.access.viewer
    service.rulebook.drop_limit(session, viewer, sent.text("kind"), sent.text("step"))


def _put_kind(desk: Desk, sent: Sent) -> None:
    shown = sent.text("shown")
    service.rulebook.put_kind(
        desk.access.session, desk.access.viewer, sent.text("kind"),
        lead=_number(sent, "lead"), assisting=_numbers(sent, "assisting"),
        legal_basis=sent.text("legal_basis") or None,
        shown=Shown(shown) if shown in PLACES else None,
    )  # fmt: skip


def _number(sent: Sent, name: str) -> int | None:
    return sent.number(name) if sent.text(name) else None


def _numbers(sent: Sent, name: str) -> tuple[int, ...]:
    return tuple(int(one) for one in sent.all(name) if one.isascii() and one.isdecimal())[:20]


def _put_routing(desk: Desk, sent: Sent) -> None:
    word = sent.text("grid")
    grid = service.rulebook.grid_called(desk.access.session, desk.at, word) if word else None
    told = service.rulebook.Routing(
        sent.text("name"), grid, sent.text("category") or None,
        _numbers(sent, "weekdays") or None, _time(sent, "from_time"), _time(sent, "to_time"),
        _number(sent, "organisation"), _numbers(sent, "assisting") or None,
        _number(sent, "desk_level"),
    )  # fmt: skip
    service.rulebook.place_route(
        desk.access.session, desk.access.viewer, desk.at, sent.number("n"), told,
        _number(sent, "was"),
    )  # fmt: skip


def _time(sent: Sent, name: str) -> time | None:
    try:
        return time.fromisoformat(sent.text(name)) if sent.text(name) else None
    except ValueError:
        raise InvalidInputError("That is no time.", field=name, reason="times") from None


def _drop_routing(desk: Desk, sent: Sent) -> None:
    service.rulebook.drop_route(desk.access.session, desk.access.viewer, sent.number("n"))


def _put_day(desk: Desk, sent: Sent) -> None:
    service.rulebook.put_day(
        desk.access.session, desk.access.viewer, sent.needed_day("day"), sent.text("note"),
        working=sent.text("working") == "yes",
    )  # fmt: skip


def _drop_day(desk: Desk, sent: Sent) -> None:
    service.rulebook.drop_day(desk.access.session, desk.access.viewer, sent.needed_day("day"))


ACTIONS: Final[Mapping[str, Callable[[Desk, Sent], None]]] = {
    "limit.put": _put_limit,
    "limit.drop": _drop_limit,
    "kind.put": _put_kind,
    "routing.put": _put_routing,
    "routing.drop": _drop_routing,
    "day.put": _put_day,
    "day.drop": _drop_day,
}
