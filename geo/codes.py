"""Grid codes as data: schemes of segments, numbering from the north, parsing; none given twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from itertools import pairwise
from typing import Annotated, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from geo.crs import require_metres
from geo.errors import CodeFormatError, CodeOverflowError

STRICT = ConfigDict(extra="forbid")
DIGITS = "0123456789"


@dataclass(config=STRICT, frozen=True)
class Name:
    """A word in both languages of the program."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


@dataclass(config=STRICT, frozen=True)
class NumberRange:
    """Numbers kept for one class of grids, e.g. 200-399 for villagers' committees."""

    name: str
    first: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]


@dataclass(config=STRICT, frozen=True)
class Segment:
    """One stretch of a code.

    Attributes
    ----------
    source : str
        Where the value comes from: a level's code when `order` is "rows", else a field of the
        city or of the grid (`county`, `class`, `type`).
    width : int
        Number of characters.
    order : {"given", "rows"}
        "given": the value is taken as it is. "rows": grids are numbered, see `numbering_order`.
    alphabet : str
        Characters in the order of counting; their number is the base.
    start : int
        First number given.
    ranges : tuple of NumberRange
        Numbers kept for classes of grids, one of them named "default"; without any, all grids
        count from `start` to the end.
    undivided : int or None
        Number of a grid that is the only one of its parent.
    default : str or None
        Value of a given segment that nobody filled.
    """

    source: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    width: Annotated[int, Field(ge=1, le=12)]
    order: Literal["given", "rows"] = "given"
    alphabet: Annotated[str, Field(min_length=2)] = DIGITS
    start: Annotated[int, Field(ge=0)] = 1
    ranges: tuple[NumberRange, ...] = ()
    undivided: int | None = None
    default: str | None = None

    @property
    def capacity(self) -> int:
        """Greatest number that fits the width."""
        return int(len(self.alphabet) ** self.width) - 1

    def span(self, range_name: str) -> tuple[int, int]:
        """Return first and last number of a range; "default" is the whole segment unless said.

        Raises
        ------
        CodeFormatError
            If the segment has no such range.
        """
        for numbers in self.ranges:
            if numbers.name == range_name:
                return numbers.first, numbers.last
        if range_name == "default" and not self.ranges:
            return self.start, self.capacity
        message = f"Segment '{self.source}' keeps no numbers for '{range_name}'."
        raise CodeFormatError(message, segment=self.source, range=range_name)

    def write(self, number: int) -> str:
        """Return `number` in the segment's alphabet, filled to its width from the left."""
        base, characters = len(self.alphabet), []
        for _ in range(self.width):
            number, digit = divmod(number, base)
            characters.append(self.alphabet[digit])
        if number:
            raise CodeFormatError("The number is too large for the segment.", segment=self.source)
        return "".join(reversed(characters))

    def read(self, text: str) -> int:
        """Return the number that `text` stands for; the inverse of `write`."""
        number = 0
        for character in text:
            number = number * len(self.alphabet) + self.alphabet.index(character)
        return number

    def accepts(self, text: str) -> bool:
        """Say whether `text` has the width and only characters of the alphabet."""
        return len(text) == self.width and all(character in self.alphabet for character in text)

    @property
    def blank(self) -> str:
        """The segment filled with its first character: a level that is not there."""
        return self.alphabet[0] * self.width

    def defects(self) -> list[str]:
        """Return what contradicts itself in this segment, one sentence each."""
        found = []
        if len(set(self.alphabet)) != len(self.alphabet):
            found.append(f"segment '{self.source}': a character stands twice in the alphabet")
        if self.default is not None and not self.accepts(self.default):
            found.append(f"segment '{self.source}': default '{self.default}' does not fit")
        if self.start > self.capacity:
            found.append(f"segment '{self.source}': start {self.start} does not fit the width")
        for numbers in self.ranges:
            if not numbers.first <= numbers.last <= self.capacity:
                found.append(f"segment '{self.source}': range '{numbers.name}' does not fit")
        spans = sorted((numbers.first, numbers.last) for numbers in self.ranges)
        if any(left[1] >= right[0] for left, right in pairwise(spans)):
            found.append(f"segment '{self.source}': ranges overlap")
        names = [numbers.name for numbers in self.ranges]
        if len(set(names)) != len(names):
            found.append(f"segment '{self.source}': two ranges have the same name")
        if names and "default" not in names:
            found.append(f"segment '{self.source}': no range is named 'default'")
        if self.undivided is not None and self.undivided >= self.start:
            found.append(f"segment '{self.source}': 'undivided' must be less than 'start'")
        if self.order == "given" and (self.ranges or self.undivided is not None):
            found.append(f"segment '{self.source}': only numbered segments have ranges")
        return found


