"""The two maps of a dossier as plain shapes: rings in points of a sheet, colours, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from geo.dossier.content import Content, Side

PALETTE: Final = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip
"""Okabe and Ito: told apart by people with any colour vision."""
AROUND: Final = "#ffffff"
LINE: Final = "#5b6776"
INK: Final = "#1b2430"
HATCH_STEP: Final = 6.0
MARGIN: Final = 0.08
LARGEST_LABEL: Final = 40
"""Most grids that are named on a map."""

Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Area:
    """A grid on the sheet: rings (holes go by the even-odd rule), fill, opacity."""

    grid: int
    rings: tuple[Ring, ...]
    fill: str
    coloured: bool


@dataclass(frozen=True)
class Label:
    """A text in the middle of a grid."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Sheet:
    """A map of a width and a height in points, y downwards."""

    width: float
    height: float
    areas: tuple[Area, ...]
    hatches: tuple[Ring, ...]
    labels: tuple[Label, ...]


def sheets(content: Content, width: float) -> tuple[Sheet, Sheet] | None:
    """Return both maps at one scale; None where nothing is drawn."""
    drawn = [side.shapes for side in (content.before, content.after) if len(side.shapes)]
    if not drawn or not content.changed:
        return None
    coloured = [
        shapes[shapes.index.isin(content.changed)]
        for shapes in drawn
        if shapes.index.isin(content.changed).any()
    ]
    boxes = np.array([shapes.total_bounds for shapes in coloured or drawn])
    west, south = boxes[:, :2].min(axis=0)
    east, north = boxes[:, 2:].max(axis=0)
    margin = MARGIN * max(east - west, north - south)
    frame = (west - margin, south - margin, east + margin, north + margin)
    return _sheet(content, content.before, frame, width), _sheet(
        content, content.after, frame, width
    )


def _sheet(
    content: Content, side: Side, frame: tuple[float, float, float, float], width: float
) -> Sheet:
    west, south, east, north = frame
    scale = width / (east - west)
    height = min((north - south) * scale, 1.4 * width)
    scale = min(scale, height / (north - south))

    def placed(ring: np.ndarray) -> Ring:
        xy = np.column_stack([(ring[:, 0] - west) * scale, (north - ring[:, 1]) * scale])
        return tuple((round(float(x), 1), round(float(y), 1)) for x, y in xy)

    window = shapely.box(*frame)
    order = {grid: number for number, grid in enumerate(sorted(content.changed))}
    areas: list[Area] = []
    labels: list[Label] = []
    for grid, shape in side.shapes.items():
        number = int(str(grid))
        part = shapely.intersection(shape, window)
        rings = tuple(
            placed(shapely.get_coordinates(ring))
            for polygon in shapely.get_parts(part)
            if polygon.geom_type == "Polygon"
            for ring in (polygon.exterior, *polygon.interiors)
        )
        if not rings:
            continue
        own = number in content.changed
        fill = PALETTE[order[number] % len(PALETTE)] if own else AROUND
        areas.append(Area(number, rings, fill, own))
        if own and len(labels) < LARGEST_LABEL:
            middle = placed(shapely.get_coordinates(shapely.point_on_surface(part)))[0]
            labels.append(Label(*middle, side.names.get(number) or str(number)))
    areas.sort(key=lambda area: (area.coloured, area.grid))
    hatches = tuple(
        placed(shapely.get_coordinates(polygon.exterior))
        for shape in content.moved
        for polygon in shapely.get_parts(shape)
    )
    return Sheet(width, round(height, 1), tuple(areas), hatches, tuple(labels))
