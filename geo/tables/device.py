"""Things that may tell of themselves, and what they told."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Identity, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Areas,
    Base,
    BigInt,
    CityKey,
    IdKey,
    Moment,
    Now,
    TextKey,
    gist,
    one_of,
    refers_to,
    shape,
)
from geo.terms import DeviceKind


class Device(Areas, Base):
    """A thing on the list of those that may tell of themselves, at its place."""

    __tablename__ = "device"
    __table_args__ = (
        refers_to("city"),
        refers_to("grid", "grid_id"),
        refers_to("category", "category"),
        UniqueConstraint("city_id", "code", name="uq_device_code"),
        one_of("kind", DeviceKind),
        gist("device", "geom"),
    )

    city_id: Mapped[CityKey]
    device_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    code: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    category: Mapped[str]
    grid_id: Mapped[BigInt]
    geom: Mapped[Any] = shape("POINT")
    enabled: Mapped[bool]
    created_at: Mapped[Now]


class DeviceKey(Base):
    """The key that a device signs with; nobody reads it, and it is in no backup."""

    __tablename__ = "device_key"
    __table_args__ = (refers_to("device", "device_id"),)

    city_id: Mapped[CityKey]
    device_id: Mapped[IdKey]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    set_at: Mapped[Now]


class DeviceAlarm(Base):
    """What a device told, once by the alarm's own name; the issue that came of it."""

    __tablename__ = "device_alarm"
    __table_args__ = (
        refers_to("device", "device_id"),
        refers_to("issue", "issue_id"),
        Index("ix_device_alarm_at", "city_id", "device_id", "at"),
        Index("ix_device_alarm_issue", "city_id", "issue_id"),
    )

    city_id: Mapped[CityKey]
    device_id: Mapped[IdKey]
    alarm: Mapped[TextKey]
    at: Mapped[Moment]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    """Of what was sent: tells the same alarm from another one under its name."""
    value: Mapped[float | None]
    unit: Mapped[str | None]
    words: Mapped[str | None]
    issue_id: Mapped[BigInt | None]
