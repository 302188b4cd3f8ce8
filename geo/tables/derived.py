"""What lists and maps need at once and cells give only slowly; derived, never edited."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, Date, Identity, LargeBinary, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import Base, CityKey, IdKey, SeqKey, TextKey, gist, refers_to, shape


class NetCount(Base):
    """How many cells and buildings a grid has on a net, all grids below it included."""

    __tablename__ = "net_count"
    __table_args__ = (refers_to("net", "seq"), refers_to("grid", "grid_id"))

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    grid_id: Mapped[IdKey]
    cells: Mapped[int]
    buildings: Mapped[int]


class NetValue(Base):
    """The sum of a measure over the cells of a grid on a net, by vintage.

    What is not `told` is for the city's staff: few households, or what few could be found by.
    """

    __tablename__ = "net_value"
    __table_args__ = (
        refers_to("net", "seq"),
        refers_to("vintage", "vintage"),
        refers_to("grid", "grid_id"),
    )

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    vintage: Mapped[TextKey]
    measure: Mapped[TextKey]
    grid_id: Mapped[IdKey]
    value: Mapped[float]
    told: Mapped[bool] = mapped_column(server_default=text("true"))


class DensitySquare(Base):
    """Number of buildings in a square of the metre CRS; its corner is (x, y) times its size."""

    __tablename__ = "density_square"
    __table_args__ = (refers_to("city"), gist("density_square", "geom"))

    city_id: Mapped[CityKey]
    size_m: Mapped[SeqKey]
    x: Mapped[SeqKey]
    y: Mapped[SeqKey]
    buildings: Mapped[int]
    geom: Mapped[Any] = shape("POLYGON")


class HouseholdPlace(Base):
    """Where the households of a cell stand: metres of the city's metre CRS."""

    __tablename__ = "household_place"
    __table_args__ = (refers_to("cell", "cell_id"),)

    city_id: Mapped[CityKey]
    cell_id: Mapped[IdKey]
    x: Mapped[float]
    y: Mapped[float]


class IssueSquare(Base):
    """Issues of a month, a main category and a smallest square; read by city-wide roles alone.

    The square's corner is (x, y) times its side; larger squares are sums. `set_aside` is empty for
    issues that count.
    """

    __tablename__ = "issue_square"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    category: Mapped[TextKey]
    set_aside: Mapped[TextKey]
    x: Mapped[SeqKey]
    y: Mapped[SeqKey]
    issues: Mapped[int]


class IssueMonth(Base):
    """Issues of a month and a category by cell, packed; read by city-wide roles alone.

    `cells` holds the numbers of cells in their order, 8 bytes each, `issues` how many of each, 4
    bytes, both big-endian. `set_aside` is empty for issues that count.
    """

    __tablename__ = "issue_month"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    category: Mapped[TextKey]
    set_aside: Mapped[TextKey]
    cells: Mapped[bytes] = mapped_column(LargeBinary)
    issues: Mapped[bytes] = mapped_column(LargeBinary)
    total: Mapped[int]


class IssueYear(Base):
    """Issues of a year that count by cell, of all categories, packed as those of a month are."""

    __tablename__ = "issue_year"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    cells: Mapped[bytes] = mapped_column(LargeBinary)
    issues: Mapped[bytes] = mapped_column(LargeBinary)


class IssueStale(Base):
    """A month whose issues changed since they were packed; a trigger notes it, each time anew."""

    __tablename__ = "issue_stale"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    mark: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    month: Mapped[date] = mapped_column(Date)


class NetLimit(Base):
    """The limits of a grid on a net in words (四至)."""

    __tablename__ = "net_limit"
    __table_args__ = (refers_to("net", "seq"), refers_to("grid", "grid_id"))

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    grid_id: Mapped[IdKey]
    zh: Mapped[str]
    en: Mapped[str]


class NetCompound(Base):
    """What a compound and a grid of a net have in common.

    Shares are of households of the latest full count; of cells where no households are known.
    """

    __tablename__ = "net_compound"
    __table_args__ = (
        refers_to("net", "seq"),
        refers_to("compound", "compound_id"),
        refers_to("grid", "grid_id"),
    )

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    compound_id: Mapped[IdKey]
    grid_id: Mapped[IdKey]
    cells: Mapped[int]
    households: Mapped[float]
    share_of_compound: Mapped[float]
    share_of_grid: Mapped[float]
