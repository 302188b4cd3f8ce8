"""Cells, grids, and nets as runs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Areas,
    Base,
    BigInt,
    CityKey,
    IdKey,
    Json,
    Now,
    SeqKey,
    SmallInt,
    TextKey,
    gist,
    one_of,
    refers_to,
    shape,
)
from geo.terms import FOREVER, GridKind


class Cell(Base):
    """The smallest piece of ground that never needs to be shared."""

    __tablename__ = "cell"
    __table_args__ = (refers_to("city"), gist("cell", "geom"))

    city_id: Mapped[CityKey]
    cell_id: Mapped[IdKey]
    geom: Mapped[Any] = shape("POLYGON")
    area_m2: Mapped[float]
    retired_by_cut: Mapped[BigInt | None]


class CellLineage(Base):
    """Which pieces an old cell was cut into."""

    __tablename__ = "cell_lineage"
    __table_args__ = (
        refers_to("cell", "cell_id"),
        ForeignKeyConstraint(["city_id", "piece_id"], ["cell.city_id", "cell.cell_id"]),
    )

    city_id: Mapped[CityKey]
    cell_id: Mapped[IdKey]
    piece_id: Mapped[IdKey]


class CellValue(Base):
    """A dated figure of a cell: households and the like."""

    __tablename__ = "cell_value"
    __table_args__ = (
        refers_to("cell", "cell_id"),
        refers_to("vintage", "vintage"),
        Index("ix_cell_value_cell", "city_id", "cell_id"),
    )

    city_id: Mapped[CityKey]
    vintage: Mapped[TextKey]
    measure: Mapped[TextKey]
    cell_id: Mapped[IdKey]
    value: Mapped[float]


class Grid(Base):
    """A grid's identity, for ever; all else about it is dated."""

    __tablename__ = "grid"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "level"], ["level.city_id", "level.level"], ondelete="CASCADE"
        ),
    )

    city_id: Mapped[CityKey]
    grid_id: Mapped[IdKey]
    level: Mapped[SmallInt]


class GridCode(Base):
    """A code as given once; the key forbids giving it to another grid."""

    __tablename__ = "grid_code"
    __table_args__ = (
        refers_to("grid", "grid_id"),
        refers_to("net", "from_seq"),
        Index("ix_grid_code_grid", "city_id", "grid_id"),
    )

    city_id: Mapped[CityKey]
    scheme: Mapped[TextKey]
    code: Mapped[TextKey]
    grid_id: Mapped[BigInt]
    from_seq: Mapped[int]


class Net(Base):
    """A published net; append only, cancelled before its date at most."""

    __tablename__ = "net"
    __table_args__ = (
        refers_to("city"),
        refers_to("plan", "plan_id", later=True),
        CheckConstraint("seq >= 1", name="seq"),
        Index(
            "uq_net_effective_from",
            "city_id",
            "effective_from",
            unique=True,
            postgresql_where=text("cancelled_at IS NULL"),
        ),
    )

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    plan_id: Mapped[BigInt | None]
    effective_from: Mapped[date]
    decided_at: Mapped[Now]
    cancelled_at: Mapped[datetime | None]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    activated_at: Mapped[datetime | None]
    """When open issues and posts were handed over."""
    settled_at: Mapped[datetime | None]
    """When the permission columns of closed rows had followed."""


class NetCell(Base):
    """Which leaf grid a cell belongs to, as a run of nets."""

    __tablename__ = "net_cell"
    __table_args__ = (
        refers_to("cell", "cell_id"),
        refers_to("grid", "grid_id"),
        refers_to("net", "from_seq"),
        CheckConstraint("from_seq < to_seq", name="run"),
        ExcludeConstraint(
            ("city_id", "="),
            ("cell_id", "="),
            (text("int4range(from_seq, to_seq)"), "&&"),
            name="ex_net_cell_run",
            using="gist",
        ),
        Index("ix_net_cell_grid", "city_id", "grid_id", "to_seq"),
    )

    city_id: Mapped[CityKey]
    cell_id: Mapped[IdKey]
    from_seq: Mapped[SeqKey]
    to_seq: Mapped[int] = mapped_column(server_default=text(str(FOREVER)))
    grid_id: Mapped[BigInt]


