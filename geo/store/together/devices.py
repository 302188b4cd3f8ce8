"""Things that tell of themselves: the list of those that may, and what they tell becomes issues."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import (
    AlarmRefusedError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    ReportTwiceError,
    TooManyReportsError,
)
from geo.store import audit, rights
from geo.store.cases import reporting
from geo.store.nets import Moment
from geo.store.together import places, words
from geo.tables import Category, Device, DeviceAlarm, DeviceKey, Issue
from geo.terms import DeviceKind

KEY_BYTES: Final = 32
MOST: Final = 5_000
"""Devices of a city; more are a program of their own, which reports by the API."""
HOUR_S: Final = 3_600
LAST_ALARMS: Final = 50
_OWNS: Final = text(
    "SELECT pg_get_userbyid(relowner) = current_user FROM pg_class"
    " WHERE oid = 'device_key'::regclass"
)


@dataclass(frozen=True)
class Alarm:
    """What a thing tells: the alarm's own name, a figure with its unit, a few words."""

    name: str
    value: float | None = None
    unit: str | None = None
    words: str | None = None


@dataclass(frozen=True)
class Taken:
    """What became of an alarm: its issue, and whether that is new or was open already."""

    issue: int | None
    created: bool


def listed(session: Session, viewer: Viewer) -> list[dict[str, Any]]:
    """Return the things of the viewer's areas with what they told last; those in alarm first.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    """
    if not viewer.staff:
        raise ForbiddenError("Things are listed for the staff of the city.")
    alarm = DeviceAlarm
    month = func.statement_timestamp() - text("interval '30 days'")
    told = (
        select(
            func.max(alarm.at).label("last_at"),
            func.count().filter(alarm.at > month).label("alarms"),
            func.max(alarm.issue_id).label("last_issue"),
        )
        .where(alarm.city_id == Device.city_id, alarm.device_id == Device.device_id)
        .lateral()
    )
    still = (
        select(func.max(Issue.issue_id).label("open_issue"))
        .join(alarm, and_(alarm.city_id == Issue.city_id, alarm.issue_id == Issue.issue_id))
        .where(alarm.city_id == Device.city_id, alarm.device_id == Device.device_id,
               Issue.state.not_in(("closed", "void")), Issue.set_aside.is_(None))
        .lateral()
    )  # fmt: skip
    rows = session.execute(
        select(
            Device.device_id.label("device"), Device.code, Device.name, Device.kind,
            Device.category, Category.name.label("category_name"),
            Category.name_en.label("category_name_en"), Device.grid_id.label("grid"),
            func.ST_X(Device.geom).label("lon"), func.ST_Y(Device.geom).label("lat"),
            Device.enabled, told.c.last_at, told.c.alarms, told.c.last_issue, still.c.open_issue,
        )
        .join(Category, and_(Category.city_id == Device.city_id,
                             Category.category == Device.category))
        .join(told, text("true"))
        .join(still, text("true"))
        .where(places.seen(Device, viewer))
        .order_by(still.c.open_issue.is_(None), told.c.last_at.desc().nulls_last(),
                  Device.device_id)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def alarms(session: Session, viewer: Viewer, device: int) -> list[dict[str, Any]]:
    """Return what a thing told last, the newest first.

    Raises
    ------
    NotFoundError
        If the viewer may see no such thing.
    """
    own = (Device.device_id == device, places.seen(Device, viewer))
    if not viewer.staff or session.scalar(select(Device.device_id).where(*own)) is None:
        raise NotFoundError(f"There is no device {device}.", device=device)
    alarm = DeviceAlarm
    rows = session.execute(
        select(alarm.alarm, alarm.at, alarm.value, alarm.unit, alarm.words,
               alarm.issue_id.label("issue"))
        .where(alarm.city_id == viewer.city_id, alarm.device_id == device)
        .order_by(alarm.at.desc())
        .limit(LAST_ALARMS)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def add(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    name: str,
    kind: DeviceKind,
    category: str,
    lon: float,
    lat: float,
) -> dict[str, Any]:
    """Put a thing on the list; return `device`, `code` and its `secret`, which is told this once.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    OutsideCityError
        If the place lies outside the city.
    InvalidInputError
        If a value cannot be used, the name is about persons, or the list is full.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    count = select(func.count()).select_from(Device).where(Device.city_id == city_id)
    if int(session.scalar(count) or 0) >= MOST:
        raise InvalidInputError(f"A city has at most {MOST} devices.", field="name", reason="full")
    letters = reporting.ALPHABET
    code = "".join(secrets.choice(letters) for _ in range(reporting.CODE_LETTERS + 2))
    values = {
        "city_id": city_id, "code": code, "name": words.title(name, "name"), "kind": kind.value,
        "category": _category(session, city_id, category), "enabled": True,
        **places.of_point(session, viewer, at, lon, lat),
    }  # fmt: skip
    device = int(session.scalar(insert(Device).values(**values).returning(Device.device_id)) or 0)
    secret = _new_key(session, city_id, device)
    what = {"kind": kind.value, "category": category, "code": code}
    audit.append(session, city_id, "device.added", f"device/{device}", what)
    return {"device": device, "code": code, "secret": secret}


def change(
    session: Session,
    viewer: Viewer,
    device: int,
    *,
    name: str | None = None,
    category: str | None = None,
    enabled: bool | None = None,
    new_key: bool = False,
) -> str | None:
    """Change a thing; what is None stays. Return its new secret if one was asked for.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If the city has no such thing.
    InvalidInputError
        If a value cannot be used.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    own = (Device.city_id == city_id, Device.device_id == device)
    if session.scalar(select(Device.device_id).where(*own)) is None:
        raise NotFoundError(f"There is no device {device}.", device=device)
    values: dict[str, Any] = {}
    if name is not None:
        values["name"] = words.title(name, "name")
    if category is not None:
        values["category"] = _category(session, city_id, category)
    if enabled is not None:
        values["enabled"] = enabled
    if values:
        session.execute(update(Device).where(*own).values(**values))
    secret = _new_key(session, city_id, device) if new_key else None
    if values or new_key:
        what = {**values, **({"key": "new"} if new_key else {})}
        audit.append(session, city_id, "device.changed", f"device/{device}", what)
    return secret


def take(
    session: Session,
    viewer: Viewer,
    at: Moment,
    code: str,
    *,
    stamp: int,
    signature: str,
    body: bytes,
    alarm: Alarm,
) -> Taken:
    """Take an alarm in, once by its name: a new issue at the thing's place, or its open one.

    Parameters
    ----------
    viewer : Viewer
        The city's stranger: the signature is what proves the right.
    code : str
        Of the device.
    stamp : int
        Seconds since 1970 that were signed.
    signature : str
        HMAC-SHA-256 over ``stamp.body``, in hex.
    body : bytes
        As it came; `alarm` is what stands in it.

    Raises
    ------
    AlarmRefusedError
        If the device is unknown or shut, or signature or stamp do not hold; `reason` says "stale"
        only to who has the key.
    TooManyReportsError
        If the device told too often within an hour.
    ReportTwiceError
        If another alarm came under this name.
    InvalidInputError
        If words hold what is personal.
    """
    said = words.perhaps(alarm.words, "words", 200)
    unit = words.perhaps(alarm.unit, "unit", 20)
    row = session.execute(
        text(
            "SELECT * FROM admit_alarm(:code, :stamp, :signature, :body, :alarm,"
            " CAST(:value AS double precision), CAST(:unit AS text), CAST(:words AS text))"
        ),
        {"code": code, "stamp": stamp, "signature": signature, "body": body, "alarm": alarm.name,
         "value": alarm.value, "unit": unit, "words": said},
    ).one()  # fmt: skip
    if row.verdict in ("refused", "stale"):
        why = {"reason": "stale"} if row.verdict == "stale" else {}
        raise AlarmRefusedError("This alarm is not signed by a device of the list.", **why)
    if row.verdict == "many":
        told = "The device told too often within an hour."
        raise TooManyReportsError(told, retry_after_s=HOUR_S)
    if row.verdict == "other":
        raise ReportTwiceError("Another alarm came under this name before.")
    if row.verdict != "new":
        return Taken(row.issue, created=False)
    figure = "" if alarm.value is None else f"{alarm.value:g}{unit or ''}"
    told = " ".join(one for one in (f"{row.called}:", said or "", figure) if one).rstrip(": ")
    made = reporting.report(
        session, viewer, at,
        # No id of the client: the alarm's name lets it in once, and whoever could reckon the id
        # would hold the secret that follows from it.
        reporting.Report(row.kind_of, row.lon, row.lat, told, channel="device"),
        proven=True,
    )  # fmt: skip
    link = text("SELECT link_alarm(:device, :alarm, :issue)")
    session.execute(link, {"device": row.device, "alarm": alarm.name, "issue": made.issue})
    return Taken(made.issue, created=True)


def _new_key(session: Session, city_id: int, device: int) -> str:
    made = secrets.token_bytes(KEY_BYTES)
    if session.scalar(_OWNS):  # the operator's command line
        set_at = {"secret": made, "set_at": func.statement_timestamp()}
        key = pg_insert(DeviceKey).values(city_id=city_id, device_id=device, **set_at)
        session.execute(
            key.on_conflict_do_update(index_elements=["city_id", "device_id"], set_=set_at)
        )
    else:
        asked = {"device": device, "made": made}
        session.execute(text("SELECT set_device_key(:device, :made)"), asked)
    return made.hex()


def _category(session: Session, city_id: int, category: str) -> str:
    own = (Category.city_id == city_id, Category.category == category)
    if session.scalar(select(Category.category).where(*own)) is None:
        told = f"There is no category '{category}'."
        raise InvalidInputError(told, field="category", reason="no_category")
    return category


def of_issue(session: Session, viewer: Viewer, issue: int) -> list[dict[str, Any]]:
    """Return the things whose alarms an issue came of."""
    rows = session.execute(
        select(Device.device_id.label("device"), Device.name, func.count().label("alarms"))
        .join(DeviceAlarm, and_(DeviceAlarm.city_id == Device.city_id,
                                DeviceAlarm.device_id == Device.device_id))
        .join(Issue, and_(Issue.city_id == Device.city_id,
                          Issue.issue_id == DeviceAlarm.issue_id))
        .where(places.seen(Device, viewer), DeviceAlarm.issue_id == issue)
        .group_by(Device.device_id, Device.name)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]
