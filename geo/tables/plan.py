"""Plans: drafts of the next net."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    SRID,
    Base,
    BigInt,
    CityKey,
    IdKey,
    Ids,
    Json,
    Now,
    Queued,
    SeqKey,
    SmallInt,
    gist,
    one_of,
    refers_to,
)
from geo.terms import GridKind, JobState, PlanState


class Plan(Base):
    """A draft of the next net; seen by its members."""

    __tablename__ = "plan"
    __table_args__ = (
        refers_to("city"),
        refers_to("net", "base_seq"),
        refers_to("user_account", "author_id"),
        refers_to("user_account", "submitted_by"),
        refers_to("user_account", "approved_by"),
        one_of("state", PlanState),
        CheckConstraint("version >= 0", name="version"),
        CheckConstraint(
            "state NOT IN ('approved', 'published') OR approved_hash IS NOT NULL",
            name="approval",
        ),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'draft'"))
    base_seq: Mapped[int | None]
    version: Mapped[int] = mapped_column(server_default=text("0"))
    rules: Mapped[Json]
    approved_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    author_id: Mapped[BigInt]
    submitted_by: Mapped[BigInt | None]
    approved_by: Mapped[BigInt | None]
    approved_at: Mapped[datetime | None]
    checked: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Hash of the content and the ground that the full validator found sound."""
    members: Mapped[Ids]
    drawers: Mapped[Ids]
    cutters: Mapped[Ids]
    publishers: Mapped[Ids]
    created_at: Mapped[Now]


def _of_plan() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["city_id", "plan_id"], ["plan.city_id", "plan.plan_id"], ondelete="CASCADE"
    )


