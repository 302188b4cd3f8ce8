"""Reports: each comes in exactly once, whatever the line between phone and house does."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, ReportTwiceError
from geo.grids import AREA_COLUMNS
from geo.store import audit, office
from geo.store.cases import sending
from geo.store.cases.routing import Route, route
from geo.store.cases.rules import Rules, rules_of
from geo.store.grids import grids_at
from geo.store.holding import hold_cells_now
from geo.store.nets import Moment
from geo.tables import SRID, Issue, IssueContact, IssueEvent
from geo.tables.issue import FAR
from geo.terms import IssueAct, IssueState

LONGEST_WORDS: Final = 2_000
LONGEST_ADDRESS: Final = 200
CHANNELS: Final = (
    "report", "worker", "hotline", "meeting", "device", "import", "office", "station",
)  # fmt: skip
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Letters of codes: none that is taken for another one."""
CODE_LETTERS: Final = 8
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Contact:
    """How somebody who reports wants to be reached; kept apart, and not for long."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class Report:
    """What somebody says is wrong, and where.

    Parameters
    ----------
    category : str
    lon, lat : float
        Degrees, EPSG:4326.
    words, address : str, optional
    channel : str
        One of `CHANNELS`.
    client_id : str, optional
        A random UUID of the reporter's device: what makes it come in once.
    contact : Contact, optional
    external : str, optional
        Number on another platform.
    reported_at : datetime, optional
        An earlier moment; of staff alone.
    """

    category: str
    lon: float
    lat: float
    words: str | None = None
    address: str | None = None
    channel: str = "report"
    client_id: str | None = None
    contact: Contact | None = None
    external: str | None = None
    reported_at: datetime | None = None


@dataclass(frozen=True)
class Reported:
    """What became of a report; the secret opens it together with the code."""

    issue: int
    code: str
    secret: str
    created: bool


def secret_of(client: UUID) -> str:
    """Return the secret that follows from a client's id: the same for whoever knows the id."""
    digest = hashlib.sha256(b"wangge follows " + client.bytes).digest()
    return urlsafe_b64encode(digest[:18]).decode()


def hash_of(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def report(
    session: Session, viewer: Viewer, at: Moment, told: Report, *, proven: bool = False
) -> Reported:
    """Take a report in, once; anybody may report.

    With `proven`, who has no account has shown otherwise that the channel is theirs.

    Raises
    ------
    ReportTwiceError
        If the client's id was used for another content.
    OutsideCityError
        If the place lies outside the city.
    InvalidInputError
        If a value cannot be used; `field` names it.
    ForbiddenError
        If a stranger uses a channel of the staff.
    """
    client = _client(told.client_id)
    key, content = hashlib.sha256(client.bytes).digest(), _content(told, client)
    known = _known(session, key, content, client)
    if known is not None:
        return known
    rules = rules_of(session, at.city_id)
    values, sent = _values(session, viewer, at, rules, told, proven=proven)
    for turn in range(3):
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LETTERS))
        own = {
            "code": code, "client_key": key, "content_hash": content,
            "secret_hash": hash_of(secret_of(client)),
        }  # fmt: skip
        try:
            with session.begin_nested():
                issue = _write(session, viewer, values | own, told.contact)
        except IntegrityError:
            known = _known(session, key, content, client)
            if known is not None:
                return known
            if turn == 2:
                raise
        else:
            _note(session, at, viewer, issue, told, sent)
            return Reported(issue, code, secret_of(client), created=True)
    raise AssertionError("a turn either returns or raises")


def _client(said: str | None) -> UUID:
    try:
        return uuid4() if said is None else UUID(said)
    except ValueError:
        raise InvalidInputError(
            "The id of a report is a UUID.", field="client_id", reason="no_uuid"
        ) from None


def _content(told: Report, client: UUID) -> bytes:
    """Return by which the same report is known again.

    The client's id, which is not kept, is in it: nobody finds a phone number by trying all.
    """
    said = [
        client.hex,
        told.category, f"{told.lon:.7f}", f"{told.lat:.7f}", told.words, told.address,
        told.channel, told.external,
        [told.contact.name, told.contact.phone, told.contact.email] if told.contact else None,
        told.reported_at.isoformat() if told.reported_at else None,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).digest()


def _known(session: Session, key: bytes, content: bytes, client: UUID) -> Reported | None:
    row = session.execute(
        text("SELECT issue_id, code, content_hash FROM issue_of_client(:key)"), {"key": key}
    ).first()
    if row is None:
        return None
    if bytes(row.content_hash) != content:
        raise ReportTwiceError("Another report came under this id before.")
    return Reported(row.issue_id, row.code, secret_of(client), created=False)


