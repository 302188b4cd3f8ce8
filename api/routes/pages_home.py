"""The first page after signing in: by role, the own area's figures and what needs a hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from api import i18n
from api.kept import reckoned
from api.routes.pages import Sight, SightDep
from api.routes.pages_figures import require_staff
from api.routes.pages_issues import BOXES
from api.routes.pages_projects import WAITS
from api.routes.pages_together import KEEPERS
from geo import service
from geo.terms import CampaignState, MeetingState, Role
from maps.figure_views import figure_frame, figure_page

router = APIRouter(include_in_schema=False)

SIDE_M: Final = 500
"""Side of the squares of the small map of requests."""
HEAT_CLASSES: Final = 7
PATROL_ROLE: Final = "worker"
PATROL_LEVEL: Final = 3
LISTED: Final = 5
"""Rows of a list of what needs a hand."""
TO_DO: Final = ("overdue", "due_today", "new", "to_check", "supervised", "all")
ALWAYS: Final = frozenset({"overdue", "due_today", "all"})
"""Boxes of the desk on the first page; those that are no matter when empty are left out then."""
MEETING_DAYS: Final = 7


@router.get("/")
def show_home(sight: SightDep) -> Response:
    """Lead strangers to the net and workers to their zone; show others their first page."""
    viewer = sight.access.viewer
    if not viewer.staff:
        return RedirectResponse("/net", 307)
    if viewer.role is Role.WORKER and viewer.areas:
        return RedirectResponse("/patrol", 307)
    return _home(sight)


def _home(sight: Sight) -> Response:
    """Return the first page of somebody who is not a worker."""
    if sight.access.viewer.city_wide:
        return sight.page("home.html", own=None, **_to_do(sight), **_whole_city(sight))
    return sight.page("home.html", overview=None, sizes=None, **_to_do(sight), **_own_area(sight))


def _to_do(sight: Sight) -> dict[str, Any]:
    """Return what needs a hand: boxes of the own desk, and what stands beside issues."""
    session, viewer = sight.access.session, sight.access.viewer
    at = sight.asked.moment(session)
    counts = service.cases.desk_counts(session, viewer, at)
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    campaigns = service.campaigns.listed(session, viewer, at)
    until = at.day + timedelta(days=MEETING_DAYS - 1)
    meetings = service.meetings.listed(session, viewer, at, since=at.day, until=until)
    held = service.meetings.listed(session, viewer, at, state=MeetingState.HELD)
    projects = service.projects.listed(session, viewer, at)
    return {
        "boxes": [
            {"box": box, "word": word(BOXES[box]), "count": counts[box]}
            for box in TO_DO
            if counts[box] or box in ALWAYS
        ],
        "together": {
            "lines": sum(row["overdue"] for row in campaigns if row["state"] == CampaignState.OPEN),
            "meetings": sum(row["state"] == MeetingState.PLANNED for row in meetings),
            "unsettled": sum(row["unsettled"] for row in held) if viewer.role in KEEPERS else 0,
            "projects": sum(bool(WAITS & set(row["acts"])) for row in projects),
        },
    }


def _whole_city(sight: Sight) -> dict[str, Any]:
    """Return the headline figures of the four maps, and the sizes for those who plan."""
    session, viewer, asked = sight.access.session, sight.access.viewer, sight.asked
    levels = [level["level"] for level in sight.city["levels"] if level["count"]]
    top, patrol = levels[0], min(PATROL_LEVEL, levels[-1])
    middle = min(2, levels[-1])
    at = asked.moment(session)
    reached = _reached(sight, middle)
    _, dense = service.station_density(session, asked, top)
    _, posts = service.patrol_areas(session, asked, patrol, PATROL_ROLE)
    requests = reckoned(
        sight.request, session, asked, f"requests {SIDE_M}", lambda: _headline(sight)
    )
    plans = viewer.role in (Role.PLANNER, Role.ADMINISTRATOR)
    sizes = service.grid_sizes(session, asked, patrol)[1] if plans else None
    lived_in = [row for row in reached["items"] if row["households"]]
    return {
        "at": at,
        "sizes": sizes,
        "patrol_level": next(one for one in sight.city["levels"] if one["level"] == patrol),
        "overview": {
            "coverage": reached["total"],
            "stations": reached["stations"],
            "least_covered": sorted(lived_in, key=lambda row: row["share_500_m"])[:LISTED],
            "density": dense["total"],
            "dense": dense["items"],
            "posts": posts["total"],
            "states": posts["states"],
            "vacant": [row for row in posts["items"] if row["vacant"]][:LISTED],
            "requests": requests,
        },
    }


def _reached(sight: Sight, level: int) -> dict[str, Any]:
    """Return the coverage of the grids of a level, reckoned once for all who ask."""
    session, asked = sight.access.session, sight.asked
    found: dict[str, Any] = reckoned(
        sight.request,
        session,
        asked,
        f"coverage {level}",
        lambda: service.coverage(session, asked, level)[1],
    )
    return found


def _headline(sight: Sight) -> dict[str, Any]:
    """Return sums by month, and squares with their class for a picture without a map."""
    narrow = service.RequestFilter(side_m=SIDE_M)
    session, viewer = sight.access.session, sight.access.viewer
    _, found = service.map_requests(session, viewer, sight.asked, narrow)
    frame = found.frame
    rates = frame["per_1000_households"]
    known = rates.dropna()
    step = max(float(known.quantile(0.95)) / HEAT_CLASSES, 1e-9) if len(known) else 1.0
    first_column, last_row = int(frame["column"].min()), int(frame["row"].max())
    squares = []
    for column, row, told, rate in zip(
        frame["column"], frame["row"], frame["shown"], rates, strict=True
    ):
        look = f"h{min(int(rate / step), HEAT_CLASSES - 1) + 1}" if told == "rate" else str(told)
        squares.append((int(column) - first_column, last_row - int(row), look))
    sums = [sum(month) for month in found.cases]
    return {
        "months": [f"{month:%Y-%m}" for month in found.months],
        "sums": sums,
        "total": sum(sums),
        "households": float(frame["households"].sum()),
        "left_out": found.left_out,
        "squares": squares,
        "width": int(frame["column"].max()) - first_column + 1,
        "height": last_row - int(frame["row"].min()) + 1,
    }


def _own_area(sight: Sight) -> dict[str, Any]:
    """Return the figures of the grids that an account acts in."""
    session, viewer, asked = sight.access.session, sight.access.viewer, sight.asked
    areas = []
    at = asked.moment(session)
    for grid in viewer.areas:
        _, card = service.show_grid(session, viewer, asked, grid)
        level = card["level"]
        areas.append(
            {
                "card": card,
                "coverage": _row(_reached(sight, level)["items"], grid),
                "density": _row(service.station_density(session, asked, level)[1]["items"], grid),
                "patrol": _row(service.patrol_areas(session, asked, level)[1]["items"], grid),
            }
        )
    return {"at": at, "own": areas}


def _row(rows: Sequence[dict[str, Any]], grid: int) -> dict[str, Any] | None:
    return next((row for row in rows if row["grid"] == grid), None)


@router.get("/patrol")
def show_patrol(sight: SightDep) -> Response:
    """Show the own zone to those who act in some grids: posts, stations, open issues."""
    require_staff(sight)
    viewer = sight.access.viewer
    if not viewer.areas:
        return RedirectResponse("/staff/map", 307)
    cards = [
        service.show_grid(sight.access.session, viewer, sight.asked, grid)[1]
        for grid in viewer.areas
    ]
    boxes = [card["bbox"] for card in cards]
    bounds = [
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    ]
    level = max(card["level"] for card in cards)
    if len(cards) == 1 and any(one["level"] == level + 1 for one in sight.city["levels"]):
        level += 1
    options = sight.options(bounds=bounds, label=cards[0]["name"], level=level, packed=sight.packed)
    page = figure_page("zone", sight.city, sight.net, options)
    page["zone"] = [
        {
            "grid": card["grid"],
            "level": card["level"],
            "name": card["name"],
            "middle": card["label_point"],
        }
        for card in cards
    ]
    return sight.page(
        "patrol.html",
        cards=cards,
        frame=sight.frame(figure_frame, options, first=["zone"]),
        page=page,
    )
