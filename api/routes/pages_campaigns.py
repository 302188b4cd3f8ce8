"""Pages of campaigns: both lists, ticking off, and bulletins to print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import RedirectResponse

from api.deps import check_day
from api.i18n import marked
from api.office_desk import MOST_ID, REFUSALS, Desk, Failed, Sent, SentDep, desk_for
from api.routes.pages import Blank
from api.routes.pages_report import STATES
from geo import service
from geo.errors import ForbiddenError, InvalidInputError, StaleEditError
from geo.terms import STAFF, CampaignState, ItemList, ItemState, Period, ProjectState, Role

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
    "line.tick": marked("The line is kept."),
}
KEEPERS: Final = frozenset({Role.ADMINISTRATOR, Role.COMMUNITY})
TICKING: Final = KEEPERS | {Role.DEPARTMENT}
Number = Annotated[str, Query(max_length=18, pattern=r"^(\d*|new)$")]
Words = Annotated[str, Query(max_length=100)]
DeskDep = Annotated[Desk, Depends(desk_for(*sorted(STAFF)), scope="function")]
TickerDep = Annotated[Desk, Depends(desk_for(*sorted(TICKING)), scope="function")]


@router.get("/campaigns")
def show_campaigns(desk: DeskDep, campaign: Number = "", done: Words = "") -> Response:
    """Show the city's campaigns, and one of them with both lists."""
    return _page(desk, campaign, done=done)


@router.post("/campaigns")
def change_campaigns(desk: TickerDep, sent: SentDep) -> Response:
    """Begin a campaign, put a line on a list or tick one off; the form again when that fails."""
    do, campaign = sent.text("do"), sent.text("campaign")
    try:
        if do not in ACTIONS:
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            campaign = str(ACTIONS[do](desk, sent))
    except (*REFUSALS, StaleEditError, ForbiddenError) as error:
        desk.access.session.expire_all()
        return _page(desk, campaign or "new", status=422, failed=desk.failed(sent, error))
    query = {"city": desk.city["slug"], "campaign": campaign, "done": do}
    return RedirectResponse(f"/campaigns?{urlencode(query)}", 303)


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
    desk: Desk, campaign: str, *, done: str = "", status: int = 200, failed: Failed | None = None
) -> Response:
    session, viewer = desk.access.session, desk.access.viewer
    rows = service.campaigns.listed(session, viewer, desk.at)
    known = any(str(row["campaign"]) == campaign for row in rows)
    chosen = service.campaigns.show(session, viewer, desk.at, int(campaign)) if known else None
    keeps = viewer.role in KEEPERS
    return desk.page(
        "campaigns.html",
        status=status,
        rows=rows,
        chosen=chosen,
        lists={
            one.value: [row for row in chosen["lines"] if row["list"] == one.value]
            for one in ItemList
        } if chosen else {},
        works=service.projects.listed(session, viewer, desk.at, campaign=int(campaign))
        if known else [],
        adding=campaign == "new" or (failed is not None and not known),
        keeps=keeps,
        whole_city=viewer.role is Role.ADMINISTRATOR,
        bodies=_bodies(desk) if keeps else [],
        stands={code: desk.word(word) for code, word in STANDS.items()},
        runs={code: desk.word(word) for code, word in RUNS.items()},
        period_words={code: desk.word(word) for code, word in PERIODS.items()},
        project_words={code: desk.word(word) for code, word in PROJECTS.items()},
        issue_states={state.value: desk.word(word) for state, word in STATES.items()},
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
    )  # fmt: skip


def _bodies(desk: Desk) -> list[dict[str, Any]]:
    """Return the bodies that may own a line, departments first."""
    turn = service.Turn(1000, None)
    asked = service.Asked(int(desk.access.city_id or 0))
    _, found = service.list_organisations(desk.access.session, asked, service.PlaceFilter(), turn)
    rows = sorted(found.items, key=lambda row: (row["kind"] != "department", row["organisation"]))
    return [{"organisation": row["organisation"], "name": row["name"]} for row in rows]


def _number(sent: Sent, name: str) -> int | None:
    return sent.number(name) if sent.text(name) else None


def _grid(desk: Desk, sent: Sent) -> int | None:
    if not sent.text("grid"):
        return None
    session, viewer = desk.access.session, desk.access.viewer
    found = service.office.grid_of_code(session, viewer, desk.at, sent.text("grid"))
    return int(found.grid_id)


def _create(desk: Desk, sent: Sent) -> int:
    plan = service.campaigns.Plan(
        sent.text("name"), sent.text("goal"), sent.needed_day("starts_on"), sent.day("ends_on"),
        _grid(desk, sent), _number(sent, "organisation"),
    )  # fmt: skip
    for day in (plan.starts_on, plan.ends_on):
        check_day(day)
    return service.campaigns.create(desk.access.session, desk.access.viewer, desk.at, plan)


def _change(desk: Desk, sent: Sent) -> int:
    state = sent.text("state")
    service.campaigns.change(
        desk.access.session, desk.access.viewer, sent.number("campaign"), sent.number("version"),
        state=CampaignState(state) if state in RUNS else None,
    )  # fmt: skip
    return sent.number("campaign")


def _add(desk: Desk, sent: Sent) -> int:
    kind = sent.text("list")
    if kind not in set(ItemList):
        raise InvalidInputError("There is no such list.", field="list", reason="no_category")
    line = service.campaigns.Line(
        ItemList(kind), sent.text("words"), _number(sent, "organisation"), _grid(desk, sent),
        sent.day("due_on"), _number(sent, "of"), _number(sent, "issue"),
    )  # fmt: skip
    check_day(line.due_on)
    session, viewer = desk.access.session, desk.access.viewer
    service.campaigns.add_line(session, viewer, desk.at, sent.number("campaign"), line)
    return sent.number("campaign")


def _tick(desk: Desk, sent: Sent) -> int:
    state = sent.text("state")
    if state not in STANDS:
        raise InvalidInputError("There is no such state.", field="state", reason="no_category")
    service.campaigns.tick(
        desk.access.session, desk.access.viewer, sent.number("campaign"), sent.number("n"),
        sent.number("version"), state=ItemState(state), note=sent.text("note"),
    )  # fmt: skip
    return sent.number("campaign")


ACTIONS: Final[Mapping[str, Callable[[Desk, Sent], int]]] = {
    "campaign.create": _create,
    "campaign.change": _change,
    "line.add": _add,
    "line.tick": _tick,
}
