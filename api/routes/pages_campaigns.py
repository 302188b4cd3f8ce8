"""Pages of campaigns: both lists, ticking off, and bulletins to print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query, Response

from api import office_words
from api.deps import check_day
from api.i18n import marked
from api.office_desk import MOST_ID, REFUSALS, Desk, Failed, Sent, SentDep
from api.routes.pages import Blank
from api.routes.pages_report import STATES
from api.routes.pages_together import (
    KEEPERS,
    DeskDep,
    Number,
    Orders,
    RowNumber,
    TickerDep,
    Words,
    address,
    bodies,
    body_of,
    card_of,
    carry_out,
    client_id,
    fresh_id,
    mapped,
    mark,
    optional_grid,
    optional_number,
)
from geo import service
from geo.errors import ForbiddenError, InvalidInputError
from geo.terms import CampaignState, ItemList, ItemState, Period, ProjectState, Role

router = APIRouter(include_in_schema=False)

STANDS: Final[Mapping[str, str]] = {
    ItemState.OPEN: marked("to be done"),
    ItemState.DONE: marked("ticked off"),
    ItemState.DROPPED: marked("dropped"),
}
RUNS: Final[Mapping[str, str]] = {
    CampaignState.OPEN: marked("runs"),
    CampaignState.CLOSED: marked("closed"),
}
PERIODS: Final[Mapping[str, str]] = {
    Period.WEEK: marked("Weekly bulletin"),
    Period.MONTH: marked("Monthly bulletin"),
    Period.QUARTER: marked("Quarterly bulletin"),
}
PROJECTS: Final[Mapping[str, str]] = {
    ProjectState.PROPOSED: marked("proposed"),
    ProjectState.AGREED: marked("agreed to"),
    ProjectState.APPROVED: marked("approved"),
    ProjectState.UNDER_WAY: marked("under way"),
    ProjectState.FINISHED: marked("finished"),
    ProjectState.REJECTED: marked("rejected"),
}
DONE: Final[Mapping[str, str]] = {
    "campaign.create": marked("The campaign has begun; put the problems on its list."),
    "campaign.change": marked("The campaign is kept."),
    "line.add": marked("The line is on the list."),
    "campaign.plan": marked("The campaign is kept."),
    "line.tick": marked("The line is kept."),
    "line.word": marked("The line is kept."),
}
LINES: Final[Mapping[str, str]] = {
    "open": marked("to be done"),
    "late": marked("overdue"),
    "over": marked("ticked off or dropped"),
}
"""Which lines are shown, as the address says it."""


@dataclass(frozen=True)
class Narrow:
    """Which campaigns, and which lines of one are shown, as it stands in the address."""

    state: Annotated[CampaignState | None, Blank, Query()] = None
    lines: Annotated[Literal["open", "late", "over"] | None, Blank, Query()] = None
    owner: RowNumber = None
    at: RowNumber = None


MOST_SHOWN: Final = 200
"""Lines of a list on one page."""
NarrowDep = Annotated[Narrow, Depends()]


@router.get("/campaigns")
def show_campaigns(
    desk: DeskDep, narrow: NarrowDep, campaign: Number = "", done: Words = ""
) -> Response:
    """Show the city's campaigns, and one of them with both lists."""
    return _page(desk, narrow, campaign, done=done)


@router.post("/campaigns")
def change_campaigns(desk: TickerDep, narrow: NarrowDep, sent: SentDep) -> Response:
    """Begin a campaign, put a line on a list or tick one off; the form again when that fails."""
    if sent.text("do") == "lists.take":
        return _take(desk, narrow, sent)

    def again(campaign: str, failed: Failed) -> Response:
        return _page(desk, narrow, campaign or "new", status=422, failed=failed)

    return carry_out(desk, sent, ACTIONS, "campaign", again)


@router.get("/campaigns/{campaign}/bulletin")
def show_bulletin(
    desk: DeskDep,
    campaign: Annotated[int, Path(ge=1, le=MOST_ID)],
    period: Period = Period.MONTH,
    day: Annotated[date | None, Blank, Query()] = None,
) -> Response:
    """Show the bulletin of a week, a month or a quarter, to be printed."""
    check_day(day)
    session, viewer = desk.access.session, desk.access.viewer
    found = service.bulletins.bulletin(
        session, viewer, desk.at, campaign, period, day or desk.at.day
    )
    return desk.page(
        "bulletin.html",
        told=found,
        period_words={code: desk.word(word) for code, word in PERIODS.items()},
        project_words={code: desk.word(word) for code, word in PROJECTS.items()},
        before=(found["first"] - timedelta(days=1)).isoformat(),
        after=(found["last"] + timedelta(days=1)).isoformat(),
        partial=not viewer.city_wide,
    )


