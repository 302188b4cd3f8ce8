"""The city, its levels and the vintages of its figures."""

from __future__ import annotations

from datetime import date
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import CheckConstraint, Identity, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import SRID, Base, CityKey, Now, SmallInt, TextKey, refers_to


class City(Base):
    """A city with its country profile and its metre CRS."""

    __tablename__ = "city"
    __table_args__ = (
        UniqueConstraint("slug"),
        CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug"),
    )

    city_id: Mapped[int] = mapped_column(SmallInteger, Identity(always=True), primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    profile: Mapped[str]
    timezone: Mapped[str]
    metre_srid: Mapped[int]
    origin_x: Mapped[float]
    origin_y: Mapped[float]
    county_code: Mapped[str]
    code_scheme: Mapped[str]
    demo: Mapped[bool] = mapped_column(server_default=text("false"))
    outline: Mapped[Any] = mapped_column(
        Geometry("MULTIPOLYGON", srid=SRID, spatial_index=False), nullable=True
    )
    created_at: Mapped[Now]


class Level(Base):
    """A level of the hierarchy, 1 being the one below the city."""

    __tablename__ = "level"
    __table_args__ = (
        refers_to("city"),
        CheckConstraint("level BETWEEN 1 AND 6", name="depth"),
    )

    city_id: Mapped[CityKey]
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    code: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    zoom_min: Mapped[SmallInt]
    zoom_max: Mapped[SmallInt]


class Vintage(Base):
    """A dated collection of cell values."""

    __tablename__ = "vintage"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    vintage: Mapped[TextKey]
    taken_on: Mapped[date]
    seasonal: Mapped[bool] = mapped_column(server_default=text("false"))
    estimated: Mapped[bool] = mapped_column(server_default=text("false"))
    name: Mapped[str]
