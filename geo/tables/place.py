"""What stands on the ground, and who works there."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    column,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Areas,
    Base,
    BigInt,
    CityKey,
    IdKey,
    Ids,
    Moment,
    Now,
    SmallInt,
    TextKey,
    gist,
    one_of,
    refers_to,
    shape,
)
from geo.terms import CompoundRole, NoticeKind, StationStage


class Building(Base):
    """A building's footprint; households are a count, never persons."""

    __tablename__ = "building"
    __table_args__ = (
        refers_to("cell", "cell_id"),
        CheckConstraint("households >= 0", name="households"),
        Index("ix_building_cell", "city_id", "cell_id"),
        Index("ix_building_code", "city_id", "code"),
        gist("building", "footprint"),
    )

    city_id: Mapped[CityKey]
    building_id: Mapped[IdKey]
    cell_id: Mapped[BigInt]
    code: Mapped[str | None]
    name: Mapped[str | None]
    use: Mapped[str]
    floors: Mapped[SmallInt | None]
    entrances: Mapped[SmallInt | None]
    households: Mapped[int | None]
    footprint: Mapped[Any] = shape("GEOMETRY")


building_household = table(
    "building_household",
    column("city_id", SmallInteger),
    column("building_id", BigInteger),
    column("households", Integer),
)
"""How many households a building has: a view that the city's staff alone finds filled."""


class Compound(Base):
    """A residential estate; who manages it is dated in `CompoundBody`."""

    __tablename__ = "compound"
    __table_args__ = (
        refers_to("city"),
        gist("compound", "geom"),
    )

    city_id: Mapped[CityKey]
    compound_id: Mapped[IdKey]
    name: Mapped[str]
    community_type: Mapped[str | None]
    geom: Mapped[Any] = shape("GEOMETRY")


class CompoundBody(Base):
    """The property firm or the owners' committee of a compound, dated; `valid_to` is excluded."""

    __tablename__ = "compound_body"
    __table_args__ = (
        refers_to("compound", "compound_id"),
        refers_to("organisation", "organisation_id"),
        one_of("role", CompoundRole),
        CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name="dates"),
        ExcludeConstraint(
            ("city_id", "="),
            ("compound_id", "="),
            ("role", "="),
            (text("daterange(valid_from, valid_to)"), "&&"),
            name="ex_compound_body_dates",
            using="gist",
        ),
        Index("ix_compound_body_organisation", "city_id", "organisation_id"),
    )

    city_id: Mapped[CityKey]
    compound_id: Mapped[IdKey]
    role: Mapped[TextKey]
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    organisation_id: Mapped[BigInt]


class Street(Base):
    """An edge of the noded street network."""

    __tablename__ = "street"
    __table_args__ = (
        refers_to("city"),
        Index("ix_street_name", "city_id", "name"),
        gist("street", "geom"),
    )

    city_id: Mapped[CityKey]
    street_id: Mapped[IdKey]
    name: Mapped[str | None]
    kind: Mapped[str]
    from_node: Mapped[BigInt]
    to_node: Mapped[BigInt]
    length_m: Mapped[float]
    geom: Mapped[Any] = shape("LINESTRING")


class Barrier(Base):
    """A river, railway, wall or water: cuts neighbourhood, not ground."""

    __tablename__ = "barrier"
    __table_args__ = (refers_to("city"), gist("barrier", "geom"))

    city_id: Mapped[CityKey]
    barrier_id: Mapped[IdKey]
    kind: Mapped[str]
    name: Mapped[str | None]
    geom: Mapped[Any] = shape("GEOMETRY")


