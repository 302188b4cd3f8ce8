"""Issues on paper: one as a sheet to take along, a list as a table; contacts are on neither."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response

from api import desk_asking, i18n, rendering
from api.i18n import marked
from api.routes.pages import SightDep, Word
from api.routes.pages_figures import require_staff
from api.routes.pages_issues import BOXES, CHANNELS, FURTHER, REASONS, organisations
from api.routes.pages_report import ACTS, STATES
from geo import service
from geo.terms import IssueAct, IssueState

router = APIRouter(include_in_schema=False)

MOST_ROWS = 1000
NEVER = 2900


@router.get("/print/issue")
def print_issue(sight: SightDep, issue: Annotated[int, Query(ge=1, le=2**63 - 1)]) -> Response:
    """Show one issue on a sheet of paper, with room for what is found and done on site."""
    require_staff(sight)
    session, viewer = sight.access.session, sight.access.viewer
    at = sight.asked.moment(session)
    card = service.cases.show(session, viewer, at, issue)
    lines = service.cases.history(session, viewer, issue)
    listed = service.cases.desk(
        session, viewer, at, service.cases.DeskFilter(box="all", q=str(issue)), limit=5
    )
    row = next((one for one in listed.items if one["issue"] == issue), {})
    return sight.page(
        "print_issue.html",
        card=_local(card, at.timezone),
        row=row,
        lines=[_local(line, at.timezone) for line in lines],
        place=service.cases.drawing(
            session, at, card["lon"], card["lat"], card["path"][-1]["grid"] if card["path"] else 0
        ),
        words=_words(sight),
    )


@router.get("/print/issues")
def print_issues(sight: SightDep, narrow: desk_asking.DeskDep, grid_name: Word = None) -> Response:
    """Show a desk's list as a table, as it is narrowed; at most 1,000 rows."""
    require_staff(sight)
    session, viewer = sight.access.session, sight.access.viewer
    at = sight.asked.moment(session)
    found = service.cases.desk(session, viewer, at, narrow, limit=MOST_ROWS)
    service.cases.note_file(session, at, "print", len(found.items), narrow)
    lang = i18n.get_language(sight.request)
    kinds = {
        row["category"]: (lang == "en" and row["name_en"]) or row["name"]
        for row in service.kinds.categories(session, at.city_id)
    }
    bodies = {row["organisation"]: row["name"] for row in organisations(sight)}
    return sight.page(
        "print_issues.html",
        rows=[_local(one, at.timezone) for one in found.items],
        more=found.next is not None,
        narrow=narrow,
        box=BOXES[narrow.box],
        grid_name=grid_name or narrow.grid,
        kind=kinds.get(narrow.category or "", narrow.category),
        body=bodies.get(narrow.organisation or 0),
        words=_words(sight),
    )


def _local(row: dict[str, Any], zone: str) -> dict[str, Any]:
    """Return a row with its moments as texts in the city's zone; those that never come as None."""
    told = dict(row)
    for name, value in row.items():
        if hasattr(value, "astimezone"):
            far = value.year > NEVER
            told[name] = None if far else f"{value.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
    return told


def _words(sight: Any) -> dict[str, dict[str, str]]:
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    acts: dict[IssueAct, str] = {**ACTS, **FURTHER}
    states: dict[IssueState, str] = dict(STATES)
    return {
        "acts": {act.value: word(text) for act, text in acts.items()},
        "states": {state.value: word(text) for state, text in states.items()},
        "channels": {channel: word(text) for channel, text in CHANNELS.items()},
        "roles": {role.value: word(text) for role, text in rendering.ROLES.items()}
        | {"system": word(marked("by itself"))},
        "reasons": {text: word(text) for text in REASONS},
    }
