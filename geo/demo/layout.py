"""Lines of the made-up city on its drawing board: outline, water, railway, streets, blocks.

The board is a plane in metres whose axes are the two main directions of the streets; `warp` bends
it into the ground. Everything here is drawn with straight lines and cut there, which is exact and
cheap; the ground gets its curves afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.ops import split

from geo.demo.landuse import Character, characters_of, wanted_block_m2

Floats = NDArray[np.float64]
Geometry = Any
Rng = np.random.Generator

GRID_GROUND_M2: Final = 90_500.0
ARTERIAL_SPACING_M: Final = (470.0, 730.0)
QUARTER_M2: Final = 170_000.0
ROTATION_RAD: Final = np.deg2rad(-27.0)
#: Junctions nearer than this are drawn together into one crossing.
CROSSING_SNAP_M: Final = 48.0
NODE_GRID_M: Final = 0.5


@dataclass(frozen=True)
class Line:
    """A line on the board: its points, what it is, and the street it belongs to (-1 = none)."""

    points: Floats
    kind: str
    street: int


@dataclass(frozen=True)
class Board:
    """The drawing board before it is bent: lines, water, and blocks with their character."""

    radius_m: float
    outline: Geometry
    water: list[tuple[str, Geometry]]
    lines: list[Line]
    blocks: list[Geometry]
    characters: list[Character]
    streets: int


def draw_board(grids: int, rng: Rng) -> Board:
    """Draw outline, rivers, railway, arterial streets and blocks of a city with `grids` grids.

    Parameters
    ----------
    grids : int
        Number of grids; the ground is `GRID_GROUND_M2` for each.
    rng : numpy.random.Generator
        Source of all chance.

    Returns
    -------
    Board
        In metres on the drawing board, (0, 0) near the middle.
    """
    radius = float(np.sqrt(grids * GRID_GROUND_M2 / np.pi))
    outline = _outline(radius, rng)
    water = _rivers(radius, rng)
    railway = _railway(radius, rng) if grids >= 60 else None
    arterials = _arterials(radius, outline, rng)
    lines = [Line(_ring(outline), "outline", -1)]
    for street, (_, river) in enumerate(water):
        for part in shapely.get_parts(shapely.intersection(river.boundary, outline)):
            lines.append(Line(shapely.get_coordinates(part), "promenade", street))
    if railway is not None:
        for part in shapely.get_parts(shapely.intersection(railway, outline)):
            lines.append(Line(shapely.get_coordinates(part), "railway", -1))
    street = len(water)
    for points in arterials:
        for part in shapely.get_parts(shapely.intersection(shapely.linestrings(points), outline)):
            lines.append(Line(shapely.get_coordinates(part), "arterial", street))
        street += 1
    cutter = _Cutter(rng, lines, street)
    blocks, characters = _blocks(cutter, radius, water)
    return Board(radius, outline, water, cutter.lines, blocks, characters, cutter.next_street)


def _ring(polygon: Geometry) -> Floats:
    return np.asarray(shapely.get_coordinates(polygon.exterior), dtype=np.float64)


def _outline(radius_m: float, rng: Rng) -> Geometry:
    """Draw a lobed shape with a slightly ragged edge, one vertex about every 110 m."""
    count = max(60, int(2 * np.pi * radius_m / 110.0))
    angle = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    r = np.ones(count)
    for k, size in ((2, 0.14), (3, 0.07), (4, 0.035), (5, 0.04), (7, 0.025), (11, 0.014)):
        r += size * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) * rng.uniform(0.7, 1.1)
    r += rng.normal(0.0, min(14.0 / radius_m, 0.008), count)
    points = radius_m * r[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return shapely.polygons(points)


def _wave(x: Floats, waves: list[tuple[float, float, float]]) -> Floats:
    y: Floats = np.zeros_like(x)
    for length, height, phase in waves:
        y = y + height * np.sin(2 * np.pi * x / length + phase)
    return y


def _rivers(radius_m: float, rng: Rng) -> list[tuple[str, Geometry]]:
    """One winding river across the city and, where it is large enough, its tributaries."""
    x = np.arange(-1.5 * radius_m, 1.5 * radius_m, 30.0)
    waves = [
        (1.9 * radius_m, 0.20 * radius_m, rng.uniform(0, 2 * np.pi)),
        (0.83 * radius_m, 0.055 * radius_m, rng.uniform(0, 2 * np.pi)),
    ]
    y = _wave(x, waves) + 0.10 * x - 0.06 * radius_m
    width = float(np.clip(radius_m * 0.022, 26.0, 95.0))
    main = shapely.linestrings(x, y)
    rivers = [("main", shapely.buffer(main, width / 2, cap_style="flat", quad_segs=2))]
    for turn in range(1 if radius_m < 5000 else 3) if radius_m > 1500 else ():
        start = (0.62, 0.2, 0.85)[turn]
        mouth = shapely.line_interpolate_point(main, start, normalized=True)
        t = np.arange(0.0, 1.6 * radius_m, 30.0)
        side = 1.0 if turn % 2 == 0 else -1.0
        bx = shapely.get_x(mouth) + 0.22 * t + _wave(t, [(0.9 * radius_m, 0.07 * radius_m, 0.0)])
        by = shapely.get_y(mouth) + side * t
        stream = shapely.buffer(
            shapely.linestrings(bx, by), width * 0.19, cap_style="flat", quad_segs=2
        )
        rivers.append(("stream", shapely.difference(stream, rivers[0][1])))
    return [(kind, _largest(shape)) for kind, shape in rivers]


def _largest(shape: Geometry) -> Geometry:
    parts = shapely.get_parts(shape)
    return parts[int(np.argmax(shapely.area(parts)))]


def _railway(radius_m: float, rng: Rng) -> Geometry:
    y = np.arange(-1.5 * radius_m, 1.5 * radius_m, 60.0)
    x = 0.48 * radius_m + _wave(y, [(3.4 * radius_m, 0.20 * radius_m, rng.uniform(0.4, 1.2))])
    return shapely.linestrings(x - 0.16 * y, y)


def _arterials(radius_m: float, outline: Geometry, rng: Rng) -> list[Floats]:
    """Two families of through streets, unevenly spaced, bending a little at each crossing."""
    west, south, east, north = shapely.bounds(outline)
    us = _stations(west, east, rng)
    vs = _stations(south, north, rng)
    shift_u = rng.normal(0.0, 26.0, (len(us), len(vs)))
    shift_v = rng.normal(0.0, 26.0, (len(us), len(vs)))
    u = us[:, None] + shift_u
    v = vs[None, :] + shift_v
    keep = _gaps(len(us), len(vs) - 1, rng)
    lines = []
    for i in range(1, len(us) - 1):
        lines += _runs(np.column_stack([u[i], v[i]]), keep[i])
    for j in range(1, len(vs) - 1):
        lines.append(np.column_stack([u[:, j], v[:, j]]))
    return lines


def _stations(start: float, stop: float, rng: Rng) -> Floats:
    """Positions from beyond `start` to beyond `stop`, unevenly spaced."""
    positions = [start - 400.0]
    low, high = ARTERIAL_SPACING_M
    first = start + rng.uniform(0.45, 0.9) * high
    while first < stop - 0.35 * low:
        positions.append(first)
        first += rng.uniform(low, high)
    return np.array([*positions, stop + 400.0])


def _gaps(lines: int, pieces: int, rng: Rng) -> NDArray[np.bool_]:
    """Which pieces between crossings are built: some are missing, never two beside each other."""
    keep = np.full((lines, pieces), True)
    if lines * pieces <= 30:
        return keep
    for i in range(1, lines - 1):
        for j in range(1, pieces - 1):
            clear = keep[i - 1, j] and keep[i + 1, j] and keep[i, j - 1]
            keep[i, j] = not (clear and rng.random() < 0.10)
    return keep


def _runs(points: Floats, keep: NDArray[np.bool_]) -> list[Floats]:
    """Cut a polyline where pieces are missing."""
    runs, begin = [], 0
    for piece, built in enumerate(keep):
        if not built:
            if piece > begin:
                runs.append(points[begin : piece + 1])
            begin = piece + 1
    if len(points) - 1 > begin:
        runs.append(points[begin:])
    return runs


def _blocks(
    cutter: _Cutter, radius_m: float, water: list[tuple[str, Geometry]]
) -> tuple[list[Geometry], list[Character]]:
    """Cut the faces between arterials into quarters, give each a character, cut it into blocks."""
    rivers = shapely.union_all([shape for _, shape in water])
    faces = _faces([line.points for line in cutter.lines])
    inside = shapely.contains_xy(rivers, *_middles(faces))
    quarters: list[Geometry] = []
    quarter_m2 = min(QUARTER_M2, 0.055 * np.pi * radius_m**2)
    for face in faces[~inside]:
        quarters += cutter.cut(face, quarter_m2, "collector")
    characters = characters_of(np.array(quarters), radius_m, rivers, cutter.rng)
    blocks: list[Geometry] = []
    of_block: list[Character] = []
    for quarter, character in zip(quarters, characters, strict=True):
        pieces = [quarter]
        for kind, wanted in wanted_block_m2(character, cutter.rng):
            pieces = [part for piece in pieces for part in cutter.cut(piece, wanted, kind)]
        blocks += pieces
        of_block += [character] * len(pieces)
    wet = list(faces[inside])
    return blocks + wet, of_block + [Character.WATER] * len(wet)


def _faces(lines: list[Floats]) -> NDArray[Any]:
    noded = shapely.union_all([shapely.linestrings(p) for p in lines], grid_size=NODE_GRID_M)
    faces: NDArray[Any] = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    return faces


def _middles(faces: NDArray[Any]) -> tuple[Floats, Floats]:
    points = shapely.point_on_surface(faces)
    return shapely.get_x(points), shapely.get_y(points)


class _Cutter:
    """Cuts pieces of ground in two until they have the wanted size, and keeps the cuts as streets.

    A cut that would meet a street almost opposite another one is drawn to it, so that streets
    cross instead of leaving two mouths side by side.
    """

    def __init__(self, rng: Rng, lines: list[Line], next_street: int) -> None:
        self.rng = rng
        self.lines = list(lines)
        self.next_street = next_street
        self._mouths: list[tuple[float, float]] = []
        self._mouth_line: list[int] = []
        self._cells: dict[tuple[int, int], list[int]] = {}

    def cut(self, piece: Geometry, wanted_m2: float, kind: str) -> list[Geometry]:
        """Return the parts of `piece`, each of about `wanted_m2`, in the order they were cut."""
        done: list[Geometry] = []
        waiting = [piece]
        while waiting:
            part = waiting.pop()
            halves = self._halve(part, wanted_m2, kind) if part.area > 1.45 * wanted_m2 else None
            if halves is None:
                done.append(part)
            else:
                waiting += halves
        return done

    def _halve(self, part: Geometry, wanted_m2: float, kind: str) -> list[Geometry] | None:
        west, south, east, north = part.bounds
        tall = north - south > east - west
        span = max(north - south, east - west)
        across = (west, east) if tall else (south, north)
        start = south if tall else west
        for _ in range(6):
            at = start + span * self.rng.uniform(0.38, 0.62)
            tilt = np.tan(self.rng.normal(0.0, 0.035)) * (across[1] - across[0]) / 2
            a, b = (across[0] - 5.0, at - tilt), (across[1] + 5.0, at + tilt)
            ends = [a, b] if tall else [a[::-1], b[::-1]]
            halves = self._try(part, np.array(ends), wanted_m2, kind)
            if halves is not None:
                return halves
        return None

    def _try(
        self, part: Geometry, ends: Floats, wanted_m2: float, kind: str
    ) -> list[Geometry] | None:
        chord = shapely.intersection(shapely.linestrings(ends), part)
        if chord.geom_type != "LineString" or chord.is_empty:
            return None
        points = shapely.get_coordinates(chord)[[0, -1]]
        street = -1
        for end in (0, 1):
            mouth = self._near(points[end])
            if mouth is not None:
                points[end] = self._mouths[mouth]
                street = max(street, self._same_kind(mouth, kind))
        direction = points[1] - points[0]
        length = float(np.hypot(*direction))
        if length < 20.0:
            return None
        direction /= length
        blade = shapely.linestrings([points[0] - 2.0 * direction, points[1] + 2.0 * direction])
        halves = list(split(part, blade).geoms)
        if len(halves) != 2 or min(h.area for h in halves) < 0.42 * wanted_m2:
            return None
        cut = shapely.intersection(blade, part)
        if cut.geom_type != "LineString":
            return None
        self._keep(shapely.get_coordinates(cut), kind, street)
        return halves

    def _same_kind(self, mouth: int, kind: str) -> int:
        line = self.lines[self._mouth_line[mouth]]
        return line.street if line.kind == kind else -1

    def _near(self, point: Floats) -> int | None:
        """Return the nearest mouth of an earlier street, if close enough to cross there."""
        column, row = (int(c // CROSSING_SNAP_M) for c in point)
        best, best_m = None, CROSSING_SNAP_M
        for i in (column - 1, column, column + 1):
            for j in (row - 1, row, row + 1):
                for mouth in self._cells.get((i, j), ()):
                    away = float(np.hypot(*(np.array(self._mouths[mouth]) - point)))
                    if away < best_m:
                        best, best_m = mouth, away
        return best

    def _keep(self, points: Floats, kind: str, street: int) -> None:
        if street < 0 and kind != "wall":
            street, self.next_street = self.next_street, self.next_street + 1
        self.lines.append(Line(points, kind, -1 if kind == "wall" else street))
        if kind == "wall":
            return
        for end in (points[0], points[-1]):
            cell = (int(end[0] // CROSSING_SNAP_M), int(end[1] // CROSSING_SNAP_M))
            self._cells.setdefault(cell, []).append(len(self._mouths))
            self._mouths.append((float(end[0]), float(end[1])))
            self._mouth_line.append(len(self.lines) - 1)


def warp(points: Floats, waves: Floats) -> Floats:
    """Bend the board into the ground: a turn, then long waves that keep streets from being rulers.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        Metres on the board.
    waves : ndarray, shape (k, 5)
        Direction (radians), length (m), phase, and height (m) along x and y of each wave.

    Returns
    -------
    ndarray, shape (n, 2)
        Metres on the ground, rounded to the millimetre.
    """
    turned = points @ np.array(
        [
            [np.cos(ROTATION_RAD), np.sin(ROTATION_RAD)],
            [-np.sin(ROTATION_RAD), np.cos(ROTATION_RAD)],
        ]
    )
    bent: Floats = turned.copy()
    for direction, length, phase, high_x, high_y in waves:
        along = turned[:, 0] * np.cos(direction) + turned[:, 1] * np.sin(direction)
        s = np.sin(2 * np.pi * along / length + phase)
        bent[:, 0] += high_x * s
        bent[:, 1] += high_y * s
    rounded: Floats = np.round(bent, 3)
    return rounded


def draw_waves(rng: Rng) -> Floats:
    """Draw the waves of `warp`: lengths of 1.5 to 5 km, slopes that never fold the ground."""
    lengths = np.array([1500.0, 2300.0, 3600.0, 5200.0])
    slopes = np.array([0.035, 0.055, 0.08, 0.10])
    rows = []
    for length, slope in zip(lengths, slopes, strict=True):
        height = slope * length / (2 * np.pi)
        towards = rng.uniform(0, 2 * np.pi)
        rows.append(
            [
                rng.uniform(0, np.pi),
                length,
                rng.uniform(0, 2 * np.pi),
                height * np.cos(towards),
                height * np.sin(towards),
            ]
        )
    return np.array(rows)