class PlanGrid(Base):
    """A grid in a plan: the rows that an edit locks, in the order of their ids."""

    __tablename__ = "plan_grid"
    __table_args__ = (
        _of_plan(),
        refers_to("grid", "grid_id"),
        ForeignKeyConstraint(
            ["city_id", "locked_by"],
            ["user_account.city_id", "user_account.user_id"],
            name="fk_plan_grid_city_id_user_account",
        ),
        ForeignKeyConstraint(
            ["city_id", "plan_id", "parent_id"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
            deferrable=True,
            initially="DEFERRED",
        ),
        one_of("kind", GridKind),
        CheckConstraint("parent_id <> grid_id", name="parent"),
        CheckConstraint("version >= 0", name="version"),
        CheckConstraint("parts >= 1", name="parts"),
        Index("ix_plan_grid_parent", "city_id", "parent_id", "plan_id"),
        gist("plan_grid", "boundary"),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    grid_id: Mapped[IdKey]
    level: Mapped[SmallInt]
    parent_id: Mapped[BigInt | None]
    name: Mapped[str]
    kind: Mapped[str]
    ended: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(server_default=text("0"))
    boundary: Mapped[Any] = mapped_column(
        Geometry("MULTIPOLYGON", srid=SRID, spatial_index=False), nullable=True
    )
    boundary_from: Mapped[int | None]
    """Net whose published border the grid still has; None once it was redrawn or cut."""
    parts: Mapped[int] = mapped_column(server_default=text("1"))
    """Parts that the grid may lie in: inherited, or marked with `parts_reason`."""
    parts_reason: Mapped[str | None]
    locked_by: Mapped[BigInt | None]
    code_range: Mapped[str | None]
    """Range of the code scheme that the next code of the grid comes from, where one said so."""


class PlanCell(Base):
    """A cell that a plan gives to another grid than its base net does."""

    __tablename__ = "plan_cell"
    __table_args__ = (
        refers_to("cell", "cell_id"),
        ForeignKeyConstraint(
            ["city_id", "plan_id", "grid_id"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
            ondelete="CASCADE",
        ),
        Index("ix_plan_cell_grid", "city_id", "grid_id", "plan_id"),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    cell_id: Mapped[IdKey]
    grid_id: Mapped[BigInt]


class PlanEdit(Base):
    """One edit of a plan with what undoes it."""

    __tablename__ = "plan_edit"
    __table_args__ = (
        _of_plan(),
        refers_to("user_account", "actor_id"),
        CheckConstraint("n >= 1", name="n"),
        CheckConstraint("undoes < n", name="undoes"),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    n: Mapped[SeqKey]
    actor_id: Mapped[BigInt]
    op: Mapped[str]
    args: Mapped[Json]
    inverse: Mapped[Json]
    touched: Mapped[Ids]
    undoes: Mapped[int | None]
    at: Mapped[Now]


class PlanComment(Base):
    """What a member says of a plan, of a grid or a place of it; answers belong to a comment."""

    __tablename__ = "plan_comment"
    __table_args__ = (
        _of_plan(),
        ForeignKeyConstraint(
            ["city_id", "plan_id", "answers"],
            ["plan_comment.city_id", "plan_comment.plan_id", "plan_comment.comment_id"],
        ),
        ForeignKeyConstraint(
            ["city_id", "plan_id", "grid_id"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
            ondelete="CASCADE",
        ),
        refers_to("user_account", "author_id"),
        refers_to("user_account", "resolved_by"),
        CheckConstraint("comment_id >= 1", name="number"),
        CheckConstraint("answers < comment_id", name="answers"),
        CheckConstraint("char_length(text) BETWEEN 1 AND 2000", name="text"),
        CheckConstraint("(resolved_by IS NULL) = (resolved_at IS NULL)", name="resolved"),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    comment_id: Mapped[IdKey]
    author_id: Mapped[BigInt]
    answers: Mapped[BigInt | None]
    grid_id: Mapped[BigInt | None]
    place: Mapped[Any] = mapped_column(
        Geometry("POINT", srid=SRID, spatial_index=False), nullable=True
    )
    text: Mapped[str]
    at: Mapped[Now]
    resolved_by: Mapped[BigInt | None]
    resolved_at: Mapped[datetime | None]


class PlanTask(Queued, Base):
    """What the worker was asked for: an edit that cuts cells or takes long, or a proposal."""

    __tablename__ = "plan_task"
    __table_args__ = (
        _of_plan(),
        refers_to("user_account", "asked_by"),
        one_of("state", JobState),
        CheckConstraint("share BETWEEN 0 AND 1", name="share"),
        Index("ix_plan_task_plan", "city_id", "plan_id", "task_id"),
        Index(
            "ix_plan_task_live",
            "task_id",
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index(
            "uq_plan_task_proposal",
            "city_id",
            "plan_id",
            unique=True,
            postgresql_where=text(
                "state IN ('queued', 'running') AND op IN ('propose_division', 'propose_net')"
            ),
        ),
    )

    city_id: Mapped[CityKey]
    task_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    plan_id: Mapped[BigInt]
    asked_by: Mapped[BigInt]
    asked_at: Mapped[Now]
    op: Mapped[str]
    args: Mapped[Json]
    versions: Mapped[Json]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class PlanProposal(Base):
    """What a task proposes for a plan: parts with their cells, their shapes, where grids went.

    `parts` is what adopting it applies, `shapes` a FeatureCollection to be looked at, `crosswalk`
    the account of each delivered grid where nets were merged.
    """

    __tablename__ = "plan_proposal"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "task_id"], ["plan_task.city_id", "plan_task.task_id"], ondelete="CASCADE"
        ),
        _of_plan(),
        Index("ix_plan_proposal_plan", "city_id", "plan_id"),
    )

    city_id: Mapped[CityKey]
    task_id: Mapped[IdKey]
    plan_id: Mapped[BigInt]
    made_at: Mapped[Now]
    parts: Mapped[Any] = mapped_column(JSONB)
    shapes: Mapped[Any] = mapped_column(JSONB)
    crosswalk: Mapped[Any | None] = mapped_column(JSONB)
