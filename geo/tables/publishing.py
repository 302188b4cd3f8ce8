"""What a plan needs on its way to a net: successors of posts, asked publications; and errata."""

from __future__ import annotations

from datetime import date

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import Base, BigInt, CityKey, IdKey, Now, Queued, one_of, refers_to
from geo.terms import JobState


class PlanPost(Base):
    """Where a post goes whose grid the plan ends; without a grid it becomes vacant."""

    __tablename__ = "plan_post"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "plan_id"], ["plan.city_id", "plan.plan_id"], ondelete="CASCADE"
        ),
        refers_to("post", "post_id"),
        ForeignKeyConstraint(
            ["city_id", "plan_id", "to_grid"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
        ),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    post_id: Mapped[IdKey]
    to_grid: Mapped[BigInt | None]


class Publication(Queued, Base):
    """A publication that was asked for: the worker takes it, and says what came of it.

    `content` is the hash of the plan as whoever asked saw it approved.
    """

    __tablename__ = "publication"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "plan_id"], ["plan.city_id", "plan.plan_id"], ondelete="CASCADE"
        ),
        refers_to("user_account", "asked_by"),
        refers_to("net", "seq"),
        one_of("state", JobState),
        CheckConstraint("share BETWEEN 0 AND 1", name="share"),
        Index(
            "uq_publication_live",
            "city_id",
            "plan_id",
            unique=True,
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
    )

    city_id: Mapped[CityKey]
    publication_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    plan_id: Mapped[BigInt]
    asked_by: Mapped[BigInt]
    asked_at: Mapped[Now]
    effective_from: Mapped[date]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    seq: Mapped[int | None]


class Erratum(Base):
    """A wrong name or code of a past net, said beside it: the net itself is never edited."""

    __tablename__ = "erratum"
    __table_args__ = (
        refers_to("net", "seq"),
        refers_to("grid", "grid_id"),
        refers_to("user_account", "author_id"),
        CheckConstraint("field IN ('name', 'code')", name="field"),
        Index("ix_erratum_grid", "city_id", "grid_id"),
    )

    city_id: Mapped[CityKey]
    erratum_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    seq: Mapped[int]
    grid_id: Mapped[BigInt]
    field: Mapped[str]
    stated: Mapped[str]
    correct: Mapped[str]
    reason: Mapped[str]
    author_id: Mapped[BigInt]
    at: Mapped[Now]