@plain_dataclass(frozen=True)
class Code:
    """A code taken apart: the level it names and the text of each segment by source."""

    level: str
    texts: Mapping[str, str]


@dataclass(config=STRICT, frozen=True)
class CodeScheme:
    """The segments of a city's codes, from left to right.

    A grid of a level bears all segments up to the one that numbers its level; a grid of the
    deepest numbered level also bears what follows it. With `padded`, upper levels are filled
    up to the full length with the first character of each alphabet.
    """

    code: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    name: Name
    segments: Annotated[tuple[Segment, ...], Field(min_length=1)]
    source: str = ""
    padded: bool = False

    @property
    def length(self) -> int:
        """Number of characters of a full code."""
        return sum(segment.width for segment in self.segments)

    @property
    def levels(self) -> tuple[str, ...]:
        """Codes of the levels that this scheme numbers, from the top."""
        return tuple(segment.source for segment in self.segments if segment.order == "rows")

    def place(self, level: str) -> tuple[int, int, Segment]:
        """Return begin and end of the number of `level` within a code, and its segment.

        Raises
        ------
        CodeFormatError
            If the scheme does not number this level.
        """
        begin = 0
        for segment in self.segments:
            if segment.order == "rows" and segment.source == level:
                return begin, begin + segment.width, segment
            begin += segment.width
        message = f"Scheme '{self.code}' does not number level '{level}', only {self.levels}."
        raise CodeFormatError(message, scheme=self.code, level=level)

    def borne(self, level: str) -> tuple[Segment, ...]:
        """Return the segments that a code of `level` bears before it is padded."""
        self.place(level)
        if level == self.levels[-1]:
            return self.segments
        sources = [segment.source for segment in self.segments]
        return self.segments[: sources.index(level) + 1]

    def format(self, level: str, values: Mapping[str, str]) -> str:
        """Return the code of a grid of `level` from the text of its segments.

        Segments of upper levels that the city does not have may be missing and stay blank.

        Raises
        ------
        CodeFormatError
            If a value is missing or does not fit its segment; `defects` lists all.
        """
        defects, texts = [], []
        for segment in self.borne(level):
            text = values.get(segment.source, segment.default)
            if text is None and segment.order == "rows" and segment.source != level:
                text = segment.blank
            if text is None:
                defects.append(f"'{segment.source}' is missing")
            elif not segment.accepts(text):
                defects.append(f"'{segment.source}' cannot be '{text}' ({segment.width} wide)")
            else:
                texts.append(text)
        if defects:
            message = f"No code of scheme '{self.code}' for level '{level}': {'; '.join(defects)}."
            raise CodeFormatError(message, scheme=self.code, level=level, defects=defects)
        code = "".join(texts)
        if self.padded:
            code += "".join(segment.blank for segment in self.segments)[len(code) :]
        return code

    def parse(self, code: str) -> Code:
        """Take a code apart; the inverse of `format`.

        Raises
        ------
        CodeFormatError
            If length or characters do not follow the scheme.
        """
        level = self._level_of(code)
        if level is None:
            message = f"'{code}' is not a code of scheme '{self.code}': wrong length {len(code)}."
            raise CodeFormatError(message, scheme=self.code, grid_code=code)
        values, begin = {}, 0
        for segment in self.borne(level):
            text = code[begin : begin + segment.width]
            if not segment.accepts(text):
                message = f"'{code}' is not a code of scheme '{self.code}': '{segment.source}' "
                message += f"cannot be '{text}'."
                raise CodeFormatError(
                    message, scheme=self.code, grid_code=code, segment=segment.source
                )
            values[segment.source] = text
            begin += segment.width
        return Code(level, values)

    def valid(self, code: str) -> bool:
        """Say whether `code` follows the scheme."""
        try:
            self.parse(code)
        except CodeFormatError:
            return False
        return True

    def _level_of(self, code: str) -> str | None:
        if self.padded:
            if len(code) != self.length:
                return None
            for level in reversed(self.levels):
                begin, end, segment = self.place(level)
                if code[begin:end] != segment.blank:
                    return level
            return None
        for level in self.levels:
            if len(code) == sum(segment.width for segment in self.borne(level)):
                return level
        return None

    def defects(self) -> list[str]:
        """Return what contradicts itself in this scheme, one sentence each."""
        found = [defect for segment in self.segments for defect in segment.defects()]
        sources = [segment.source for segment in self.segments]
        if len(set(sources)) != len(sources):
            found.append("a source stands twice")
        if not self.levels:
            found.append("no segment is numbered (order = 'rows')")
        if self.padded and any(segment.undivided == 0 for segment in self.segments):
            found.append("a padded code cannot keep 0 for undivided parents")
        if self.padded and any(s.start == 0 for s in self.segments if s.order == "rows"):
            found.append("a padded code cannot begin to count at 0")
        return [f"scheme '{self.code}': {defect}" for defect in found]


