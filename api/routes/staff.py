"""The page of people and posts: teams, workers, notices, phones, the roster as a workbook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from markupsafe import escape

from api import auth, office_words, rendering
from api.i18n import marked
from api.office_desk import REFUSALS, Desk, Failed, Sent, SentDep, desk_for
from geo import service
from geo.errors import InvalidInputError
from geo.terms import NoticeKind, Role

router = APIRouter(include_in_schema=False)

Tab = Literal["posts", "workers", "notices", "phones", "roster"]
TEAMS: Final = 30
WORKERS: Final = 50
NOTHING: Final = {"q": "", "role": "", "vacant": ""}
"""A list that is not narrowed."""
KINDS: Final[Mapping[str, str]] = {
    NoticeKind.WATER: marked("Water supply"),
    NoticeKind.POWER: marked("Power supply"),
    NoticeKind.HEATING: marked("Heating"),
    NoticeKind.WORKS: marked("Works"),
    NoticeKind.OTHER: marked("Other"),
}
DONE: Final[Mapping[str, str]] = {
    "post.create": marked("The post is open."),
    "post.assign": marked("The post is given."),
    "post.end": marked("The post has its end; its row stays in the book."),
    "post.change": marked("The post is corrected."),
    "post.stand_in": marked("The stand-in is entered."),
    "worker.create": marked("The worker is entered."),
    "worker.change": marked("The worker is corrected."),
    "account.create": marked("The account is made; now sign the phone in."),
    "notice.create": marked("The notice is up; it can be read at the doors."),
    "notice.change": marked("The notice is changed."),
    "notice.withdraw": marked("The notice is down."),
    "session.end": marked("The sign-in is ended; the device has to sign in again."),
}

DeskDep = Annotated[
    Desk,
    Depends(desk_for(Role.ADMINISTRATOR, Role.PLANNER, Role.COMMUNITY), scope="function"),
]
Words = Annotated[str, Query(max_length=100)]
Number = Annotated[str, Query(max_length=18, pattern=r"^(\d*|new)$")]


@router.get("/staff")
def show_staff(
    desk: DeskDep,
    tab: Tab = "posts",
    q: Words = "",
    role: Words = "",
    vacant: Words = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    post: Number = "",
    grid: Number = "",
    worker: Number = "",
    notice: Number = "",
    after: Annotated[str, Query(max_length=8000)] = "",
    done: Words = "",
) -> Response:
    """Show people and posts of the own area."""
    chosen = {"post": post, "grid": grid, "worker": worker, "notice": notice}
    asked = {"q": "".join(filter(str.isprintable, q)).strip(), "role": role, "vacant": vacant}
    return _page(desk, tab, asked, chosen, number=page, after=after, done=done)


@router.get("/staff/workers")
def find_workers(desk: DeskDep, worker: Words = "") -> HTMLResponse:
    """Return workers whose name or number is like this, as choices of a field."""
    found = service.office.find_workers(
        desk.access.session, desk.access.viewer, service.seen_workers(desk.access.viewer), worker
    )
    options = (f'<option value="{one["worker"]} {escape(one["name"])}">' for one in found)
    return HTMLResponse("".join(options))


@router.post("/staff")
def change_staff(desk: DeskDep, sent: SentDep, tab: Tab = "posts") -> Response:
    """Change something of people and posts; the form again, with a sentence, when that fails."""
    do = sent.text("do")
    chosen = {name: sent.text(name) for name in ("post", "grid", "notice")}
    chosen["worker"] = sent.text("number")
    try:
        if do not in ACTIONS:
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            shown = ACTIONS[do](desk, sent)
    except REFUSALS as error:
        desk.access.session.expire_all()
        failed = desk.failed(sent, error)
        return _page(desk, tab, NOTHING, chosen, status=422, failed=failed)
    if shown is not None:
        return _page(desk, tab, NOTHING, chosen, **shown)
    query = {"city": desk.city["slug"], "tab": tab, "done": do}
    return RedirectResponse(f"/staff?{urlencode(query)}", 303)


def _page(
    desk: Desk,
    tab: str,
    asked: Mapping[str, str],
    chosen: Mapping[str, str],
    *,
    number: int = 1,
    after: str = "",
    done: str = "",
    status: int = 200,
    failed: Failed | None = None,
    **shown: Any,
) -> Response:
    values: dict[str, Any] = {"teams": [], "count": 0, "chosen": None, "people": None}
    if desk.moment is not None:
        values |= TABS[tab](desk, asked, chosen, number, after)
    roles = service.office.roles(desk.moment) if desk.moment else {}
    told = desk.word(DONE[done]) if done in DONE else ""
    return desk.page(
        "staff.html",
        status=status,
        tab=tab,
        asked=dict(asked),
        wanted=dict(chosen),
        number=number,
        size=TEAMS,
        roles=roles,
        kinds={code: desk.word(name) for code, name in KINDS.items()},
        done=told,
        failed=failed,
        **{"report": None, "phone": None, "made": None, **values, **shown},
    )


# ---- what the tabs show --------------------------------------------------------------------------


def _teams(
    desk: Desk, asked: Mapping[str, str], chosen: Mapping[str, str], number: int, after: str
) -> dict[str, Any]:
    session, viewer = desk.access.session, desk.access.viewer
    seen = service.seen_workers(viewer)
    narrow = service.teams.TeamFilter(
        asked.get("q") or None, asked.get("role") or None, bool(asked.get("vacant"))
    )
    offset = (number - 1) * TEAMS
    found, count = service.teams.teams(
        session, viewer, desk.at, seen, narrow, limit=TEAMS, offset=offset
    )
    picked = None
    if chosen.get("post", "").isdecimal():
        grid = service.teams.grid_of_post(session, viewer, int(chosen["post"]))
        picked = service.teams.one_team(session, viewer, desk.at, seen, grid)
        picked["post"] = next(
            (one for one in picked["posts"] if one["post"] == int(chosen["post"])), None
        )
    elif chosen.get("grid", "").isdecimal():
        picked = service.teams.one_team(session, viewer, desk.at, seen, int(chosen["grid"]))
        picked["post"] = None
    return {"teams": found, "count": count, "chosen": picked}


def _workers(
    desk: Desk, asked: Mapping[str, str], chosen: Mapping[str, str], number: int, after: str
) -> dict[str, Any]:
    session, viewer = desk.access.session, desk.access.viewer
    turn = service.Turn(WORKERS, after or None)
    question = service.Asked(int(desk.access.city_id or 0))
    q = asked.get("q") or None
    _, page = service.list_workers(session, viewer, question, turn, q)
    picked = None
    if chosen.get("worker", "").isdecimal():
        wanted = int(chosen["worker"])
        _, few = service.list_workers(session, viewer, question, service.Turn(5), str(wanted))
        picked = next((one for one in few.items if one["worker"] == wanted), None)
    accounts = {}
    if viewer.role is not Role.PLANNER:
        listed = service.desk.listing(session, viewer, service.seen_accounts(viewer), read=False)
        accounts = {one["worker"]: one for one in listed if one["worker"]}
    return {"people": page, "chosen": picked, "accounts": accounts}


def _notices(
    desk: Desk, asked: Mapping[str, str], chosen: Mapping[str, str], number: int, after: str
) -> dict[str, Any]:
    zone = ZoneInfo(desk.city["timezone"])
    found = [
        {
            **one,
            "local_begins": one["begins_at"].astimezone(zone),
            "local_ends": one["ends_at"].astimezone(zone) if one["ends_at"] else None,
        }
        for one in service.notices.listing(desk.access.session, desk.access.viewer, desk.at)
    ]
    picked = next((one for one in found if str(one["notice"]) == chosen.get("notice")), None)
    return {"notices": found, "chosen": picked}


def _phones(
    desk: Desk, asked: Mapping[str, str], chosen: Mapping[str, str], number: int, after: str
) -> dict[str, Any]:
    session, viewer = desk.access.session, desk.access.viewer
    if viewer.role is Role.PLANNER:
        return {"phones": [], "sessions": {}}
    seen = service.seen_accounts(viewer)
    listed = service.desk.listing(session, viewer, seen)
    phones = [one for one in listed if one["role"] == Role.WORKER and not one["disabled_at"]]
    opened: dict[int, list[Any]] = {}
    for one in service.desk.sessions(session, viewer, seen):
        opened.setdefault(one["user"], []).append(one)
    return {"phones": phones, "sessions": opened}


def _roster(
    desk: Desk, asked: Mapping[str, str], chosen: Mapping[str, str], number: int, after: str
) -> dict[str, Any]:
    return {"columns": service.roster.COLUMNS}


TABS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "posts": _teams,
    "workers": _workers,
    "notices": _notices,
    "phones": _phones,
    "roster": _roster,
}

# ---- what is changed -----------------------------------------------------------------------------

Shown = dict[str, Any] | None


def _worker(desk: Desk, sent: Sent) -> int:
    session, viewer = desk.access.session, desk.access.viewer
    seen = service.seen_workers(viewer)
    return service.office.worker_of(session, viewer, seen, sent.text("worker"))


def _create_post(desk: Desk, sent: Sent) -> Shown:
    session, viewer = desk.access.session, desk.access.viewer
    grid = service.office.grid_of_code(session, viewer, desk.at, sent.text("code"))
    new = service.office.NewPost(
        grid=grid.grid_id,
        role=sent.text("role"),
        worker=_worker(desk, sent) if sent.text("worker") else None,
        duty_number=sent.text("duty_number"),
        part_time=sent.ticked("part_time"),
        valid_from=sent.day("valid_from"),
        valid_to=service.office.day_after(sent.day("last_day")),
    )
    service.office.create_post(session, viewer, desk.at, new)
    return None


def _assign(desk: Desk, sent: Sent) -> Shown:
    worker = None if sent.text("vacate") else _worker(desk, sent)
    service.office.assign(
        desk.access.session, desk.access.viewer, sent.number("post"), worker,
        sent.needed_day("day"),
    )  # fmt: skip
    return None


def _end_post(desk: Desk, sent: Sent) -> Shown:
    service.office.end_post(
        desk.access.session,
        desk.access.viewer,
        sent.number("post"),
        sent.needed_day("last_day"),
    )
    return None


def _change_post(desk: Desk, sent: Sent) -> Shown:
    service.office.change_post(
        desk.access.session,
        desk.access.viewer,
        sent.number("post"),
        duty_number=sent.text("duty_number"),
        part_time=sent.ticked("part_time"),
    )
    return None


def _stand_in(desk: Desk, sent: Sent) -> Shown:
    service.office.stand_in(
        desk.access.session, desk.access.viewer, desk.at, sent.number("post"),
        _worker(desk, sent), sent.needed_day("valid_from"), sent.needed_day("last_day"),
        duty_number=sent.text("duty_number"),
    )  # fmt: skip
    return None


def _create_worker(desk: Desk, sent: Sent) -> Shown:
    service.office.create_worker(
        desk.access.session,
        desk.access.viewer,
        sent.text("name"),
        name_consent=sent.ticked("name_consent"),
    )
    return None


def _change_worker(desk: Desk, sent: Sent) -> Shown:
    service.office.change_worker(
        desk.access.session,
        desk.access.viewer,
        sent.number("number"),
        name=sent.text("name"),
        name_consent=sent.ticked("name_consent"),
    )
    return None


def _create_account(desk: Desk, sent: Sent) -> Shown:
    user, _ = service.desk.create(
        desk.access.session,
        desk.access.viewer,
        login=sent.text("login"),
        display_name=sent.text("name"),
        role=Role.WORKER,
        worker_id=sent.number("number"),
    )
    return _phone(desk, user)


def _phone_link(desk: Desk, sent: Sent) -> Shown:
    return _phone(desk, sent.number("user"))


def _phone(desk: Desk, user: int) -> dict[str, Any]:
    """Return the picture that a phone reads, and whose phone that signs in."""
    token = auth.new_token()
    viewer = desk.access.viewer
    seen = service.seen_accounts(viewer)
    made = service.desk.create_phone_link(
        desk.access.session, viewer, seen, user, auth.token_hash(token)
    )
    address = f"{rendering.own_address(desk.request)}/phone/{token}"
    return {"phone": {**made, "url": address, "picture": rendering.qr_code(address)}}


def _end_session(desk: Desk, sent: Sent) -> Shown:
    viewer = desk.access.viewer
    seen = service.seen_accounts(viewer)
    service.desk.end_session(desk.access.session, viewer, seen, sent.number("session"))
    return None


def _notice_text(desk: Desk, sent: Sent) -> service.notices.NoticeText:
    zone = desk.city["timezone"]
    begins = sent.moment("begins_at", zone)
    if begins is None:
        raise InvalidInputError("begins_at is empty.", field="begins_at", reason="empty")
    return service.notices.NoticeText(
        sent.text("kind"), sent.text("title"), sent.text("body"), begins,
        sent.moment("ends_at", zone),
    )  # fmt: skip


def _create_notice(desk: Desk, sent: Sent) -> Shown:
    session, viewer = desk.access.session, desk.access.viewer
    grid = service.office.grid_of_code(session, viewer, desk.at, sent.text("code"))
    service.notices.create(session, viewer, desk.at, grid.grid_id, _notice_text(desk, sent))
    return None


def _change_notice(desk: Desk, sent: Sent) -> Shown:
    service.notices.change(
        desk.access.session, desk.access.viewer, sent.number("notice"), _notice_text(desk, sent)
    )
    return None


def _withdraw_notice(desk: Desk, sent: Sent) -> Shown:
    service.notices.withdraw(desk.access.session, desk.access.viewer, sent.number("notice"))
    return None


def _take_roster(desk: Desk, sent: Sent) -> Shown:
    viewer = desk.access.viewer
    report = service.roster.take(
        desk.access.session, viewer, desk.at, service.seen_workers(viewer), sent.file("file"),
        write=sent.ticked("write"),
    )  # fmt: skip
    names = service.roster.COLUMNS
    column = 0 if desk.word("Posts") != "Posts" else 1
    rows = [
        {
            "row": one.row,
            "column": names[one.column][column] if one.column in names else "",
            "sentence": office_words.sentence(
                desk.word, one.reason, one.value, service.office.LONGEST_NAME
            ),
        }
        for one in report.rejected[: service.roster.MOST_TOLD]
    ]
    return {"report": {**vars(report), "rows_told": rows}}


ACTIONS: Final[Mapping[str, Callable[[Desk, Sent], Shown]]] = {
    "post.create": _create_post,
    "post.assign": _assign,
    "post.end": _end_post,
    "post.change": _change_post,
    "post.stand_in": _stand_in,
    "worker.create": _create_worker,
    "worker.change": _change_worker,
    "account.create": _create_account,
    "phone.link": _phone_link,
    "session.end": _end_session,
    "notice.create": _create_notice,
    "notice.change": _change_notice,
    "notice.withdraw": _withdraw_notice,
    "roster.take": _take_roster,
}