def _values(
    session: Session, viewer: Viewer, at: Moment, rules: Rules, told: Report, *, proven: bool
) -> tuple[dict[str, Any], Route]:
    if told.channel not in CHANNELS:
        raise InvalidInputError(
            f"There is no channel '{told.channel}'.", field="channel", reason="no_channel"
        )
    strange = told.channel != "report" or told.reported_at or told.external
    if strange and not viewer.staff and not proven:
        raise ForbiddenError("Only staff report in this way.")
    if not (-180 <= told.lon <= 180 and -90 <= told.lat <= 90):
        raise InvalidInputError("A place is lon, lat in degrees.", field="lon", reason="place")
    rules.kind(told.category)
    hold_cells_now(session, at.city_id)  # a cell that is cut meanwhile would keep the issue
    cell, up = grids_at(session, at, told.lon, told.lat)
    line = tuple(up[::-1])
    moment = _moment(session, told)
    sent = route(rules, told.category, line, moment)
    register_by = rules.by(told.category, "register", moment)
    areas = dict(zip(AREA_COLUMNS, line, strict=False))
    values = {
        "city_id": at.city_id, "cell_id": cell, "owner_grid": line[-1], **areas,
        "category": told.category, "channel": told.channel, "state": IssueState.REPORTED.value,
        "reported_at": moment, "register_by": register_by, "due_at": register_by or FAR,
        "geom": f"SRID={SRID};POINT({told.lon!r} {told.lat!r})",
        "words": _said(told.words, "words", LONGEST_WORDS),
        "address": _said(told.address, "address", LONGEST_ADDRESS),
        "external": office.optional(told.external, "external"),
        "reporter_id": viewer.user_id, "desk_level": sent.desk_level,
    }  # fmt: skip
    return values, sent


def _moment(session: Session, told: Report) -> datetime:
    now: datetime = session.scalar(select(func.clock_timestamp()))  # type: ignore[assignment]
    if told.reported_at is None:
        return now
    if told.reported_at.tzinfo is None or not 1900 < told.reported_at.year < 2999:
        raise InvalidInputError("A moment has a zone.", field="reported_at", reason="no_date")
    if told.reported_at > now + _DAY:
        raise InvalidInputError(
            "A report is not of the future.", field="reported_at", reason="future"
        )
    return told.reported_at


def _said(said: str | None, field: str, longest: int) -> str | None:
    kept = (said or "").strip()
    if len(kept) > longest or "\x00" in kept:
        raise InvalidInputError(
            f"The field {field} is too long.", field=field, reason="too_long", most=longest
        )
    return kept or None


def hold_numbers(session: Session, city_id: int) -> None:
    """Let nobody else give a number to an issue of a city until this transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(7203, :city)"), {"city": city_id})


def new_id(session: Session, city_id: int) -> int:
    """Return the next number of a city's issues; others wait until this transaction ends."""
    return int(
        session.scalar(text("SELECT next_issue_id(CAST(:city AS smallint))"), {"city": city_id})
        or 1
    )


def _write(
    session: Session, viewer: Viewer, values: dict[str, Any], contact: Contact | None
) -> int:
    city_id = values["city_id"]
    issue = new_id(session, city_id)
    session.execute(insert(Issue).inline().values(issue_id=issue, **values))
    if contact is not None and (contact.name or contact.phone or contact.email):
        areas = {name: values.get(name) for name in AREA_COLUMNS}
        session.execute(
            insert(IssueContact).inline().values(
                city_id=city_id, issue_id=issue, **areas,
                name=office.optional(contact.name, "name"),
                phone=office.optional(contact.phone, "phone"),
                email=office.optional(contact.email, "email", 200),
            )
        )  # fmt: skip
    session.execute(
        insert(IssueEvent).inline().values(
            city_id=city_id, issue_id=issue, at=func.clock_timestamp(),
            act=IssueAct.REPORT.value, state=values["state"], actor_id=viewer.user_id,
            actor_role=viewer.role.value, details={"channel": values["channel"]},
        )
    )  # fmt: skip
    return issue


def _note(
    session: Session, at: Moment, viewer: Viewer, issue: int, told: Report, sent: Route
) -> None:
    what = {"category": told.category, "channel": told.channel, "rule": sent.rule}
    sending.tell(session, at.city_id, issue, IssueAct.REPORT, IssueState.REPORTED)
    audit.append(session, at.city_id, "issue.report", f"issue/{issue}", what)
