"""The page of the administrator: accounts, levels, codes, kinds, cities, the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse

from api import i18n, log_words, rendering
from api.i18n import marked
from api.office_desk import REFUSALS, Desk, Failed, Sent, SentDep, desk_for
from geo import service
from geo.errors import InvalidInputError
from geo.terms import STAFF, Role

router = APIRouter(include_in_schema=False)

Tab = Literal["accounts", "levels", "codes", "kinds", "cities", "log"]
LOG_ROWS: Final = 100
DONE: Final[Mapping[str, str]] = {
    "account.areas": marked("The account acts in other grids from its next request on."),
    "account.disable": marked("The account is shut, and all its sign-ins are ended."),
    "account.enable": marked("The account is open again."),
    "session.end": marked("The sign-in is ended; the device has to sign in again."),
    "level.change": marked("The level is changed."),
    "kind.put": marked("The kind of stations is kept."),
    "category.put": marked("The category is kept."),
    "demo.drop": marked("The demo city is gone; its log stays."),
}
Shown = dict[str, Any] | None

DeskDep = Annotated[Desk, Depends(desk_for(Role.ADMINISTRATOR), scope="function")]
Words = Annotated[str, Query(max_length=100)]
Number = Annotated[str, Query(max_length=18, pattern=r"^\d*$")]


@router.get("/admin")
def show_admin(
    desk: DeskDep,
    tab: Tab = "accounts",
    user: Number = "",
    before: Number = "",
    done: Words = "",
) -> Response:
    """Show what an administrator keeps."""
    return _page(desk, tab, user=user, before=before, done=done)


@router.post("/admin")
def change_admin(desk: DeskDep, sent: SentDep, tab: Tab = "accounts") -> Response:
    """Change something; the form again, with a sentence, when that fails."""
    do = sent.text("do")
    try:
        if do not in ACTIONS:
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            shown = ACTIONS[do](desk, sent)
    except REFUSALS as error:
        return _page(desk, tab, user=sent.text("user"), status=422, failed=desk.failed(sent, error))
    if shown is not None:
        return _page(desk, tab, user=sent.text("user"), **shown)
    if do == "demo.drop" and sent.text("slug") == desk.city["slug"]:
        return RedirectResponse("/start", 303)
    query = {"city": desk.city["slug"], "tab": tab, "done": do}
    return RedirectResponse(f"/admin?{urlencode(query)}", 303)


def _page(
    desk: Desk,
    tab: str,
    *,
    user: str = "",
    before: str = "",
    done: str = "",
    status: int = 200,
    failed: Failed | None = None,
    made: dict[str, Any] | None = None,
) -> Response:
    values = TABS[tab](desk, user, before)
    return desk.page(
        "admin.html",
        status=status,
        tab=tab,
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
        made=made,
        role_words={role.value: desk.word(rendering.ROLES[role]) for role in Role if role in STAFF},
        **values,
    )


def _accounts(desk: Desk, user: str, before: str) -> dict[str, Any]:
    session, viewer = desk.access.session, desk.access.viewer
    seen = service.seen_accounts(viewer)
    listed = service.desk.listing(session, viewer, seen)
    chosen = next((one for one in listed if str(one["user"]) == user), None)
    opened = service.desk.sessions(session, viewer, seen, chosen["user"]) if chosen else []
    zone = ZoneInfo(desk.city["timezone"])
    for one in opened:
        one["created_at"] = one["created_at"].astimezone(zone)
    return {"accounts": listed, "chosen": chosen, "sessions": opened}


def _levels(desk: Desk, user: str, before: str) -> dict[str, Any]:
    return {}


def _codes(desk: Desk, user: str, before: str) -> dict[str, Any]:
    return {"scheme": service.kinds.scheme(desk.access.session, int(desk.access.city_id or 0))}


def _kinds(desk: Desk, user: str, before: str) -> dict[str, Any]:
    session, city_id = desk.access.session, int(desk.access.city_id or 0)
    return {
        "station_kinds": service.kinds.station_kinds(session, city_id),
        "categories": service.kinds.categories(session, city_id),
    }


def _log(desk: Desk, user: str, before: str) -> dict[str, Any]:
    rows = service.audit_rows(
        desk.access.session,
        desk.access.viewer,
        before=int(before) if before else None,
        limit=LOG_ROWS,
    )
    zone = ZoneInfo(desk.city["timezone"])
    language = i18n.get_language(desk.request)
    rows = [
        {
            **row,
            "at": row["at"].astimezone(zone),
            "action_word": log_words.action_word(row["action"], language),
            "object_word": log_words.object_word(row["object"], language),
        }
        for row in rows
    ]
    return {"rows": rows, "more": rows[-1]["n"] if len(rows) == LOG_ROWS else None}


TABS: Final[Mapping[str, Callable[[Desk, str, str], dict[str, Any]]]] = {
    "accounts": _accounts,
    "levels": _levels,
    "codes": _codes,
    "kinds": _kinds,
    "cities": _levels,
    "log": _log,
}


def _grids(desk: Desk, sent: Sent) -> list[int]:
    """Return the grids whose codes were typed, apart by spaces, commas or lines."""
    session, viewer = desk.access.session, desk.access.viewer
    codes = sent.text("grids").replace("，", " ").replace("、", " ").replace(",", " ").split()
    return [service.office.grid_of_code(session, viewer, desk.at, code).grid_id for code in codes]


def _create_account(desk: Desk, sent: Sent) -> Shown:
    session, viewer = desk.access.session, desk.access.viewer
    grids = _grids(desk, sent)
    organisation = sent.text("organisation")
    login = sent.text("login")
    _, password = service.desk.create(
        session,
        viewer,
        login=login,
        display_name=sent.text("display_name"),
        role=sent.text("role"),
        password=sent.text("password") or None,
        grid_ids=grids,
        organisation_id=sent.number("organisation") if organisation else None,
        worker_id=sent.number("worker") if sent.text("worker") else None,
    )
    return {"made": {"login": login.lower(), "password": password, "new": True}}


def _reset(desk: Desk, sent: Sent) -> Shown:
    viewer = desk.access.viewer
    login, password = service.desk.reset_password(
        desk.access.session, viewer, service.seen_accounts(viewer), sent.number("user")
    )
    return {"made": {"login": login, "password": password, "new": False}}


def _set_areas(desk: Desk, sent: Sent) -> Shown:
    viewer = desk.access.viewer
    seen = service.seen_accounts(viewer)
    user = sent.number("user")
    service.desk.set_areas(desk.access.session, viewer, seen, user, _grids(desk, sent))
    return None


def _set_disabled(disabled: bool) -> Callable[[Desk, Sent], Shown]:
    def act(desk: Desk, sent: Sent) -> Shown:
        viewer = desk.access.viewer
        seen = service.seen_accounts(viewer)
        service.desk.set_disabled(
            desk.access.session, viewer, seen, sent.number("user"), disabled=disabled
        )
        return None

    return act


def _end_session(desk: Desk, sent: Sent) -> Shown:
    viewer = desk.access.viewer
    seen = service.seen_accounts(viewer)
    service.desk.end_session(desk.access.session, viewer, seen, sent.number("session"))
    return None


def _change_level(desk: Desk, sent: Sent) -> Shown:
    service.kinds.change_level(
        desk.access.session,
        desk.access.viewer,
        sent.number("level"),
        name=sent.text("name"),
        name_en=sent.text("name_en"),
        zoom_min=sent.number("zoom_min"),
        zoom_max=sent.number("zoom_max"),
    )
    return None


def _put_kind(desk: Desk, sent: Sent) -> Shown:
    service.kinds.put_station_kind(
        desk.access.session,
        desk.access.viewer,
        sent.text("code"),
        name=sent.text("name"),
        name_en=sent.text("name_en"),
        serves=sent.text("serves"),
        new=sent.ticked("new"),
    )
    return None


def _put_category(desk: Desk, sent: Sent) -> Shown:
    service.kinds.put_category(
        desk.access.session,
        desk.access.viewer,
        sent.text("code"),
        name=sent.text("name"),
        name_en=sent.text("name_en"),
        parent=sent.text("parent") or None,
        new=sent.ticked("new"),
    )
    return None


def _drop_demo(desk: Desk, sent: Sent) -> Shown:
    service.founding.drop_demo(desk.access.session, desk.access.viewer, sent.text("slug"))
    return None


ACTIONS: Final[Mapping[str, Callable[[Desk, Sent], Shown]]] = {
    "account.create": _create_account,
    "account.reset": _reset,
    "account.areas": _set_areas,
    "account.disable": _set_disabled(True),
    "account.enable": _set_disabled(False),
    "session.end": _end_session,
    "level.change": _change_level,
    "kind.put": _put_kind,
    "category.put": _put_category,
    "demo.drop": _drop_demo,
}