def _page(
    desk: Desk,
    narrow: Narrow,
    campaign: str,
    *,
    done: str = "",
    status: int = 200,
    failed: Failed | None = None,
    report: Mapping[str, Any] | None = None,
) -> Response:
    viewer = desk.access.viewer
    chosen = card_of(campaign, partial(_card, desk))
    keeps = viewer.role in KEEPERS
    return desk.page(
        "campaigns.html",
        status=status,
        rows=[] if chosen else _running(desk, narrow),
        chosen=chosen,
        narrow=narrow,
        lists=_lists(desk, narrow, chosen),
        most=MOST_SHOWN,
        adding=campaign == "new" and keeps,
        keeps=keeps,
        whole_city=viewer.role is Role.ADMINISTRATOR,
        bodies=bodies(desk) if keeps else [],
        stands={code: desk.word(word) for code, word in STANDS.items()},
        runs={code: desk.word(word) for code, word in RUNS.items()},
        lines_words={code: desk.word(word) for code, word in LINES.items()},
        period_words={code: desk.word(word) for code, word in PERIODS.items()},
        project_words={code: desk.word(word) for code, word in PROJECTS.items()},
        issue_states={state.value: desk.word(word) for state, word in STATES.items()},
        columns=[names[0 if desk.lang == "zh" else 1] for names in service.lists.COLUMNS.values()],
        report=report,
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
        fresh=fresh_id(),
        address=partial(address, desk),
        frame=mapped(desk) if chosen else None,
        page={"marks": _marks(desk, chosen) if chosen else []},
    )


def _running(desk: Desk, narrow: Narrow) -> list[dict[str, Any]]:
    """Return campaigns, those that run and have most overdue first."""
    rows = service.campaigns.listed(desk.access.session, desk.access.viewer, desk.at)
    shown = [row for row in rows if narrow.state in (None, row["state"])]
    return sorted(
        shown, key=lambda row: (row["state"] != CampaignState.OPEN.value, -row["overdue"])
    )


def _card(desk: Desk, campaign: int) -> dict[str, Any]:
    """Return a campaign with its small projects; days are those of the city's zone."""
    session, viewer = desk.access.session, desk.access.viewer
    card = service.campaigns.show(session, viewer, desk.at, campaign)
    zone = ZoneInfo(desk.city["timezone"])
    for row in card["lines"]:
        row["done_on"] = row["done_at"].astimezone(zone).date() if row["done_at"] else None
        row["late"] = _late(row, desk.at.day)
    works = service.projects.listed(session, viewer, desk.at, campaign=campaign)
    return card | {"works": works}


def _late(row: Mapping[str, Any], today: date) -> bool:
    due = row["due_on"]
    return row["state"] == ItemState.OPEN.value and due is not None and due < today


