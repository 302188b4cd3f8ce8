"""The page of things that tell of themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse

from api.i18n import marked
from api.office_desk import REFUSALS, Desk, Failed, Sent, SentDep, desk_for
from geo import service
from geo.errors import InvalidInputError
from geo.terms import STAFF, DeviceKind, Role

router = APIRouter(include_in_schema=False)

KINDS: Final[Mapping[str, str]] = {
    DeviceKind.MANHOLE: marked("Manhole cover"),
    DeviceKind.WATER: marked("Water on the road"),
    DeviceKind.LAMP: marked("Street lamp"),
    DeviceKind.BIN: marked("Rubbish bin"),
    DeviceKind.GAS: marked("Gas"),
    DeviceKind.SMOKE: marked("Smoke in a shared room"),
    DeviceKind.POWER: marked("Power box"),
    DeviceKind.LIFT: marked("Lift"),
    DeviceKind.TILT: marked("Tilt of a sign, tree or slope"),
    DeviceKind.PIPE: marked("Pipe"),
}
DONE: Final[Mapping[str, str]] = {
    "device.change": marked("The device is changed."),
}
Number = Annotated[str, Query(max_length=18, pattern=r"^(\d*|new)$")]
Words = Annotated[str, Query(max_length=100)]
DeskDep = Annotated[Desk, Depends(desk_for(*sorted(STAFF)), scope="function")]
KeeperDep = Annotated[Desk, Depends(desk_for(Role.ADMINISTRATOR), scope="function")]


@router.get("/issues/devices")
def show_devices(desk: DeskDep, device: Number = "", done: Words = "") -> Response:
    """Show the things of one's own areas that tell of themselves."""
    return _page(desk, device, done=done)


@router.post("/issues/devices")
def change_devices(desk: KeeperDep, sent: SentDep) -> Response:
    """Put a thing on the list or change one; the form again, with a sentence, when that fails."""
    do, device = sent.text("do"), sent.text("device")
    try:
        if do not in ACTIONS:
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            made = ACTIONS[do](desk, sent)
    except REFUSALS as error:
        return _page(desk, device or "new", status=422, failed=desk.failed(sent, error))
    if made:
        return _page(desk, str(made["device"]), made=made)
    query = {"city": desk.city["slug"], "device": device, "done": do}
    return RedirectResponse(f"/issues/devices?{urlencode(query)}", 303)


def _page(
    desk: Desk,
    device: str,
    *,
    done: str = "",
    status: int = 200,
    failed: Failed | None = None,
    made: dict[str, Any] | None = None,
) -> Response:
    session, viewer = desk.access.session, desk.access.viewer
    zone = ZoneInfo(desk.city["timezone"])
    rows = service.devices.listed(session, viewer)
    for row in rows:
        row["last_at"] = row["last_at"].astimezone(zone) if row["last_at"] else None
    chosen = next((row for row in rows if str(row["device"]) == device), None)
    told = service.devices.alarms(session, viewer, chosen["device"]) if chosen else []
    for row in told:
        row["at"] = row["at"].astimezone(zone)
    return desk.page(
        "devices.html",
        status=status,
        rows=rows,
        chosen=chosen,
        adding=device == "new",
        alarms=told,
        kinds={code: desk.word(word) for code, word in KINDS.items()},
        categories=service.kinds.categories(session, int(desk.access.city_id or 0)),
        keeps=viewer.role is Role.ADMINISTRATOR,
        address=f"{desk.request.base_url}api/v1/cities/{desk.city['slug']}/alarms/",
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
        made=made,
    )


def _add(desk: Desk, sent: Sent) -> dict[str, Any]:
    kind = sent.text("kind")
    if kind not in KINDS:
        raise InvalidInputError("There is no such kind.", field="kind", reason="no_unit")
    return service.devices.add(
        desk.access.session, desk.access.viewer, desk.at, name=sent.text("name"),
        kind=DeviceKind(kind), category=sent.text("category"), lon=sent.real("lon"),
        lat=sent.real("lat"),
    )  # fmt: skip


def _change(desk: Desk, sent: Sent) -> dict[str, Any] | None:
    service.devices.change(
        desk.access.session, desk.access.viewer, sent.number("device"), name=sent.text("name"),
        category=sent.text("category"), enabled=sent.ticked("enabled"),
    )  # fmt: skip
    return None


def _renew(desk: Desk, sent: Sent) -> dict[str, Any]:
    session, viewer, device = desk.access.session, desk.access.viewer, sent.number("device")
    secret = service.devices.change(session, viewer, device, new_key=True)
    rows = service.devices.listed(session, viewer)
    code = next(row["code"] for row in rows if row["device"] == device)
    return {"device": device, "code": code, "secret": secret}


ACTIONS: Final[Mapping[str, Callable[[Desk, Sent], dict[str, Any] | None]]] = {
    "device.add": _add,
    "device.change": _change,
    "device.key": _renew,
}