class NetGrid(Areas, Base):
    """Name, parent, kind, code and boundary of a grid, as a run of nets."""

    __tablename__ = "net_grid"
    __table_args__ = (
        refers_to("grid", "grid_id"),
        ForeignKeyConstraint(["city_id", "parent_id"], ["grid.city_id", "grid.grid_id"]),
        refers_to("net", "from_seq"),
        one_of("kind", GridKind),
        CheckConstraint("from_seq < to_seq", name="run"),
        ExcludeConstraint(
            ("city_id", "="),
            ("grid_id", "="),
            (text("int4range(from_seq, to_seq)"), "&&"),
            name="ex_net_grid_run",
            using="gist",
        ),
        ExcludeConstraint(
            ("city_id", "="),
            ("code", "="),
            (text("int4range(from_seq, to_seq)"), "&&"),
            name="ex_net_grid_code",
            using="gist",
        ),
        Index("ix_net_grid_level", "city_id", "level", "from_seq"),
        Index("ix_net_grid_parent", "city_id", "parent_id"),
        Index(
            "ix_net_grid_name",
            "name",
            postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops"},
        ),
        gist("net_grid", "boundary"),
    )

    city_id: Mapped[CityKey]
    grid_id: Mapped[IdKey]
    from_seq: Mapped[SeqKey]
    to_seq: Mapped[int] = mapped_column(server_default=text(str(FOREVER)))
    level: Mapped[SmallInt]
    parent_id: Mapped[BigInt | None]
    name: Mapped[str]
    kind: Mapped[str]
    code: Mapped[str | None]
    colour: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    area_m2: Mapped[float]
    boundary: Mapped[Any] = shape("MULTIPOLYGON")
    label_point: Mapped[Any] = shape("POINT")


class NetException(Base):
    """A grid in several parts that a net inherited or its planner marked by name, as a run."""

    __tablename__ = "net_exception"
    __table_args__ = (
        refers_to("grid", "grid_id"),
        refers_to("net", "from_seq"),
        CheckConstraint("from_seq < to_seq", name="run"),
        ExcludeConstraint(
            ("city_id", "="),
            ("grid_id", "="),
            (text("int4range(from_seq, to_seq)"), "&&"),
            name="ex_net_exception_run",
            using="gist",
        ),
    )

    city_id: Mapped[CityKey]
    grid_id: Mapped[IdKey]
    from_seq: Mapped[SeqKey]
    to_seq: Mapped[int] = mapped_column(server_default=text(str(FOREVER)))
    parts: Mapped[int]
    reason: Mapped[str]


class Handover(Base):
    """What changes hands when a net begins."""

    __tablename__ = "handover"
    __table_args__ = (
        refers_to("net", "seq"),
        refers_to("grid", "from_grid"),
        refers_to("grid", "to_grid"),
    )

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    kind: Mapped[TextKey]
    object_id: Mapped[IdKey]
    from_grid: Mapped[BigInt | None]
    to_grid: Mapped[BigInt | None]
    reason: Mapped[str]
    applied_at: Mapped[datetime | None]


class SourceNet(Base):
    """A delivered set of polygons, kept as geometry, code and name only."""

    __tablename__ = "source_net"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    source_net_id: Mapped[IdKey]
    name: Mapped[str]
    level: Mapped[SmallInt | None]
    report: Mapped[Json]
    created_at: Mapped[Now]


class SourceGrid(Base):
    """One delivered polygon and how far the net's grid departs from it."""

    __tablename__ = "source_grid"
    __table_args__ = (
        refers_to("source_net", "source_net_id"),
        refers_to("grid", "grid_id"),
        gist("source_grid", "geom"),
    )

    city_id: Mapped[CityKey]
    source_net_id: Mapped[IdKey]
    code: Mapped[TextKey]
    name: Mapped[str]
    grid_id: Mapped[BigInt | None]
    residual_m2: Mapped[float | None]
    residual_households: Mapped[float | None]
    geom: Mapped[Any] = shape("MULTIPOLYGON")
