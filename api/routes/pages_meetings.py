"""The page of meetings: what was spoken of, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response

from api.deps import check_day
from api.i18n import marked
from api.office_desk import Desk, Failed, Sent, SentDep
from api.routes.pages import Blank
from api.routes.pages_report import STATES
from api.routes.pages_together import (
    KEEPERS,
    DeskDep,
    KeeperDep,
    Number,
    Orders,
    RowNumber,
    Words,
    address,
    card_of,
    carry_out,
    client_id,
    fresh_id,
    mapped,
    mark,
    place_of,
)
from geo import service
from geo.errors import InvalidInputError
from geo.terms import IssueState, MeetingKind, MeetingState

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
COUNTS: Final = (marked("%(n)s meetings"), marked("%(n)s need a hand"))
"""What a point of the map says of a grid."""
DONE: Final[Mapping[str, str]] = {
    "meeting.create": marked("The meeting is entered."),
    "meeting.change": marked("The meeting is kept."),
    "topic.add": marked("The topic is written down."),
    "meeting.plan": marked("The meeting is kept."),
    "topic.settle": marked("What came of the topic is kept."),
    "topic.words": marked("The words of the topic are kept."),
    "topic.issue": marked("The topic is an issue now; the desk has it."),
}
Kind = Annotated[MeetingKind | None, Blank, Query()]
State = Annotated[MeetingState | None, Blank, Query()]


@dataclass(frozen=True)
class Narrow:
    """What the list is narrowed to, as it stands in the address."""

    kind: Kind = None
    state: State = None
    since: Annotated[date | None, Blank, Query(alias="from")] = None
    until: Annotated[date | None, Blank, Query(alias="to")] = None
    at: RowNumber = None


NarrowDep = Annotated[Narrow, Depends()]


@router.get("/meetings")
def show_meetings(
    desk: DeskDep, narrow: NarrowDep, meeting: Number = "", done: Words = ""
) -> Response:
    """Show the meetings of one's own areas."""
    return _page(desk, narrow, meeting, done=done)


@router.post("/meetings")
def change_meetings(desk: KeeperDep, narrow: NarrowDep, sent: SentDep) -> Response:
    """Enter or change a meeting or its topics; the form again when that fails."""

    def again(meeting: str, failed: Failed) -> Response:
        return _page(desk, narrow, meeting or "new", status=422, failed=failed)

    return carry_out(desk, sent, ACTIONS, "meeting", again)


def _page(
    desk: Desk,
    narrow: Narrow,
    meeting: str,
    *,
    done: str = "",
    status: int = 200,
    failed: Failed | None = None,
) -> Response:
    check_day(narrow.since)
    check_day(narrow.until)
    session, viewer = desk.access.session, desk.access.viewer
    zone = ZoneInfo(desk.city["timezone"])
    rows = service.meetings.listed(
        session, viewer, desk.at, since=narrow.since, until=narrow.until, kind=narrow.kind,
        state=narrow.state, grid=narrow.at,
    )  # fmt: skip
    chosen = card_of(meeting, partial(service.meetings.show, session, viewer, desk.at))
    for row in (*rows, *([chosen] if chosen else [])):
        row["held_at"] = row["held_at"].astimezone(zone)
    return desk.page(
        "meetings.html",
        status=status,
        groups=_groups(rows),
        rows=rows,
        most=service.meetings.LATEST,
        narrow=narrow,
        chosen=chosen,
        adding=meeting == "new" and viewer.role in KEEPERS,
        keeps=viewer.role in KEEPERS,
        kinds={code: desk.word(word) for code, word in KINDS.items()},
        stands={code: desk.word(word) for code, word in STANDS.items()},
        issue_states={state.value: desk.word(word) for state, word in STATES.items()},
        categories=service.kinds.categories(session, int(desk.access.city_id or 0)),
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
        fresh=fresh_id(),
        address=partial(address, desk),
        frame=mapped(desk),
        page={"marks": _marks(desk, rows, chosen), "view": _view(chosen)},
    )


