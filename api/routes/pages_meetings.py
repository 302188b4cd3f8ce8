"""The page of meetings: what was spoken of, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse

from api.i18n import marked
from api.office_desk import REFUSALS, Desk, Failed, Sent, SentDep, desk_for
from api.routes.pages_report import STATES
from geo import service
from geo.errors import InvalidInputError, StaleEditError
from geo.terms import STAFF, MeetingKind, MeetingState, Role

router = APIRouter(include_in_schema=False)

KINDS: Final[Mapping[str, str]] = {
    MeetingKind.TALK: marked("Residents' talk"),
    MeetingKind.COUNCIL: marked("Council of residents"),
    MeetingKind.RECEPTION: marked("Reception day"),
}
STANDS: Final[Mapping[str, str]] = {
    MeetingState.PLANNED: marked("to come"),
    MeetingState.HELD: marked("held"),
    MeetingState.CANCELLED: marked("is off"),
}
DONE: Final[Mapping[str, str]] = {
    "meeting.create": marked("The meeting is entered."),
    "meeting.change": marked("The meeting is kept."),
    "topic.add": marked("The topic is written down."),
    "topic.settle": marked("What came of the topic is kept."),
    "topic.issue": marked("The topic is an issue now; the desk has it."),
}
KEEPERS: Final = frozenset({Role.ADMINISTRATOR, Role.COMMUNITY})
Number = Annotated[str, Query(max_length=18, pattern=r"^(\d*|new)$")]
Words = Annotated[str, Query(max_length=100)]
DeskDep = Annotated[Desk, Depends(desk_for(*sorted(STAFF)), scope="function")]
KeeperDep = Annotated[Desk, Depends(desk_for(*sorted(KEEPERS)), scope="function")]


@router.get("/meetings")
def show_meetings(desk: DeskDep, meeting: Number = "", done: Words = "") -> Response:
    """Show the meetings of one's own areas."""
    return _page(desk, meeting, done=done)


@router.post("/meetings")
def change_meetings(desk: KeeperDep, sent: SentDep) -> Response:
    """Enter or change a meeting or its topics; the form again when that fails."""
    do, meeting = sent.text("do"), sent.text("meeting")
    try:
        if do not in ACTIONS:
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            meeting = str(ACTIONS[do](desk, sent))
    except (*REFUSALS, StaleEditError) as error:
        desk.access.session.expire_all()
        return _page(desk, meeting or "new", status=422, failed=desk.failed(sent, error))
    query = {"city": desk.city["slug"], "meeting": meeting, "done": do}
    return RedirectResponse(f"/meetings?{urlencode(query)}", 303)


def _page(
    desk: Desk, meeting: str, *, done: str = "", status: int = 200, failed: Failed | None = None
) -> Response:
    session, viewer = desk.access.session, desk.access.viewer
    zone = ZoneInfo(desk.city["timezone"])
    rows = service.meetings.listed(session, viewer, desk.at)
    for row in rows:
        row["held_at"] = row["held_at"].astimezone(zone)
    known = any(str(row["meeting"]) == meeting for row in rows)
    chosen = service.meetings.show(session, viewer, desk.at, int(meeting)) if known else None
    if chosen:
        chosen["held_at"] = chosen["held_at"].astimezone(zone)
    return desk.page(
        "meetings.html",
        status=status,
        rows=rows,
        chosen=chosen,
        adding=meeting == "new" or (failed is not None and not known),
        keeps=viewer.role in KEEPERS,
        kinds={code: desk.word(word) for code, word in KINDS.items()},
        stands={code: desk.word(word) for code, word in STANDS.items()},
        issue_states={state.value: desk.word(word) for state, word in STATES.items()},
        categories=service.kinds.categories(session, int(desk.access.city_id or 0)),
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
    )


def _moment(desk: Desk, sent: Sent) -> datetime:
    found = sent.moment("held_at", desk.city["timezone"])
    if found is None:
        raise InvalidInputError("When is it?", field="held_at", reason="empty")
    return found


def _create(desk: Desk, sent: Sent) -> int:
    session, viewer = desk.access.session, desk.access.viewer
    kind = sent.text("kind")
    if kind not in KINDS:
        raise InvalidInputError("There is no such kind.", field="kind", reason="no_category")
    grid = service.office.grid_of_code(session, viewer, desk.at, sent.text("grid"))
    plan = service.meetings.Plan(
        MeetingKind(kind), sent.text("title"), sent.text("place"), _moment(desk, sent),
        grid.grid_id,
    )  # fmt: skip
    return service.meetings.create(session, viewer, desk.at, plan)


def _change(desk: Desk, sent: Sent) -> int:
    state = sent.text("state")
    service.meetings.change(
        desk.access.session, desk.access.viewer, sent.number("meeting"), sent.number("version"),
        state=MeetingState(state) if state in STANDS else None, outcome=sent.text("outcome"),
    )  # fmt: skip
    return sent.number("meeting")


def _add_topic(desk: Desk, sent: Sent) -> int:
    session, viewer = desk.access.session, desk.access.viewer
    service.meetings.add_topic(session, viewer, sent.number("meeting"), sent.text("words"))
    return sent.number("meeting")


def _settle(desk: Desk, sent: Sent) -> int:
    service.meetings.settle(
        desk.access.session, desk.access.viewer, sent.number("meeting"), sent.number("n"),
        sent.text("outcome"),
    )  # fmt: skip
    return sent.number("meeting")


def _raise(desk: Desk, sent: Sent) -> int:
    place: dict[str, Any] = {}
    if sent.text("lon") or sent.text("lat"):
        place = {"lon": sent.real("lon"), "lat": sent.real("lat")}
    service.meetings.raise_issue(
        desk.access.session, desk.access.viewer, desk.at, sent.number("meeting"),
        sent.number("n"), category=sent.text("category"), address=sent.text("address"), **place,
    )  # fmt: skip
    return sent.number("meeting")


ACTIONS: Final[Mapping[str, Callable[[Desk, Sent], int]]] = {
    "meeting.create": _create,
    "meeting.change": _change,
    "topic.add": _add_topic,
    "topic.settle": _settle,
    "topic.issue": _raise,
}