def _lists(
    desk: Desk, narrow: Narrow, chosen: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """Return both lists: their lines as narrowed, what needs a hand first, and counts of all."""
    if chosen is None:
        return {}
    open_state, role = ItemState.OPEN.value, desk.access.viewer.role
    found = {}
    for one in ItemList:
        lines = [row for row in chosen["lines"] if row["list"] == one.value]
        shown = [
            row
            for row in lines
            if narrow.owner in (None, row["organisation"])
            and narrow.at in (None, row["grid"])
            and {None: True, "open": row["state"] == open_state, "late": row["late"]}.get(
                narrow.lines, row["state"] != open_state
            )
        ]
        shown.sort(
            key=lambda row: (
                row["state"] != open_state,
                role is Role.DEPARTMENT and not row["may_tick"],
                not row["late"],
                row["due_on"] or date.max,
                row["n"],
            )
        )
        counted = [row for row in lines if row["state"] != ItemState.DROPPED.value]
        done = sum(row["state"] == ItemState.DONE.value for row in counted)
        late = sum(row["late"] for row in lines)
        found[one.value] = {
            "shown": shown, "all": lines, "done": done, "counted": len(counted), "late": late,
        }  # fmt: skip
    return found


def _marks(desk: Desk, chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a point for each grid with lines: how many are left there, red where one is late."""
    grids: dict[int, list[Mapping[str, Any]]] = {}
    for row in chosen["lines"]:
        if row["lon"] is not None and row["state"] != ItemState.DROPPED.value:
            grids.setdefault(row["grid"], []).append(row)
    found = []
    for grid, rows in grids.items():
        left = [row for row in rows if row["state"] == ItemState.OPEN.value]
        late = any(row["late"] for row in left)
        tone = "bad" if late else "watch" if left else "good"
        name = f"{rows[0]['grid_name']} {len(rows) - len(left)} / {len(rows)}"
        found.append(
            mark(rows[0], address(desk, at=grid), tone=tone, name=name, text=str(len(left)))
        )
    return found


def _take(desk: Desk, narrow: Narrow, sent: Sent) -> Response:
    """Read lists from a file, and take them over when that is asked for and every row can be."""
    campaign, session = sent.number("campaign"), desk.access.session
    try:
        report = service.lists.take(
            session, desk.access.viewer, desk.at, campaign, sent.file("file"),
            write=sent.ticked("write"),
        )  # fmt: skip
    except (*REFUSALS, ForbiddenError) as error:
        session.expire_all()
        failed = desk.failed(sent, error)
        return _page(desk, narrow, str(campaign), status=422, failed=failed)
    names = service.lists.KNOWN
    told = [
        {
            "row": one.row,
            "column": names[one.column][0 if desk.lang == "zh" else 1]
            if one.column in names else "",
            "sentence": office_words.sentence(desk.word, one.reason, one.value),
        }
        for one in report.rejected[: service.lists.MOST_TOLD]
    ]  # fmt: skip
    return _page(desk, narrow, str(campaign), report={**vars(report), "rows_told": told})


def _said(desk: Desk, sent: Sent) -> dict[str, Any]:
    """Return what a form says of a campaign."""
    said: dict[str, Any] = {
        "name": sent.text("name"), "goal": sent.text("goal"),
        "starts_on": sent.needed_day("starts_on"), "ends_on": sent.day("ends_on"),
        "organisation": body_of(desk, sent),
    }  # fmt: skip
    for name in ("starts_on", "ends_on"):
        check_day(said[name])
    return said


def _create(desk: Desk, sent: Sent) -> int:
    session, viewer = desk.access.session, desk.access.viewer
    plan = service.campaigns.Plan(**_said(desk, sent), grid=optional_grid(desk, sent))
    return service.campaigns.create(session, viewer, desk.at, plan, client_id(sent)).number


def _change(desk: Desk, sent: Sent) -> int:
    state = sent.text("state")
    if state not in RUNS:
        raise InvalidInputError("There is no such state.", field="state", reason="no_category")
    return _keep(desk, sent, {"state": state})


def _plan(desk: Desk, sent: Sent) -> int:
    return _keep(desk, sent, _said(desk, sent))


def _keep(desk: Desk, sent: Sent, said: Mapping[str, Any]) -> int:
    campaign, version = sent.number("campaign"), sent.number("version")
    service.campaigns.change(desk.access.session, desk.access.viewer, campaign, version, said)
    return campaign


def _add(desk: Desk, sent: Sent) -> int:
    kind = sent.text("list")
    if kind not in set(ItemList):
        raise InvalidInputError("There is no such list.", field="list", reason="no_category")
    line = service.campaigns.Line(
        ItemList(kind), sent.text("words"), body_of(desk, sent),
        optional_grid(desk, sent), sent.day("due_on"), optional_number(sent, "of"),
        optional_number(sent, "issue"),
    )  # fmt: skip
    check_day(line.due_on)
    session, viewer, campaign = desk.access.session, desk.access.viewer, sent.number("campaign")
    service.campaigns.add_line(session, viewer, desk.at, campaign, line, client_id(sent))
    return campaign


def _tick(desk: Desk, sent: Sent) -> int:
    state = sent.text("state")
    if state not in STANDS:
        raise InvalidInputError("There is no such state.", field="state", reason="no_category")
    return _keep_line(desk, sent, {"state": state, "note": sent.text("note")})


def _word(desk: Desk, sent: Sent) -> int:
    due_on = sent.day("due_on")
    check_day(due_on)
    said = {
        "words": sent.text("words"), "organisation": body_of(desk, sent),
        "due_on": due_on,
    }  # fmt: skip
    return _keep_line(desk, sent, said | ({"note": note} if (note := sent.text("note")) else {}))


def _keep_line(desk: Desk, sent: Sent, said: Mapping[str, Any]) -> int:
    campaign = sent.number("campaign")
    service.campaigns.change_line(
        desk.access.session, desk.access.viewer, campaign, sent.number("n"),
        sent.number("version"), said,
    )  # fmt: skip
    return campaign


ACTIONS: Final[Orders] = {
    "campaign.create": _create,
    "campaign.change": _change,
    "campaign.plan": _plan,
    "line.add": _add,
    "line.tick": _tick,
    "line.word": _word,
}