def _groups(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return meetings by what is to be done with them: what waits, what comes, what is over."""
    groups: dict[str, list[Mapping[str, Any]]] = {"waits": [], "comes": [], "over": []}
    for row in rows:
        open_topics = row["state"] == MeetingState.HELD.value and row["unsettled"]
        if row["past"] or open_topics:
            groups["waits"].append(row)
        elif row["state"] == MeetingState.PLANNED.value:
            groups["comes"].insert(0, row)
        else:
            groups["over"].append(row)
    return groups


def _marks(
    desk: Desk, rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return the points of the map: the issues of the meeting that is shown, or grids with some."""
    if chosen is None:
        return _grids(desk, rows)
    return [
        mark(
            row,
            f"/issues?{urlencode({'city': desk.city['slug'], 'issue': row['issue']})}",
            tone="good" if row["issue_state"] == IssueState.CLOSED.value else "",
            name=row["words"],
            text=str(row["n"]),
        )
        for row in chosen["topics"]
        if row["lon"] is not None
    ]


def _grids(desk: Desk, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a point for each grid with meetings: how many they are, red where one waits."""
    grids: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["lon"] is not None:
            grids.setdefault(row["grid"], []).append(row)
    found = []
    for grid, held in grids.items():
        waits, comes = (len(_groups(held)[group]) for group in ("waits", "comes"))
        said = [desk.word(COUNTS[0]) % {"n": len(held)}]
        said += [desk.word(COUNTS[1]) % {"n": waits}] if waits else []
        name = f"{held[0]['grid_name']} · {' · '.join(said)}"
        tone = "bad" if any(row["past"] for row in held) else "watch" if waits else ""
        tone = tone or ("" if comes else "good")
        alone = {"meeting": held[0]["meeting"]} if len(held) == 1 else {"at": grid}
        found.append(
            mark(held[0], address(desk, **alone), tone=tone, name=name, text=str(len(held)))
        )
    return found


def _view(chosen: Mapping[str, Any] | None) -> list[float] | None:
    """Return the middle of the shown meeting's grid, (lon, lat) in degrees."""
    if chosen is None or chosen["lon"] is None:
        return None
    return [chosen["lon"], chosen["lat"]]


def _moment(desk: Desk, sent: Sent) -> datetime:
    found = sent.moment("held_at", desk.city["timezone"])
    if found is None:
        raise InvalidInputError("When is it?", field="held_at", reason="empty")
    return found


def _kind(sent: Sent) -> MeetingKind:
    kind = sent.text("kind")
    if kind not in KINDS:
        raise InvalidInputError("There is no such kind.", field="kind", reason="no_category")
    return MeetingKind(kind)


def _create(desk: Desk, sent: Sent) -> int:
    session, viewer = desk.access.session, desk.access.viewer
    grid = service.office.grid_of_code(session, viewer, desk.at, sent.text("grid"))
    plan = service.meetings.Plan(
        _kind(sent), sent.text("title"), sent.text("place"), _moment(desk, sent), grid.grid_id
    )
    return service.meetings.create(session, viewer, desk.at, plan, client_id(sent)).number


def _change(desk: Desk, sent: Sent) -> int:
    state = sent.text("state")
    if state not in STANDS:
        raise InvalidInputError("There is no such state.", field="state", reason="no_category")
    return _keep(desk, sent, {"state": state, "outcome": sent.text("outcome")})


def _plan(desk: Desk, sent: Sent) -> int:
    said = {"kind": _kind(sent), "held_at": _moment(desk, sent)}
    return _keep(desk, sent, said | {name: sent.text(name) for name in ("title", "place")})


def _keep(desk: Desk, sent: Sent, said: Mapping[str, Any]) -> int:
    meeting = sent.number("meeting")
    service.meetings.change(
        desk.access.session, desk.access.viewer, desk.at, meeting, sent.number("version"), said
    )
    return meeting


def _add_topic(desk: Desk, sent: Sent) -> int:
    session, viewer, meeting = desk.access.session, desk.access.viewer, sent.number("meeting")
    service.meetings.add_topic(session, viewer, meeting, sent.text("words"), client_id(sent))
    return meeting


def _change_topic(desk: Desk, sent: Sent) -> int:
    meeting = sent.number("meeting")
    said: dict[str, Any] = {
        name: sent.text(name) for name in ("words", "outcome") if name in sent.values
    }
    service.meetings.change_topic(
        desk.access.session, desk.access.viewer, meeting, sent.number("n"),
        sent.number("version"), said,
    )  # fmt: skip
    return meeting


def _raise(desk: Desk, sent: Sent) -> int:
    service.meetings.raise_issue(
        desk.access.session, desk.access.viewer, desk.at, sent.number("meeting"),
        sent.number("n"), category=sent.text("category"), address=sent.text("address"),
        **place_of(sent),
    )  # fmt: skip
    return sent.number("meeting")


ACTIONS: Final[Orders] = {
    "meeting.create": _create,
    "meeting.change": _change,
    "meeting.plan": _plan,
    "topic.add": _add_topic,
    "topic.settle": _change_topic,
    "topic.words": _change_topic,
    "topic.issue": _raise,
}
