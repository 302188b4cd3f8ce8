"""Rates of issues as a table: counts beside each rate, those of few workers left out and said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response

from api import i18n
from api.deps import check_day
from api.i18n import marked
from api.routes.pages import Blank, LevelNumber, SightDep
from api.routes.pages_figures import require_staff
from geo import service

router = APIRouter(include_in_schema=False)

GROUPS: Final[Mapping[str, str]] = {
    "area": marked("by area"),
    "department": marked("by department"),
    "category": marked("by kind"),
    "month": marked("by month"),
}
JUDGED: Final = ("response", "solution", "satisfaction")
"""The three that a city is judged by stand first."""
By = Annotated[Literal["area", "department", "category", "month"] | None, Blank, Query()]
Day = Annotated[date | None, Blank]


@router.get("/rates")
def show_rates(
    sight: SightDep,
    by: By = None,
    level: LevelNumber = None,
    since: Annotated[Day, Query(alias="from")] = None,
    until: Annotated[Day, Query(alias="to")] = None,
) -> Response:
    """Show the rates of a period to people of the city."""
    require_staff(sight)
    for day in (since, until):
        check_day(day)
    chosen = by or "area"
    session, viewer = sight.access.session, sight.access.viewer
    at = sight.asked.moment(session)
    common: dict[str, Any] = {"since": since, "until": until}
    narrow = service.cases.RateFilter(by=chosen, level=level or 1, **common)
    found = service.cases.rates(session, viewer, at, narrow)
    total = service.cases.rates(session, viewer, at, service.cases.RateFilter(**common))
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    return sight.page(
        "rates.html",
        at=at,
        by=chosen,
        level=level or 1,
        groups={code: word(text) for code, text in GROUPS.items()},
        found=found,
        total=total["rows"][0] if total["rows"] else None,
        judged=JUDGED,
    )
