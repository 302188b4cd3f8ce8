"""The page of things that tell of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse

from api.i18n import marked
from api.office_desk import REFUSALS, Desk, Failed, Sent, SentDep, desk_for
from api.routes.pages import Blank
from api.routes.pages_together import DeskDep, Number, Words, address, mapped, mark
from geo import service
from geo.errors import InvalidInputError, OutsideCityError
from geo.terms import DeviceKind, Role

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
STATES: Final[Mapping[str, str]] = {
    "telling": marked("in alarm"),
    "quiet": marked("is heard"),
    "shut": marked("shut"),
}
TONES: Final[Mapping[str, str]] = {"telling": "watch", "quiet": "good", "shut": "quiet"}
MOST_SHOWN: Final = 200
"""Rows of the list; the map shows all that were found."""
KeeperDep = Annotated[Desk, Depends(desk_for(Role.ADMINISTRATOR), scope="function")]


@dataclass(frozen=True)
class Narrow:
    """Which things are shown, as it stands in the address."""

    q: Annotated[str | None, Blank, Query(max_length=100)] = None
    kind: Annotated[DeviceKind | None, Blank, Query()] = None
    state: Annotated[Literal["telling", "quiet", "shut"] | None, Blank, Query()] = None

    def shows(self, row: Mapping[str, Any]) -> bool:
        """Say whether a thing is shown."""
        words = (self.q or "").casefold()
        named = words in row["name"].casefold() or words == row["code"].casefold()
        kind, state = self.kind or row["kind"], self.state or _state(row)
        return named and row["kind"] == kind and _state(row) == state


NarrowDep = Annotated[Narrow, Depends()]


@router.get("/issues/devices")
def show_devices(
    desk: DeskDep, narrow: NarrowDep, device: Number = "", done: Words = ""
) -> Response:
    """Show the things of one's own areas that tell of themselves."""
    return _page(desk, narrow, device, done=done)


@router.post("/issues/devices")
def change_devices(desk: KeeperDep, narrow: NarrowDep, sent: SentDep) -> Response:
    """Put a thing on the list or change one; the form again, with a sentence, when that fails."""
    do, device = sent.text("do"), sent.text("device")
    try:
        if do not in ACTIONS:
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            made = ACTIONS[do](desk, sent)
    except (*REFUSALS, OutsideCityError) as error:
        return _page(desk, narrow, device or "new", status=422, failed=desk.failed(sent, error))
    if made:
        return _page(desk, narrow, str(made["device"]), made=made)
    return RedirectResponse("/issues/devices" + address(desk, device=device, done=do), 303)


def _page(
    desk: Desk,
    narrow: Narrow,
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
    shown = [row for row in rows if narrow.shows(row)]
    keeps = viewer.role is Role.ADMINISTRATOR
    return desk.page(
        "devices.html",
        status=status,
        rows=shown[:MOST_SHOWN],
        found=len(shown),
        counts={"all": len(rows), **Counter(_state(row) for row in rows)},
        narrow=narrow,
        chosen=chosen,
        adding=keeps and device == "new",
        alarms=told,
        kinds={code: desk.word(word) for code, word in KINDS.items()},
        states={code: desk.word(word) for code, word in STATES.items()},
        state_of=_state,
        categories=service.kinds.categories(session, int(desk.access.city_id or 0)),
        keeps=keeps,
        webhook=f"{desk.request.base_url}api/v1/cities/{desk.city['slug']}/alarms/",
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
        made=made,
        address=partial(address, desk),
        frame=mapped(desk),
        page={
            "marks": [_mark(desk, row, chosen) for row in shown],
            "view": [chosen["lon"], chosen["lat"]] if chosen else None,
            "picking": keeps and device == "new",
        },
    )


def _state(row: Mapping[str, Any]) -> str:
    """Return how a thing stands: in alarm while an issue of its own is open."""
    return "telling" if row["open_issue"] else "quiet" if row["enabled"] else "shut"


def _mark(desk: Desk, row: Mapping[str, Any], chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    state = _state(row)
    href = address(desk, device=row["device"])
    name = f"{row['name']} · {desk.word(STATES[state])}"
    shown = chosen is not None and row["device"] == chosen["device"]
    return mark(row, href, tone=TONES[state], text="!" if state == "telling" else "",
                name=name, chosen=shown)  # fmt: skip


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
