"""What is reported: issues, their history, the rules that send them, and what leaves the house."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Areas,
    Base,
    BigInt,
    CityKey,
    IdKey,
    Json,
    Moment,
    Now,
    SmallInt,
    TextKey,
    gist,
    one_of,
    refers_to,
    shape,
)
from geo.terms import IssueAct, IssueState, LimitUnit, MessageKind, MessageState, SetAside, Shown

STILL_OPEN: Final = "state NOT IN ('closed', 'void') AND set_aside IS NULL"
"""Issues on somebody's desk; the indices of the desks hold these alone."""
STILL_NEW: Final = (
    "state IN ('reported', 'accepted', 'verified', 'registered', 'returned') AND set_aside IS NULL"
)
"""Those that were not sent to anybody yet; the indices of large desks hold these alone."""
FAR: Final = "2999-12-31 00:00:00+00"
"""`due_at` of an issue that waits for nothing."""


class Category(Base):
    """A category of issues in the city's tree: who takes it, by which law, where it may be shown.

    What is not said here is said by the category above, at last by the country profile.
    """

    __tablename__ = "category"
    __table_args__ = (
        refers_to("city"),
        ForeignKeyConstraint(["city_id", "parent"], ["category.city_id", "category.category"]),
        refers_to("organisation", "lead_id"),
        CheckConstraint("root IN ('component', 'event')", name="root"),
        one_of("shown", Shown),
    )

    city_id: Mapped[CityKey]
    category: Mapped[TextKey]
    parent: Mapped[str | None]
    name: Mapped[str]
    name_en: Mapped[str]
    root: Mapped[str]
    lead_id: Mapped[BigInt | None]
    assisting: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    legal_basis: Mapped[str | None]
    shown: Mapped[str | None]


class LimitRule(Base):
    """How long a step may take for a category and all below it, of the city's own."""

    __tablename__ = "limit_rule"
    __table_args__ = (
        refers_to("category", "category"),
        one_of("unit", LimitUnit),
        CheckConstraint("amount > 0", name="amount"),
    )

    city_id: Mapped[CityKey]
    category: Mapped[TextKey]
    step: Mapped[TextKey]
    amount: Mapped[float]
    unit: Mapped[str]


class WorkingCalendar(Base):
    """A day on which the city works, or does not, whatever its country's calendar says."""

    __tablename__ = "working_calendar"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    day: Mapped[date] = mapped_column(primary_key=True)
    working: Mapped[bool]
    note: Mapped[str]


class RoutingRule(Base):
    """An ordered rule: the first one whose conditions all hold says who takes an issue.

    A condition that is null holds always. `weekdays` are 1 (Monday) to 7; `from_time` to `to_time`
    is a stretch of the day in the city's zone that may pass midnight.
    """

    __tablename__ = "routing_rule"
    __table_args__ = (
        refers_to("city"),
        refers_to("grid", "grid_id"),
        refers_to("category", "category"),
        refers_to("organisation", "organisation_id"),
        CheckConstraint("num_nonnulls(from_time, to_time) IN (0, 2)", name="times"),
    )

    city_id: Mapped[CityKey]
    n: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str]
    grid_id: Mapped[BigInt | None]
    category: Mapped[str | None]
    weekdays: Mapped[list[int] | None] = mapped_column(ARRAY(SmallInteger))
    from_time: Mapped[time | None]
    to_time: Mapped[time | None]
    organisation_id: Mapped[BigInt | None]
    assisting: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    desk_level: Mapped[SmallInt | None]


def _open_by(name: str, *columns: str, new: bool = False) -> Index:
    """Return an index of a desk: its own open issues in the order in which they fall due."""
    return Index(
        f"ix_issue_{'new' if new else 'open'}_{name}", "city_id", *columns, "due_at", "issue_id",
        postgresql_where=text(STILL_NEW if new else STILL_OPEN),
    )  # fmt: skip


def _unique_if_said(name: str, column: str) -> Index:
    said = text(f"{column} IS NOT NULL")
    return Index(f"uq_issue_{name}", "city_id", column, unique=True, postgresql_where=said)