class Organisation(Base):
    """A body of any kind in one generic tree, at home in one place at most: a grid or a thing."""

    __tablename__ = "organisation"
    __table_args__ = (
        refers_to("city"),
        ForeignKeyConstraint(
            ["city_id", "parent_id"],
            ["organisation.city_id", "organisation.organisation_id"],
        ),
        refers_to("grid", "grid_id"),
        refers_to("compound", "compound_id"),
        refers_to("building", "building_id"),
        refers_to("station", "station_id", later=True, deferred=True),
        CheckConstraint(
            "num_nonnulls(grid_id, compound_id, building_id, station_id) <= 1", name="place"
        ),
        Index("ix_organisation_compound", "city_id", "compound_id"),
        Index("ix_organisation_building", "city_id", "building_id"),
        Index("ix_organisation_station", "city_id", "station_id"),
    )

    city_id: Mapped[CityKey]
    organisation_id: Mapped[IdKey]
    name: Mapped[str]
    kind: Mapped[str]
    parent_id: Mapped[BigInt | None]
    grid_id: Mapped[BigInt | None]
    compound_id: Mapped[BigInt | None]
    building_id: Mapped[BigInt | None]
    station_id: Mapped[BigInt | None]


class Worker(Base):
    """Somebody who holds posts; the name is shown to strangers with consent only.

    `areas` are the grids of the open posts and all their ancestors.
    """

    __tablename__ = "worker"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    worker_id: Mapped[IdKey]
    name: Mapped[str]
    name_consent: Mapped[bool] = mapped_column(server_default=text("false"))
    areas: Mapped[Ids]


class Post(Areas, Base):
    """A role in a grid, dated; without a worker it is vacant. `valid_to` is excluded.

    A stand-in is a post of its own for a while, and names the post that it stands in for.
    """

    __tablename__ = "post"
    __table_args__ = (
        refers_to("worker", "worker_id"),
        refers_to("grid", "grid_id"),
        refers_to("post", "stand_in_for"),
        CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name="dates"),
        Index("ix_post_grid", "city_id", "grid_id"),
        Index("ix_post_worker", "city_id", "worker_id"),
    )

    city_id: Mapped[CityKey]
    post_id: Mapped[IdKey]
    worker_id: Mapped[BigInt | None]
    duty_number: Mapped[str | None]
    grid_id: Mapped[BigInt]
    role: Mapped[str]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    part_time: Mapped[bool] = mapped_column(server_default=text("false"))
    stand_in_for: Mapped[BigInt | None]


class Notice(Areas, Base):
    """Something that people of a place should know: kept by the community, read at every door."""

    __tablename__ = "notice"
    __table_args__ = (
        refers_to("city"),
        refers_to("grid", "grid_id"),
        one_of("kind", NoticeKind),
        CheckConstraint("ends_at IS NULL OR begins_at < ends_at", name="dates"),
        Index("ix_notice_grid", "city_id", "grid_id"),
    )

    city_id: Mapped[CityKey]
    notice_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    grid_id: Mapped[BigInt]
    kind: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    begins_at: Mapped[Moment]
    ends_at: Mapped[datetime | None]
    author: Mapped[BigInt]
    created_at: Mapped[Now]
    withdrawn_at: Mapped[datetime | None]


class StationKind(Base):
    """A kind of service station; kinds are data."""

    __tablename__ = "station_kind"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    kind: Mapped[TextKey]
    name: Mapped[str]
    name_en: Mapped[str]
    serves: Mapped[str]


class Station(Base):
    """A service station with its life stage."""

    __tablename__ = "station"
    __table_args__ = (
        refers_to("station_kind", "kind"),
        refers_to("cell", "cell_id"),
        refers_to("organisation", "organisation_id"),
        one_of("stage", StationStage),
        Index("ix_station_cell", "city_id", "cell_id"),
        gist("station", "geom"),
    )

    city_id: Mapped[CityKey]
    station_id: Mapped[IdKey]
    kind: Mapped[str]
    name: Mapped[str]
    address: Mapped[str | None]
    opening_hours: Mapped[str | None]
    floor_area_m2: Mapped[float | None]
    capacity: Mapped[int | None]
    stage: Mapped[str]
    cell_id: Mapped[BigInt]
    organisation_id: Mapped[BigInt | None]
    geom: Mapped[Any] = shape("POINT")
