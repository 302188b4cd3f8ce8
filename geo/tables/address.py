"""Addresses: texts that name a building or a place, as delivered and as people decided."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index
from sqlalchemy import text as written
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Base,
    BigInt,
    CityKey,
    IdKey,
    Now,
    gist,
    refers_to,
    shape,
)


class Address(Base):
    """A text that names a place; nothing in it tells of a flat, a household or a person.

    `key` is the text in one form (`geo.addresses`). An alias is what somebody decided at the desk:
    its key means this place alone. A building that goes leaves its addresses as places.
    """

    __tablename__ = "address"
    __table_args__ = (
        refers_to("city"),
        refers_to("cell", "cell_id"),
        ForeignKeyConstraint(
            ["city_id", "building_id"],
            ["building.city_id", "building.building_id"],
            ondelete="SET NULL (building_id)",
        ),
        ForeignKeyConstraint(
            ["city_id", "author_id"], ["user_account.city_id", "user_account.user_id"]
        ),
        CheckConstraint("length(text) BETWEEN 1 AND 400", name="text"),
        CheckConstraint("key <> ''", name="key"),
        Index("ix_address_key", "city_id", "key"),
        Index("ix_address_building", "city_id", "building_id"),
        Index("ix_address_cell", "city_id", "cell_id"),
        Index("uq_address_alias", "city_id", "key", unique=True, postgresql_where=written("alias")),
        Index(
            "ix_address_like", "key", postgresql_using="gin", postgresql_ops={"key": "gin_trgm_ops"}
        ),
        gist("address", "geom"),
    )

    city_id: Mapped[CityKey]
    address_id: Mapped[IdKey]
    text: Mapped[str]
    key: Mapped[str]
    alias: Mapped[bool] = mapped_column(server_default=written("false"))
    building_id: Mapped[BigInt | None]
    cell_id: Mapped[BigInt]
    author_id: Mapped[BigInt | None]
    created_at: Mapped[Now]
    geom: Mapped[Any] = shape("POINT")