class Issue(Areas, Base):
    """Something reported at a place; set aside rather than deleted.

    Of a report's client id and of the secret of its link only hashes are kept. `desk_level` is the
    level of the grid whose desk is in charge. The deadline is frozen when the clock starts; while
    suspended, `remaining_s` holds what is left of it in seconds of `limit_unit`'s clock. `due_at`
    is what the desk waits for next.
    """

    __tablename__ = "issue"
    __table_args__ = (
        refers_to("cell", "cell_id"),
        refers_to("grid", "owner_grid"),
        refers_to("category", "category"),
        refers_to("organisation", "organisation_id"),
        one_of("state", IssueState),
        one_of("set_aside", SetAside),
        one_of("limit_unit", LimitUnit),
        Index("ix_issue_reported", "city_id", "reported_at", "issue_id"),
        Index("ix_issue_cell", "city_id", "cell_id"),
        Index("ix_issue_organisation", "city_id", "organisation_id"),
        Index("ix_issue_owner", "city_id", "owner_grid", "reported_at"),
        Index("ix_issue_area_1", "city_id", "area_1", "reported_at"),
        Index("ix_issue_area_2", "city_id", "area_2", "reported_at"),
        Index("ix_issue_area_3", "city_id", "area_3", "reported_at"),
        Index("ix_issue_area_4", "city_id", "area_4", "reported_at"),
        _open_by("city"),
        _open_by("area_1", "area_1"),
        _open_by("area_2", "area_2"),
        _open_by("area_3", "area_3"),
        _open_by("organisation", "organisation_id"),
        _open_by("city", new=True),
        _open_by("area_1", "area_1", new=True),
        _open_by("organisation", "organisation_id", new=True),
        _unique_if_said("code", "code"),
        _unique_if_said("client", "client_key"),
        _unique_if_said("external", "external"),
        Index("ix_issue_assisting", "assisting", postgresql_using="gin",
              postgresql_where=text("assisting IS NOT NULL")),
        Index("ix_issue_split", "city_id", "split_from",
              postgresql_where=text("split_from IS NOT NULL")),
        gist("issue", "geom"),
    )  # fmt: skip

    city_id: Mapped[CityKey]
    issue_id: Mapped[IdKey]
    cell_id: Mapped[BigInt]
    owner_grid: Mapped[BigInt]
    category: Mapped[str]
    channel: Mapped[str]
    state: Mapped[str]
    reported_at: Mapped[Moment]
    closed_at: Mapped[datetime | None]
    set_aside: Mapped[str | None]
    organisation_id: Mapped[BigInt | None]
    geom: Mapped[Any] = shape("POINT")
    code: Mapped[str | None]
    secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    client_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    content_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    external: Mapped[str | None]
    words: Mapped[str | None]
    address: Mapped[str | None]
    reporter_id: Mapped[BigInt | None]
    desk_level: Mapped[SmallInt] = mapped_column(server_default=text("3"))
    assisting: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    accepted_at: Mapped[datetime | None]
    register_by: Mapped[datetime | None]
    registered_at: Mapped[datetime | None]
    dispatched_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    deadlines: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    limit_amount: Mapped[float | None]
    limit_unit: Mapped[str | None]
    suspended_at: Mapped[datetime | None]
    remaining_s: Mapped[float | None]
    handled_at: Mapped[datetime | None]
    due_at: Mapped[Moment] = mapped_column(server_default=text(f"'{FAR}'::timestamptz"))
    review_on: Mapped[date | None]
    returns: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    reworks: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    postpones: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    reopens: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    on_the_spot: Mapped[bool] = mapped_column(server_default=text("false"))
    supervisor_id: Mapped[BigInt | None]
    supervised_until: Mapped[date | None]
    warned_at: Mapped[datetime | None]
    duplicate_of: Mapped[BigInt | None]
    split_from: Mapped[BigInt | None]
    satisfied: Mapped[bool | None]
    erased_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("0"))


class IssueContact(Areas, Base):
    """How somebody who reported may be reached: for the desk of the territory alone, and not long.

    No department, firm or city-wide role can read it; it is erased after closing.
    """

    __tablename__ = "issue_contact"
    __table_args__ = (refers_to("issue", "issue_id"),)

    city_id: Mapped[CityKey]
    issue_id: Mapped[IdKey]
    name: Mapped[str | None]
    phone: Mapped[str | None]
    email: Mapped[str | None]
    created_at: Mapped[Now]


class IssueEvent(Base):
    """A line of an issue's history: append only; the moment stands in the key, to be cut by month.

    Who may read an issue may read its history.
    """

    __tablename__ = "issue_event"
    __table_args__ = (
        refers_to("issue", "issue_id"),
        one_of("act", IssueAct),
        Index(
            "ix_issue_event_reason", "city_id", "at", postgresql_where=text("reason IS NOT NULL")
        ),
    )

    city_id: Mapped[CityKey]
    issue_id: Mapped[IdKey]
    at: Mapped[datetime] = mapped_column(
        primary_key=True, server_default=text("statement_timestamp()")
    )
    event_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    act: Mapped[str]
    state: Mapped[str]
    actor_id: Mapped[BigInt | None]
    actor_role: Mapped[str | None]
    reason: Mapped[str | None]
    details: Mapped[Json]


class Outbox(Base):
    """A message that waits to leave the house; the worker sends it, retention empties it."""

    __tablename__ = "outbox"
    __table_args__ = (
        refers_to("issue", "issue_id"),
        one_of("kind", MessageKind),
        one_of("state", MessageState),
        Index("ix_outbox_waiting", "message_id", postgresql_where=text("state = 'waiting'")),
        Index("ix_outbox_issue", "city_id", "issue_id"),
    )

    city_id: Mapped[CityKey]
    message_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    issue_id: Mapped[BigInt]
    kind: Mapped[str]
    target: Mapped[str]
    subject: Mapped[str]
    body: Mapped[Json]
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    attempts: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    created_at: Mapped[Now]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None]


class Tombstone(Base):
    """What was erased of which row, when and why; the content itself is gone."""

    __tablename__ = "tombstone"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    relation: Mapped[TextKey]
    object_id: Mapped[IdKey]
    erased_at: Mapped[Now]
    reason: Mapped[str]
