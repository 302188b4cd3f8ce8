"""What maps need at once and the cells give only slowly; derived from them, never edited."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped

from geo.tables.base import Base, CityKey, IdKey, SeqKey, TextKey, gist, refers_to, shape


class NetFigure(Base):
    """Households of a grid on a net, by vintage."""

    __tablename__ = "net_figure"
    __table_args__ = (
        refers_to("net", "seq"),
        refers_to("vintage", "vintage"),
        refers_to("grid", "grid_id"),
    )

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    vintage: Mapped[TextKey]
    grid_id: Mapped[IdKey]
    households: Mapped[float]


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
