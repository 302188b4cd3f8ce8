"""What all tables share: naming of constraints, kinds of columns, keys that begin with the city."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from geoalchemy2 import Geometry
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SRID = 4326

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

BigInt = Annotated[int, mapped_column(BigInteger)]
SmallInt = Annotated[int, mapped_column(SmallInteger)]
CityKey = Annotated[int, mapped_column(SmallInteger, primary_key=True, autoincrement=False)]
IdKey = Annotated[int, mapped_column(BigInteger, primary_key=True, autoincrement=False)]
SeqKey = Annotated[int, mapped_column(Integer, primary_key=True, autoincrement=False)]
TextKey = Annotated[str, mapped_column(Text, primary_key=True)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Now = Annotated[
    datetime,
    mapped_column(DateTime(timezone=True), server_default=func.statement_timestamp()),
]
Json = Annotated[dict[str, Any], mapped_column(JSONB, server_default=text("'{}'::jsonb"))]
Ids = Annotated[list[int], mapped_column(ARRAY(BigInteger), server_default=text("'{}'::bigint[]"))]


class Base(DeclarativeBase):
    """Common metadata with named constraints."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {str: Text, date: Date, datetime: DateTime(timezone=True)}


def shape(kind: str) -> Any:
    """Return a geometry column whose GiST index is declared by name in `__table_args__`."""
    return mapped_column(Geometry(kind, srid=SRID, spatial_index=False), nullable=False)


def gist(table: str, column: str) -> Index:
    """Return a spatial index with the name that all of them follow."""
    return Index(f"ix_{table}_{column}", column, postgresql_using="gist")


def refers_to(
    target: str, *columns: str, later: bool = False, deferred: bool = False
) -> ForeignKeyConstraint:
    """Return a foreign key on ``(city_id, columns...)`` of the table `target`.

    The names of the columns in `target` are its own primary key's. With `later` the key is added
    after both tables are there, since they refer to each other; `deferred` is checked at the end.
    """
    own = {"city": [], "net": ["seq"]}.get(target, [f"{target}_id"])
    keys = {
        "station_kind": ["kind"],
        "category": ["category"],
        "vintage": ["vintage"],
        "user_account": ["user_id"],
    }
    remote = ["city_id", *keys.get(target, own)]
    return ForeignKeyConstraint(
        ["city_id", *columns],
        [f"{target}.{name}" for name in remote],
        ondelete="CASCADE" if target == "city" else None,
        use_alter=later,
        deferrable=deferred or None,
        initially="DEFERRED" if deferred else None,
    )


def one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """Return the constraint that a column holds one of these words."""
    listed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Queued:
    """Long work as a row: the worker writes how far it is and how it ended; see `geo.store.jobs`.

    `cancel_asked` is all that the application may change. A worker that dies or hangs lets its
    lease run out, and another one takes the job up again.
    """

    state: Mapped[str] = mapped_column(server_default=text("'queued'"))
    share: Mapped[float] = mapped_column(server_default=text("0"))
    words: Mapped[str] = mapped_column(server_default=text("''"))
    cancel_asked: Mapped[bool] = mapped_column(server_default=text("false"))
    attempts: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Areas:
    """The owner's ancestors by level as plain columns: what permissions stand on."""

    area_1: Mapped[int | None] = mapped_column(BigInteger)
    area_2: Mapped[int | None] = mapped_column(BigInteger)
    area_3: Mapped[int | None] = mapped_column(BigInteger)
    area_4: Mapped[int | None] = mapped_column(BigInteger)
    area_5: Mapped[int | None] = mapped_column(BigInteger)
    area_6: Mapped[int | None] = mapped_column(BigInteger)