def numbering_order(shapes: gpd.GeoSeries, ids: Sequence[int]) -> NDArray[np.intp]:
    """Return the order in which grids are numbered: rows from the north, west to east within.

    The row height is the median height of the grids' bounding boxes. Rows are counted from the
    northernmost edge of all of them; a grid stands in the row that its centroid lies in. Within a
    row the centroid further west comes first, then the one further north, then the smaller id.
    Coordinates are compared in whole millimetres, so that the order survives a storage in degrees.

    Parameters
    ----------
    shapes : GeoSeries, shape (n,)
        Polygons or multipolygons, projected CRS in metres.
    ids : sequence of int, shape (n,)
        Identity of each grid, for ties only.

    Returns
    -------
    ndarray of int, shape (n,)
        Positions in `shapes`, first number first.

    Raises
    ------
    TopologyError
        If `shapes` has no CRS in metres.
    """
    require_metres(shapes.crs)
    polygons = shapes.to_numpy()
    if len(polygons) == 0:
        return np.empty(0, dtype=np.intp)
    return _order(_measure(polygons), np.asarray(ids))


def _measure(polygons: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return x and y of the centroid, top and height of the box, in whole millimetres."""
    bounds = shapely.bounds(polygons)
    centre = shapely.centroid(polygons)
    columns = [shapely.get_x(centre), shapely.get_y(centre), bounds[:, 3]]
    millimetres: NDArray[np.float64] = np.rint(
        np.column_stack([*columns, bounds[:, 3] - bounds[:, 1]]) * 1000
    )
    return millimetres.astype(np.int64)


def _order(measured: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.intp]:
    x, y, top, height = measured.T
    row_height = max(float(np.median(height)), 1.0)
    row = np.floor((top.max() - y) / row_height).astype(np.int64)
    return np.lexsort((ids, -y, x, row))


def allocate_codes(
    grids: gpd.GeoDataFrame,
    scheme: CodeScheme,
    levels: Sequence[str],
    *,
    given: Mapping[str, str] | None = None,
    ever: Iterable[str] = (),
) -> pd.Series[str]:
    """Give codes to the grids that have none; a code that was ever given is never given again.

    Grids are numbered level by level from the top, among all new grids with the same text before
    their number, in `numbering_order`, beginning after the greatest number ever given there. A
    grid of a level that the scheme does not number stays without a code.

    Parameters
    ----------
    grids : GeoDataFrame, shape (n,)
        Columns grid_id, level (1 = top), parent_id (NA at the top), code (NA = allocate),
        geometry (projected CRS in metres); optionally `code_range` (name of a range of the
        scheme, NA = "default") and columns named like given segments (`type`).
    scheme : CodeScheme
    levels : sequence of str
        Codes of the city's levels, from the top; `levels[0]` is level 1.
    given : mapping of str to str, optional
        Values of given segments that hold for the whole city, such as `county`.
    ever : iterable of str
        All codes that the city ever gave under this scheme, to whatever grid. Codes that do not
        follow the scheme cannot be given by it and are passed over.

    Returns
    -------
    Series of str, shape (n,)
        Indexed like `grids`; NA for levels that the scheme does not number.

    Raises
    ------
    CodeOverflowError
        If a segment has no number left; `places` lists the segments and where.
    CodeFormatError
        If a parent's code does not follow the scheme, or a given value is missing.
    TopologyError
        If `grids` has no CRS in metres.
    """
    require_metres(grids.crs)
    codes = grids["code"].astype("object").where(grids["code"].notna(), None).to_numpy(copy=True)
    allocation = _Allocation(grids, scheme, tuple(levels), dict(given or {}), codes)
    allocation.remember([*ever, *(code for code in codes if code is not None)])
    for number, level in enumerate(levels, start=1):
        if level in scheme.levels:
            allocation.number_level(number, level)
    if allocation.overflows:
        raise _overflow(scheme, allocation.overflows)
    return pd.Series(codes, index=grids.index, name="code", dtype="str")


class _Allocation:
    """The state of one call of `allocate_codes`: what was given so far, and where it overflowed."""

    def __init__(
        self,
        grids: gpd.GeoDataFrame,
        scheme: CodeScheme,
        levels: tuple[str, ...],
        given: dict[str, str],
        codes: NDArray[np.object_],
    ) -> None:
        self.grids, self.scheme, self.levels, self.codes = grids, scheme, levels, codes
        self.given = given
        self.ids = grids["grid_id"].to_numpy(dtype=np.int64)
        self.level_of = grids["level"].to_numpy(dtype=np.int64)
        row_of = pd.Series(np.arange(len(grids)), index=self.ids)
        parents = row_of.reindex(grids["parent_id"].astype("Int64"))
        self.parent = parents.fillna(-1).to_numpy(dtype=np.int64)
        self.measured = _measure(grids.geometry.to_numpy())
        self.greatest: dict[tuple[str, str], dict[str, int]] = {}
        self.overflows: list[dict[str, str | int]] = []
        own = [segment.source for segment in scheme.segments if segment.order == "given"]
        self.own_fields = [source for source in own if source in grids.columns]

    def remember(self, ever: Iterable[str]) -> None:
        """Note the greatest number ever given after each prefix, by range."""
        for code in set(ever):
            if not self.scheme.valid(code):
                continue
            level = self.scheme.parse(code).level
            begin, end, segment = self.scheme.place(level)
            number = segment.read(code[begin:end])
            ranges = self.greatest.setdefault((level, code[:begin]), {})
            name = self._range_of(segment, number)
            ranges[name] = max(number, ranges.get(name, -1))

    @staticmethod
    def _range_of(segment: Segment, number: int) -> str:
        inside = (n.name for n in segment.ranges if n.first <= number <= n.last)
        return next(inside, "outside" if segment.ranges else "default")

    def number_level(self, number: int, level: str) -> None:
        """Give codes to all grids of one level that have none."""
        rows = np.flatnonzero((self.level_of == number) & pd.isna(self.codes))
        begin, _, segment = self.scheme.place(level)
        ranges = self._ranges(rows)
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        values: dict[int, dict[str, str]] = {}
        for row, range_name in zip(rows.tolist(), ranges, strict=True):
            values[row] = self._values(row)
            trial = self.scheme.format(level, values[row] | {level: segment.blank})
            groups[trial[:begin], range_name].append(row)
        for (prefix, range_name), members in sorted(groups.items()):
            numbers = self._numbers(level, prefix, range_name, len(members))
            order = _order(self.measured[members], self.ids[members])
            for position, value in zip(order, numbers, strict=False):
                row = members[position]
                text = {level: segment.write(value)}
                self.codes[row] = self.scheme.format(level, values[row] | text)

    def _ranges(self, rows: NDArray[np.intp]) -> list[str]:
        if "code_range" not in self.grids.columns:
            return ["default"] * len(rows)
        return [str(name) for name in self.grids["code_range"].iloc[rows].fillna("default")]

    def _values(self, row: int) -> dict[str, str]:
        """Return the texts that a grid takes over: from the city, its own row and its ancestors."""
        values = dict(self.given)
        for field in self.own_fields:
            value = self.grids[field].iloc[row]
            if pd.notna(value):
                values[field] = str(value)
        ancestor = int(self.parent[row])
        for _ in self.levels:
            if ancestor < 0:
                break
            code = self.codes[ancestor]
            if code is not None:
                return self.scheme_values(code) | values
            ancestor = int(self.parent[ancestor])
        return values

    def scheme_values(self, code: str) -> dict[str, str]:
        """Return the segments of an ancestor's code that its descendants bear as well."""
        parsed = self.scheme.parse(code)
        _, end, _ = self.scheme.place(parsed.level)
        borne, width = {}, 0
        for segment in self.scheme.borne(parsed.level):
            width += segment.width
            if width <= end:
                borne[segment.source] = parsed.texts[segment.source]
        return borne

    def _numbers(self, level: str, prefix: str, range_name: str, wanted: int) -> range:
        """Return the next `wanted` free numbers after a prefix, and note when there are fewer."""
        _, _, segment = self.scheme.place(level)
        first, last = segment.span(range_name)
        history = self.greatest.get((level, prefix), {})
        if wanted == 1 and segment.undivided is not None and not history:
            return range(segment.undivided, segment.undivided + 1)
        begin = max(first, history.get(range_name, -1) + 1)
        if begin + wanted - 1 > last:
            self.overflows.append(
                {
                    "segment": level,
                    "width": segment.width,
                    "prefix": prefix,
                    "range": range_name,
                    "last": last,
                    "left": max(0, last - begin + 1),
                    "wanted": wanted,
                }
            )
            return range(begin, last + 1)
        return range(begin, begin + wanted)


def _overflow(scheme: CodeScheme, places: list[dict[str, str | int]]) -> CodeOverflowError:
    lines = [
        f"Segment '{place['segment']}' ({place['width']} wide, up to {place['last']}) has "
        f"{place['left']} number(s) left after '{place['prefix']}', {place['wanted']} wanted."
        for place in places
    ]
    advice = (
        f"Codes of scheme '{scheme.code}' are never given twice: form fewer grids there, "
        "divide the area above, or move the city to a scheme with a wider segment."
    )
    return CodeOverflowError(" ".join([*lines, advice]), scheme=scheme.code, places=places)
