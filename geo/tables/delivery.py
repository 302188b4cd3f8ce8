"""Files that were delivered, the work on them, and what each import changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Base,
    BigInt,
    CityKey,
    Json,
    Now,
    Queued,
    TextKey,
    one_of,
    refers_to,
)
from geo.terms import DeliveryState, JobState, JobStep


def _of_delivery() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["city_id", "delivery_id"],
        ["delivery.city_id", "delivery.delivery_id"],
        ondelete="CASCADE",
    )


class Delivery(Base):
    """A file, or the parts of one, on its way into a city.

    `folder` is where its bytes lie, a random name in the state folder; None once they are deleted.
    `understood` is what the reader said of it, `wish` how it is to be read, `report` what was found
    and what would change. `revision` is the schema that its changes were kept under.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        refers_to("city"),
        refers_to("user_account", "author_id"),
        one_of("state", DeliveryState),
        UniqueConstraint("delivery_id"),
        Index("ix_delivery_received", "city_id", "received_at"),
    )

    city_id: Mapped[CityKey]
    delivery_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    state: Mapped[str] = mapped_column(server_default=text("'received'"))
    name: Mapped[str]
    folder: Mapped[str | None]
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    bytes: Mapped[BigInt]
    author_id: Mapped[BigInt | None]
    received_at: Mapped[Now]
    kind: Mapped[str | None]
    understood: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    wish: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    imported_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
    revision: Mapped[str | None]


class DeliveryPart(Base):
    """A large piece of what is known of a delivery: shapes, defects, the difference."""

    __tablename__ = "delivery_part"
    __table_args__ = (_of_delivery(),)

    city_id: Mapped[CityKey]
    delivery_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    part: Mapped[TextKey]
    content: Mapped[Any] = mapped_column(JSONB)


class DeliveryChange(Base):
    """A row before and after an import, as the database writes rows: what undoes it."""

    __tablename__ = "delivery_change"
    __table_args__ = (_of_delivery(),)

    city_id: Mapped[CityKey]
    delivery_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    relation: Mapped[str]
    row_before: Mapped[str | None]
    row_after: Mapped[str | None]


class Job(Queued, Base):
    """Long work on a delivery: queued, taken by one worker at a time, told as a share and words."""

    __tablename__ = "job"
    __table_args__ = (
        _of_delivery(),
        one_of("step", JobStep),
        one_of("state", JobState),
        CheckConstraint("share BETWEEN 0 AND 1", name="share"),
        UniqueConstraint("job_id"),
        Index(
            "uq_job_live",
            "city_id",
            "delivery_id",
            unique=True,
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("ix_job_live", "job_id", postgresql_where=text("state IN ('queued', 'running')")),
        Index("ix_job_delivery", "city_id", "delivery_id", "job_id"),
    )

    city_id: Mapped[CityKey]
    job_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    delivery_id: Mapped[BigInt]
    step: Mapped[str]
    args: Mapped[Json]
    author_id: Mapped[BigInt | None]
    created_at: Mapped[Now]
