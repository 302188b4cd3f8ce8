"""The frames that a city is made of: columns, their kinds, keys and references, and empty ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.errors import DatasetError
from geo.terms import (
    BarrierKind,
    CompoundRole,
    GridKind,
    IssueAct,
    IssueState,
    LimitUnit,
    SetAside,
    StationStage,
    StreetKind,
)

Kind = Literal["id", "integer", "number", "text", "flag", "day", "instant", "geometry"]

#: Pandas dtypes by kind of column: (never null, nullable). Days are naive midnights.
DTYPES: Final[dict[str, tuple[str, str]]] = {
    "id": ("int64", "Int64"),
    "integer": ("int64", "Int64"),
    "number": ("float64", "float64"),
    "text": ("str", "str"),
    "flag": ("bool", "boolean"),
    "day": ("datetime64[s]", "datetime64[s]"),
    "instant": ("datetime64[s, UTC]", "datetime64[s, UTC]"),
    "geometry": ("geometry", "geometry"),
}

ISSUE_ROOTS: Final = ("component", "event")


@dataclass(frozen=True)
class Column:
    """One column of a frame: its kind, whether it may be empty, what it refers to or allows."""

    kind: Kind
    nullable: bool = False
    refers_to: str | None = None
    allowed: tuple[str, ...] | None = None
    minimum: float | None = None


@dataclass(frozen=True)
class FrameShape:
    """Columns of a frame, its key, and the geometry types it may hold."""

    key: tuple[str, ...]
    columns: dict[str, Column]
    geometry: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()


def _id(refers_to: str | None = None, *, nullable: bool = False) -> Column:
    return Column("id", nullable=nullable, refers_to=refers_to, minimum=1)


def _text(
    *, nullable: bool = False, refers_to: str | None = None, allowed: tuple[str, ...] | None = None
) -> Column:
    return Column("text", nullable=nullable, refers_to=refers_to, allowed=allowed)


_GEOMETRY: Final = Column("geometry")
_AREAL: Final = ("Polygon", "MultiPolygon")
_MOMENT: Final = Column("instant", nullable=True)

FRAMES: Final[dict[str, FrameShape]] = {
    "levels": FrameShape(
        ("level",),
        {
            "level": Column("integer", minimum=1),
            "code": _text(),
            "name": _text(),
            "name_en": _text(),
            "zoom_min": Column("integer", minimum=0),
            "zoom_max": Column("integer", minimum=0),
        },
        unique=(("code",),),
    ),
    "grids": FrameShape(
        ("grid_id",),
        {
            "grid_id": _id(),
            "level": Column("integer", minimum=1),
            "parent_id": _id("grids", nullable=True),
            "name": _text(),
            "kind": _text(allowed=tuple(GridKind)),
            "code": _text(nullable=True),
            "colour": Column("integer", minimum=0),
        },
    ),
    "cells": FrameShape(
        ("cell_id",),
        {"cell_id": _id(), "grid_id": _id("grids"), "geometry": _GEOMETRY},
        ("Polygon",),
    ),
    "cell_values": FrameShape(
        ("cell_id", "vintage", "measure"),
        {
            "cell_id": _id("cells"),
            "vintage": _text(refers_to="vintages"),
            "measure": _text(),
            "value": Column("number"),
        },
    ),
    "vintages": FrameShape(
        ("vintage",),
        {
            "vintage": _text(),
            "taken_on": Column("day"),
            "seasonal": Column("flag"),
            "estimated": Column("flag"),
            "name": _text(),
        },
    ),
    "buildings": FrameShape(
        ("building_id",),
        {
            "building_id": _id(),
            "cell_id": _id("cells"),
            "code": _text(nullable=True),
            "name": _text(nullable=True),
            "use": _text(),
            "floors": Column("integer", nullable=True, minimum=1),
            "entrances": Column("integer", nullable=True, minimum=0),
            "households": Column("integer", minimum=0),
            "geometry": _GEOMETRY,
        },
        _AREAL,
    ),
    "addresses": FrameShape(
        ("address_id",),
        {
            "address_id": _id(),
            "text": _text(),
            "building_id": _id("buildings", nullable=True),
            "cell_id": _id("cells"),
            "geometry": _GEOMETRY,
        },
        ("Point",),
    ),
    "compounds": FrameShape(
        ("compound_id",),
        {
            "compound_id": _id(),
            "name": _text(),
            "community_type": _text(nullable=True),
            "geometry": _GEOMETRY,
        },
        _AREAL,
    ),
    "compound_bodies": FrameShape(
        ("compound_id", "role", "valid_from"),
        {
            "compound_id": _id("compounds"),
            "role": _text(allowed=tuple(CompoundRole)),
            "organisation_id": _id("organisations"),
            "valid_from": Column("day"),
            "valid_to": Column("day", nullable=True),
        },
    ),
    "streets": FrameShape(
        ("street_id",),
        {
            "street_id": _id(),
            "name": _text(nullable=True),
            "kind": _text(allowed=tuple(StreetKind)),
            "from_node": _id(),
            "to_node": _id(),
            "geometry": _GEOMETRY,
        },
        ("LineString",),
    ),
    "barriers": FrameShape(
        ("barrier_id",),
        {
            "barrier_id": _id(),
            "kind": _text(allowed=tuple(BarrierKind)),
            "name": _text(nullable=True),
            "geometry": _GEOMETRY,
        },
        (*_AREAL, "LineString", "MultiLineString"),
    ),
    "organisations": FrameShape(
        ("organisation_id",),
        {
            "organisation_id": _id(),
            "name": _text(),
            "kind": _text(),
            "parent_id": _id("organisations", nullable=True),
            "grid_id": _id("grids", nullable=True),
            "compound_id": _id("compounds", nullable=True),
            "building_id": _id("buildings", nullable=True),
            "station_id": _id("stations", nullable=True),
        },
    ),
    "workers": FrameShape(
        ("worker_id",),
        {
            "worker_id": _id(),
            "duty_number": _text(),
            "name": _text(),
            "name_consent": Column("flag"),
        },
        unique=(("duty_number",),),
    ),
    "posts": FrameShape(
        ("post_id",),
        {
            "post_id": _id(),
            "worker_id": _id("workers", nullable=True),
            "grid_id": _id("grids"),
            "role": _text(),
            "valid_from": Column("day"),
            "valid_to": Column("day", nullable=True),
            "part_time": Column("flag"),
        },
    ),
    "station_kinds": FrameShape(
        ("kind",), {"kind": _text(), "name": _text(), "name_en": _text(), "serves": _text()}
    ),
    "stations": FrameShape(
        ("station_id",),
        {
            "station_id": _id(),
            "kind": _text(refers_to="station_kinds"),
            "name": _text(),
            "address": _text(nullable=True),
            "opening_hours": _text(nullable=True),
            "floor_area_m2": Column("number", nullable=True, minimum=0),
            "capacity": Column("integer", nullable=True, minimum=0),
            "stage": _text(allowed=tuple(StationStage)),
            "cell_id": _id("cells"),
            "organisation_id": _id("organisations", nullable=True),
            "geometry": _GEOMETRY,
        },
        ("Point",),
    ),
    "categories": FrameShape(
        ("category",),
        {
            "category": _text(),
            "parent": _text(nullable=True, refers_to="categories"),
            "name": _text(),
            "name_en": _text(),
            "root": _text(allowed=ISSUE_ROOTS),
        },
    ),
    "issues": FrameShape(
        ("issue_id",),
        {
            "issue_id": _id(),
            "cell_id": _id("cells"),
            "category": _text(refers_to="categories"),
            "channel": _text(),
            "reported_at": Column("instant"),
            "closed_at": Column("instant", nullable=True),
            "state": _text(),
            "set_aside": _text(nullable=True, allowed=tuple(SetAside)),
            "organisation_id": _id("organisations", nullable=True),
            "geometry": _GEOMETRY,
        },
        ("Point",),
    ),
    "issue_lives": FrameShape(
        ("issue_id",),
        {
            "issue_id": _id("issues"),
            **dict.fromkeys(
                (
                    "accepted_at",
                    "register_by",
                    "registered_at",
                    "dispatched_at",
                    "deadline_at",
                    "suspended_at",
                    "handled_at",
                ),
                _MOMENT,
            ),
            "due_at": Column("instant"),
            "review_on": Column("day", nullable=True),
            "limit_amount": Column("number", nullable=True),
            "limit_unit": _text(nullable=True, allowed=tuple(LimitUnit)),
            "remaining_s": Column("number", nullable=True),
            **{
                name: Column("integer", minimum=0)
                for name in (
                    "returns",
                    "reworks",
                    "postpones",
                    "reopens",
                    "desk_level",
                )
            },
            "on_the_spot": Column("flag"),
            "satisfied": Column("flag", nullable=True),
            "duplicate_of": _id("issues", nullable=True),
        },
    ),
    "issue_events": FrameShape(
        ("issue_id", "at", "act"),
        {
            "issue_id": _id("issues"),
            "at": Column("instant"),
            "act": _text(allowed=tuple(IssueAct)),
            "state": _text(allowed=tuple(IssueState)),
            "actor_role": _text(),
        },
    ),
    "category_leads": FrameShape(
        ("category",),
        {
            "category": _text(refers_to="categories"),
            "lead_id": _id("organisations"),
            "legal_basis": _text(nullable=True),
        },
    ),
    "source_nets": FrameShape(
        ("source_net_id",),
        {
            "source_net_id": _id(),
            "name": _text(),
            "level": Column("integer", nullable=True, minimum=1),
            "report": _text(),
        },
    ),
    "source_grids": FrameShape(
        ("source_net_id", "code"),
        {
            "source_net_id": _id("source_nets"),
            "code": _text(),
            "name": _text(),
            "grid_id": _id("grids", nullable=True),
            "residual_m2": Column("number", nullable=True, minimum=0),
            "residual_households": Column("number", nullable=True, minimum=0),
            "geometry": _GEOMETRY,
        },
        _AREAL,
    ),
}
OPTIONAL: Final = (
    "levels", "source_nets", "source_grids", "compound_bodies", "addresses", "issue_lives",
    "issue_events", "category_leads",
)  # fmt: skip
"""Frames that a dataset may leave out."""


def shaped(name: str, columns: dict[str, Any], metre_srid: int) -> pd.DataFrame:
    """Build a frame of a dataset from columns, with the dtypes and the order of `FRAMES`.

    Parameters
    ----------
    name : str
        A key of `FRAMES`.
    columns : dict of str to array-like
        Every column of that frame, all of one length; geometry in metres.
    metre_srid : int
        EPSG number of the city's projected CRS in metres.

    Returns
    -------
    DataFrame or GeoDataFrame, shape (n, columns), RangeIndex

    Raises
    ------
    DatasetError
        If a column is missing or not one of the frame's.
    """
    shape = FRAMES[name]
    wrong = set(columns) ^ set(shape.columns)
    if wrong:
        raise DatasetError([f"{name}: columns missing or unknown: {', '.join(sorted(wrong))}"])
    frame = pd.DataFrame(
        {
            column: _series(columns[column], dtype_of(field))
            for column, field in shape.columns.items()
            if field.kind != "geometry"
        }
    )
    if shape.geometry:
        located: pd.DataFrame = gpd.GeoDataFrame(
            frame, geometry=np.asarray(columns["geometry"], dtype=object), crs=metre_srid
        )
        return located
    return frame


def _series(values: Any, dtype: Any) -> pd.Series[Any]:
    """Return `values` (array, list or Series with any index) as a Series on 0 .. n-1."""
    series: pd.Series[Any] = pd.Series(getattr(values, "array", values), dtype=dtype)
    return series


def empty_frame(name: str, metre_srid: int) -> pd.DataFrame:
    """Return the frame `name` of `FRAMES` without rows, in EPSG `metre_srid` if it has geometry."""
    return shaped(name, {column: [] for column in FRAMES[name].columns}, metre_srid)


def dtype_of(column: Column) -> str:
    """Return the pandas dtype a column of a dataset is stored with."""
    return DTYPES[column.kind][int(column.nullable)]
