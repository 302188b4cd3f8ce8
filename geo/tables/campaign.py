"""What the office does together: meetings with their topics, campaigns, small projects."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    SmallInteger,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Areas,
    Base,
    BigInt,
    CityKey,
    IdKey,
    Moment,
    Now,
    SmallInt,
    gist,
    one_of,
    refers_to,
    shape,
)
from geo.terms import (
    CampaignState,
    ItemList,
    ItemState,
    MeetingKind,
    MeetingState,
    ProjectAct,
    ProjectState,
)


class Once:
    """What came in under an id of whoever sent it, so that sending it again enters nothing new."""

    client_id: Mapped[UUID | None] = mapped_column(Uuid)
    content_hash: Mapped[bytes | None] = mapped_column(LargeBinary)


class Meeting(Once, Areas, Base):
    """Residents and the office come together: where, when, what came of it; nobody is named."""

    __tablename__ = "meeting"
    __table_args__ = (
        refers_to("city"),
        refers_to("grid", "grid_id"),
        refers_to("user_account", "created_by"),
        one_of("kind", MeetingKind),
        one_of("state", MeetingState),
        UniqueConstraint("city_id", "client_id"),
        Index("ix_meeting_held", "city_id", "held_at", "meeting_id"),
    )

    city_id: Mapped[CityKey]
    meeting_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str]
    title: Mapped[str]
    place: Mapped[str]
    held_at: Mapped[Moment]
    grid_id: Mapped[BigInt]
    state: Mapped[str]
    outcome: Mapped[str | None]
    created_by: Mapped[BigInt | None]
    created_at: Mapped[Now]
    version: Mapped[int] = mapped_column(server_default=sql("0"))


class MeetingTopic(Once, Base):
    """What was spoken of; a topic becomes an issue, or has an outcome of its own."""

    __tablename__ = "meeting_topic"
    __table_args__ = (
        refers_to("meeting", "meeting_id"),
        refers_to("issue", "issue_id"),
        UniqueConstraint("city_id", "client_id"),
        Index("ix_meeting_topic_issue", "city_id", "issue_id"),
    )

    city_id: Mapped[CityKey]
    meeting_id: Mapped[IdKey]
    n: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    words: Mapped[str]
    outcome: Mapped[str | None]
    issue_id: Mapped[BigInt | None]
    created_at: Mapped[Now]
    version: Mapped[int] = mapped_column(server_default=sql("0"))


class Campaign(Once, Areas, Base):
    """A campaign on one subject; without a grid it is of the whole city."""

    __tablename__ = "campaign"
    __table_args__ = (
        refers_to("city"),
        refers_to("grid", "grid_id"),
        refers_to("organisation", "organisation_id"),
        refers_to("user_account", "created_by"),
        one_of("state", CampaignState),
        UniqueConstraint("city_id", "client_id"),
        Index("ix_campaign_starts", "city_id", "starts_on", "campaign_id"),
    )

    city_id: Mapped[CityKey]
    campaign_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    goal: Mapped[str]
    grid_id: Mapped[BigInt | None]
    organisation_id: Mapped[BigInt | None]
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]
    state: Mapped[str]
    created_by: Mapped[BigInt | None]
    created_at: Mapped[Now]
    version: Mapped[int] = mapped_column(server_default=sql("0"))


class CampaignItem(Once, Areas, Base):
    """A line of the list of problems or of measures, with its owner; ticked off when done."""

    __tablename__ = "campaign_item"
    __table_args__ = (
        refers_to("campaign", "campaign_id"),
        refers_to("grid", "grid_id"),
        refers_to("organisation", "organisation_id"),
        refers_to("issue", "issue_id"),
        refers_to("user_account", "done_by"),
        ForeignKeyConstraint(
            ["city_id", "campaign_id", "of_n"],
            ["campaign_item.city_id", "campaign_item.campaign_id", "campaign_item.n"],
            name="fk_campaign_item_of",
        ),
        one_of("list", ItemList),
        one_of("state", ItemState),
        UniqueConstraint("city_id", "client_id"),
        Index("ix_campaign_item_issue", "city_id", "issue_id"),
    )

    city_id: Mapped[CityKey]
    campaign_id: Mapped[IdKey]
    n: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    list: Mapped[str]
    words: Mapped[str]
    organisation_id: Mapped[BigInt | None]
    grid_id: Mapped[BigInt | None]
    of_n: Mapped[SmallInt | None]
    issue_id: Mapped[BigInt | None]
    due_on: Mapped[date | None]
    state: Mapped[str]
    note: Mapped[str | None]
    created_at: Mapped[Now]
    done_at: Mapped[datetime | None]
    done_by: Mapped[BigInt | None]
    version: Mapped[int] = mapped_column(server_default=sql("0"))


class SmallProject(Once, Areas, Base):
    """A small project at a place with its budget, in the city's currency."""

    __tablename__ = "small_project"
    __table_args__ = (
        refers_to("city"),
        refers_to("grid", "grid_id"),
        refers_to("campaign", "campaign_id"),
        refers_to("organisation", "organisation_id"),
        refers_to("user_account", "created_by"),
        one_of("state", ProjectState),
        UniqueConstraint("city_id", "client_id"),
        Index("ix_small_project_campaign", "city_id", "campaign_id"),
        gist("small_project", "geom"),
    )

    city_id: Mapped[CityKey]
    project_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    campaign_id: Mapped[BigInt | None]
    name: Mapped[str]
    words: Mapped[str]
    grid_id: Mapped[BigInt]
    organisation_id: Mapped[BigInt | None]
    geom: Mapped[Any] = shape("POINT")
    budget: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    funding: Mapped[str | None]
    spent: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    state: Mapped[str]
    created_by: Mapped[BigInt | None]
    created_at: Mapped[Now]
    version: Mapped[int] = mapped_column(server_default=sql("0"))


class ProjectStep(Base):
    """A step of a small project: append only."""

    __tablename__ = "project_step"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "project_id"], ["small_project.city_id", "small_project.project_id"]
        ),
        one_of("act", ProjectAct),
        one_of("state", ProjectState),
    )

    city_id: Mapped[CityKey]
    project_id: Mapped[IdKey]
    step_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[Now]
    act: Mapped[str]
    state: Mapped[str]
    actor_id: Mapped[BigInt | None]
    actor_role: Mapped[str]
    reason: Mapped[str | None]
    budget: Mapped[Decimal] = mapped_column(Numeric(14, 2))
