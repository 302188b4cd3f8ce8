"""The frames that a city is made of: columns, their kinds, keys and references, and empty ones."""

from __future__ import annotations

from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd

from geo.errors import DatasetError
from geo.frame_shapes import (
    AREAL,
    DTYPES,
    GEOMETRY,
    MOMENT,
    Column,
    FrameShape,
    a_text,
    an_id,
)
from geo.frames_office import OFFICE
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

ISSUE_ROOTS: Final = ("component", "event")

FRAMES: Final[dict[str, FrameShape]] = {
    "levels": FrameShape(
        ("level",),
        {
            "level": Column("integer", minimum=1),
            "code": a_text(),
            "name": a_text(),
            "name_en": a_text(),
            "zoom_min": Column("integer", minimum=0),
            "zoom_max": Column("integer", minimum=0),
        },
        unique=(("code",),),
    ),
    "grids": FrameShape(
        ("grid_id",),
        {
            "grid_id": an_id(),
            "level": Column("integer", minimum=1),
            "parent_id": an_id("grids", nullable=True),
            "name": a_text(),
            "kind": a_text(allowed=tuple(GridKind)),
            "code": a_text(nullable=True),
            "colour": Column("integer", minimum=0),
        },
    ),
    "cells": FrameShape(
        ("cell_id",),
        {"cell_id": an_id(), "grid_id": an_id("grids"), "geometry": GEOMETRY},
        ("Polygon",),
    ),
    "cell_values": FrameShape(
        ("cell_id", "vintage", "measure"),
        {
            "cell_id": an_id("cells"),
            "vintage": a_text(refers_to="vintages"),
            "measure": a_text(),
            "value": Column("number"),
        },
    ),
    "vintages": FrameShape(
        ("vintage",),
        {
            "vintage": a_text(),
            "taken_on": Column("day"),
            "seasonal": Column("flag"),
            "estimated": Column("flag"),
            "name": a_text(),
        },
    ),
    "buildings": FrameShape(
        ("building_id",),
        {
            "building_id": an_id(),
            "cell_id": an_id("cells"),
            "code": a_text(nullable=True),
            "name": a_text(nullable=True),
            "use": a_text(),
            "floors": Column("integer", nullable=True, minimum=1),
            "entrances": Column("integer", nullable=True, minimum=0),
            "households": Column("integer", minimum=0),
            "geometry": GEOMETRY,
        },
        AREAL,
    ),
    "addresses": FrameShape(
        ("address_id",),
        {
            "address_id": an_id(),
            "text": a_text(),
            "building_id": an_id("buildings", nullable=True),
            "cell_id": an_id("cells"),
            "geometry": GEOMETRY,
        },
        ("Point",),
    ),
    "compounds": FrameShape(
        ("compound_id",),
        {
            "compound_id": an_id(),
            "name": a_text(),
            "community_type": a_text(nullable=True),
            "geometry": GEOMETRY,
        },
        AREAL,
    ),
    "compound_bodies": FrameShape(
        ("compound_id", "role", "valid_from"),
        {
            "compound_id": an_id("compounds"),
            "role": a_text(allowed=tuple(CompoundRole)),
            "organisation_id": an_id("organisations"),
            "valid_from": Column("day"),
            "valid_to": Column("day", nullable=True),
        },
    ),
    "streets": FrameShape(
        ("street_id",),
        {
            "street_id": an_id(),
            "name": a_text(nullable=True),
            "kind": a_text(allowed=tuple(StreetKind)),
            "from_node": an_id(),
            "to_node": an_id(),
            "geometry": GEOMETRY,
        },
        ("LineString",),
    ),
    "barriers": FrameShape(
        ("barrier_id",),
        {
            "barrier_id": an_id(),
            "kind": a_text(allowed=tuple(BarrierKind)),
            "name": a_text(nullable=True),
            "geometry": GEOMETRY,
        },
        (*AREAL, "LineString", "MultiLineString"),
    ),
    "organisations": FrameShape(
        ("organisation_id",),
        {
            "organisation_id": an_id(),
            "name": a_text(),
            "kind": a_text(),
            "parent_id": an_id("organisations", nullable=True),
            "grid_id": an_id("grids", nullable=True),
            "compound_id": an_id("compounds", nullable=True),
            "building_id": an_id("buildings", nullable=True),
            "station_id": an_id("stations", nullable=True),
        },
    ),
    "workers": FrameShape(
        ("worker_id",),
        {
            "worker_id": an_id(),
            "duty_number": a_text(),
            "name": a_text(),
            "name_consent": Column("flag"),
        },
        unique=(("duty_number",),),
    ),
    "posts": FrameShape(
        ("post_id",),
        {
            "post_id": an_id(),
            "worker_id": an_id("workers", nullable=True),
            "grid_id": an_id("grids"),
            "role": a_text(),
            "valid_from": Column("day"),
            "valid_to": Column("day", nullable=True),
            "part_time": Column("flag"),
        },
    ),
    "station_kinds": FrameShape(
        ("kind",), {"kind": a_text(), "name": a_text(), "name_en": a_text(), "serves": a_text()}
    ),
    "stations": FrameShape(
        ("station_id",),
        {
            "station_id": an_id(),
            "kind": a_text(refers_to="station_kinds"),
            "name": a_text(),
            "address": a_text(nullable=True),
            "opening_hours": a_text(nullable=True),
            "floor_area_m2": Column("number", nullable=True, minimum=0),
            "capacity": Column("integer", nullable=True, minimum=0),
            "stage": a_text(allowed=tuple(StationStage)),
            "cell_id": an_id("cells"),
            "organisation_id": an_id("organisations", nullable=True),
            "geometry": GEOMETRY,
        },
        ("Point",),
    ),
    "categories": FrameShape(
        ("category",),
        {
            "category": a_text(),
            "parent": a_text(nullable=True, refers_to="categories"),
            "name": a_text(),
            "name_en": a_text(),
            "root": a_text(allowed=ISSUE_ROOTS),
        },
    ),
    "issues": FrameShape(
        ("issue_id",),
        {
            "issue_id": an_id(),
            "cell_id": an_id("cells"),
            "category": a_text(refers_to="categories"),
            "channel": a_text(),
            "reported_at": Column("instant"),
            "closed_at": Column("instant", nullable=True),
            "state": a_text(),
            "set_aside": a_text(nullable=True, allowed=tuple(SetAside)),
            "organisation_id": an_id("organisations", nullable=True),
            "geometry": GEOMETRY,
        },
        ("Point",),
    ),
    "issue_lives": FrameShape(
        ("issue_id",),
        {
            "issue_id": an_id("issues"),
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
                MOMENT,
            ),
            "due_at": Column("instant"),
            "review_on": Column("day", nullable=True),
            "limit_amount": Column("number", nullable=True),
            "limit_unit": a_text(nullable=True, allowed=tuple(LimitUnit)),
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
            "duplicate_of": an_id("issues", nullable=True),
        },
    ),
    "issue_events": FrameShape(
        ("issue_id", "at", "act"),
        {
            "issue_id": an_id("issues"),
            "at": Column("instant"),
            "act": a_text(allowed=tuple(IssueAct)),
            "state": a_text(allowed=tuple(IssueState)),
            "actor_role": a_text(),
            "details": a_text(),
        },
    ),
    "category_leads": FrameShape(
        ("category",),
        {
            "category": a_text(refers_to="categories"),
            "lead_id": an_id("organisations"),
            "legal_basis": a_text(nullable=True),
        },
    ),
    "source_nets": FrameShape(
        ("source_net_id",),
        {
            "source_net_id": an_id(),
            "name": a_text(),
            "level": Column("integer", nullable=True, minimum=1),
            "report": a_text(),
        },
    ),
    "source_grids": FrameShape(
        ("source_net_id", "code"),
        {
            "source_net_id": an_id("source_nets"),
            "code": a_text(),
            "name": a_text(),
            "grid_id": an_id("grids", nullable=True),
            "residual_m2": Column("number", nullable=True, minimum=0),
            "residual_households": Column("number", nullable=True, minimum=0),
            "geometry": GEOMETRY,
        },
        AREAL,
    ),
    **OFFICE,
}
OPTIONAL: Final = (
    "levels", "source_nets", "source_grids", "compound_bodies", "addresses", "issue_lives",
    "issue_events", "category_leads", *OFFICE,
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
