"""Delivered rows made into the rows of a kind: words known, numbers read, shapes in metres."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.errors import DeliveryError
from geo.files import guard
from geo.files.reading import Delivered
from geo.findings import Finding, Findings, the_row, the_rows
from geo.importing import cases
from geo.importing.columns import column, numbers, some
from geo.importing.wishes import WORDED, ImportWish
from geo.saying import at, phrase
from geo.streets import network
from geo.terms import (
    BarrierKind,
    DeliveryKind,
    IssueState,
    SetAside,
    StationStage,
    StreetKind,
)

JOIN_M: Final = 0.05
"""Ends of streets nearer than this are one node."""
LONGEST_TEXT: Final = 300
FINDING_SOMEBODY: Final = frozenset({guard.IDENTITY, guard.PHONE, guard.EMAIL})
LONGEST_WORDS: Final = 2_000
"""What somebody says of a case, as of a report."""
MOST_WORDS_TOLD: Final = 100
USUAL_USE: Final = "residential"
USES: Final = ("residential", "commercial", "office", "public", "industrial", "other")

STAGES: Final[Mapping[str, str]] = {
    "规划": "planned", "拟建": "planned", "在建": "building", "建设中": "building", "开放": "open",
    "运营": "open", "已建": "open", "关闭": "closed", "停用": "closed",
}  # fmt: skip
STREETS: Final[Mapping[str, str]] = {
    "motorway": "arterial", "trunk": "arterial", "primary": "arterial", "secondary": "arterial",
    "tertiary": "collector", "unclassified": "local", "residential": "local", "service": "local",
    "living_street": "local", "pedestrian": "path", "footway": "path", "path": "path",
    "cycleway": "path", "steps": "path", "track": "path", "主干路": "arterial",
    "主干道": "arterial", "快速路": "arterial", "次干路": "collector", "次干道": "collector",
    "支路": "local", "小路": "path",
}  # fmt: skip
BARRIERS: Final[Mapping[str, str]] = {
    "河": "river", "河流": "river", "riverbank": "river", "stream": "river", "canal": "river",
    "铁路": "railway", "rail": "railway", "围墙": "wall", "墙": "wall", "水": "water",
    "水面": "water", "湖": "water", "lake": "water", "pond": "water", "reservoir": "water",
}  # fmt: skip
USED: Final[Mapping[str, str]] = {
    "住宅": "residential", "居住": "residential", "住宅楼": "residential", "yes": "residential",
    "apartments": "residential", "house": "residential", "detached": "residential",
    "商业": "commercial", "商铺": "commercial", "retail": "commercial", "shop": "commercial",
    "办公": "office", "写字楼": "office", "公共": "public", "学校": "public", "school": "public",
    "hospital": "public", "工业": "industrial", "厂房": "industrial", "warehouse": "industrial",
}  # fmt: skip
CASE_STATES: Final = (
    IssueState.REPORTED.value, IssueState.DISPATCHED.value, IssueState.CLOSED.value,
    IssueState.VOID.value,
)  # fmt: skip
"""Where a case of another system may stand here: what lies between has no clock of ours."""
SAID_STATES: Final[Mapping[str, str]] = {
    **{state.value: "reported" for state in (IssueState.ACCEPTED, IssueState.VERIFIED,
                                             IssueState.REGISTERED)},
    **{state.value: "dispatched" for state in (
        IssueState.HANDLED, IssueState.CHECKED, IssueState.RETURNED, IssueState.REWORKED,
        IssueState.POSTPONED, IssueState.SUSPENDED, IssueState.PARKED)},
    "new": "reported", "open": "reported", "待受理": "reported", "已上报": "reported",
    "已受理": "reported", "待派遣": "reported", "待处理": "reported", "已立案": "reported",
    "已派遣": "dispatched", "处置中": "dispatched", "处理中": "dispatched",
    "办理中": "dispatched", "in progress": "dispatched", "assigned": "dispatched",
    "已办结": "closed", "办结": "closed", "已结案": "closed", "结案": "closed",
    "已完成": "closed", "resolved": "closed", "done": "closed",
    "作废": "void", "已作废": "void", "不予受理": "void", "rejected": "void",
}  # fmt: skip
_KNOWN: Final[Mapping[tuple[DeliveryKind, str], tuple[tuple[str, ...], Mapping[str, str]]]] = {
    (DeliveryKind.STATIONS, "stage"): (tuple(StationStage), STAGES),
    (DeliveryKind.STREETS, "kind"): (tuple(StreetKind), STREETS),
    (DeliveryKind.BARRIERS, "kind"): (tuple(BarrierKind), BARRIERS),
    (DeliveryKind.BUILDINGS, "use"): (USES, USED),
    (DeliveryKind.ISSUES, "state"): (CASE_STATES, SAID_STATES),
    (DeliveryKind.ISSUES, "set_aside"): (tuple(SetAside), {}),
}
"""Words that the program itself knows for a column: they, and what files say for them."""
_INSTEAD: Final[Mapping[tuple[DeliveryKind, str], str]] = {
    (DeliveryKind.STATIONS, "stage"): "open",
    (DeliveryKind.STREETS, "kind"): "local",
    (DeliveryKind.BUILDINGS, "use"): USUAL_USE,
    (DeliveryKind.ISSUES, "channel"): "import",
}
"""What stands where a file says nothing."""
_FREE: Final = frozenset({(DeliveryKind.ISSUES, "channel")})
"""Columns whose texts are taken as they are."""
_MAY_BE_ABSENT: Final = ("set_aside", "state")


@dataclass(frozen=True)
class CityFacts:
    """What of a city decides how rows are read.

    Attributes
    ----------
    metre_srid : int
        EPSG number of its CRS in metres.
    timezone : str
    words : mapping of str to mapping
        `station_kind`, `category`: what people write, in small letters -> code.
    now : datetime, optional
        Aware; cases that begin a day later are impossible.
    """

    metre_srid: int
    timezone: str
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    now: datetime | None = None


@dataclass(frozen=True)
class Rows:
    """Rows of one kind, ready to be compared.

    Attributes
    ----------
    frame : GeoDataFrame
        Columns of the table they go to, in the city's metre CRS, indexed by row in the file.
        A column that was not delivered and has no usual value is not there.
    unknown : mapping of str to mapping
        Column -> text that has no word yet -> how many rows say it; such rows are left out.
    """

    frame: gpd.GeoDataFrame
    unknown: Mapping[str, Mapping[str, int]]


def rows_of(delivered: Delivered, wish: ImportWish, city: CityFacts, found: Findings) -> Rows:
    """Return delivered rows as rows of their kind.

    Parameters
    ----------
    delivered : Delivered
        As read: EPSG:4326, columns under the program's names, indexed by row number.
    wish : ImportWish
    city : CityFacts
    found : Findings
        Takes what was found.

    Returns
    -------
    Rows

    Raises
    ------
    DeliveryError
        If no row can be taken.
    """
    frame = delivered.frame.drop(
        index=[row for row in wish.left_out if row in delivered.frame.index]
    )
    found.add(delivered.findings)
    for name, value in wish.fixed.items():
        frame[name] = value
    unknown: dict[str, dict[str, int]] = {}
    for name in WORDED.get(wish.kind, ()):
        frame, odd = _worded(frame, name, wish, city)
        if odd:
            unknown[name] = odd
            left = sum(odd.values())
            said = some(f"'{text}'" for text in odd)
            found.add(
                [
                    Finding(
                        delivered.label,
                        "no_word",
                        name,
                        phrase("%(n)s rows left out: %(texts)s", n=left, texts=said),
                    )
                ]
            )
    shaped = _shaped(frame, delivered.label, wish, city, found)
    if not len(shaped):
        texts = (f"{name} {some(f'{text!r}' for text in odd)}" for name, odd in unknown.items())
        said = phrase("no row can be taken")
        if len(frame):
            said = phrase("no row has a place: map longitude and latitude, or an address")
            raise DeliveryError([at(delivered.label, said)])
        if unknown:
            said = phrase(
                "no row can be taken; say what these are: %(texts)s", texts="; ".join(texts)
            )
        raise DeliveryError([at(delivered.label, said)])
    made = _MAKERS[wish.kind](shaped, delivered.label, city, found)
    return Rows(made, unknown)


def _worded(
    frame: gpd.GeoDataFrame, name: str, wish: ImportWish, city: CityFacts
) -> tuple[gpd.GeoDataFrame, dict[str, int]]:
    """Turn the texts of a column into words; return what is left, and texts without a word."""
    place = (wish.kind, name)
    if name not in frame:
        usual = _INSTEAD.get(place)
        return (frame, {}) if usual is None else (frame.assign(**{name: usual}), {})
    said = column(frame, name)
    said.index = frame.index
    if place in _FREE:
        return frame.assign(**{name: said.fillna(_INSTEAD[place]).str[:LONGEST_TEXT]}), {}
    words, spoken = _KNOWN.get(place, ((), {}))
    own = city.words.get({"category": "category", "kind": "station_kind"}.get(name, name), {})
    table = {word: word for word in words} | dict(spoken)
    if not words:
        table |= dict(own)
    table |= {text.casefold(): word for text, word in wish.words.get(name, {}).items()}
    read = said.map(lambda text: table.get(text.casefold()) if isinstance(text, str) else None)
    read = read.where(~said.isna(), _INSTEAD.get(place))
    lost = read.isna() & ~(said.isna() & (name in _MAY_BE_ABSENT))
    if place == (DeliveryKind.BUILDINGS, "use"):
        read, lost = read.fillna("other"), lost & False
    odd = said[lost].fillna("").value_counts().head(MOST_WORDS_TOLD)
    return frame.assign(**{name: read}).loc[~lost], {str(k): int(v) for k, v in odd.items()}


def _shaped(
    frame: gpd.GeoDataFrame, label: str, wish: ImportWish, city: CityFacts, found: Findings
) -> gpd.GeoDataFrame:
    """Return the rows that have a shape, in metres."""
    shapes = frame.geometry.to_numpy()
    absent = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if absent.any():
        rows = some(frame.index[absent])
        found.add(
            [
                Finding(
                    label,
                    "no_shape",
                    the_rows(rows),
                    phrase("%(n)s rows left out", n=int(absent.sum())),
                )
            ]
        )
    located: gpd.GeoDataFrame = frame.loc[~absent].to_crs(city.metre_srid)
    return located


def _strings(frame: pd.DataFrame, name: str, longest: int = LONGEST_TEXT) -> pd.Series[Any]:
    read = column(frame, name)
    read.index = frame.index
    return read.str[:longest].where(~read.isna(), None)


def _whole(frame: pd.DataFrame, name: str, least: int = 0, most: int = 2**31 - 1) -> pd.Series[Any]:
    read = numbers(frame, name)
    read.index = frame.index
    kept = read.where((read >= least) & (read <= most)).round()
    return kept.astype("Int64")


def _put(frame: gpd.GeoDataFrame, columns: Mapping[str, Any], shapes: Any) -> gpd.GeoDataFrame:
    table = pd.DataFrame(dict(columns), index=frame.index)
    return gpd.GeoDataFrame(table, geometry=shapes, crs=frame.crs)


def _buildings(
    frame: gpd.GeoDataFrame, label: str, city: CityFacts, found: Findings
) -> gpd.GeoDataFrame:
    shapes = frame.geometry.to_numpy()
    bad = ~shapely.is_valid(shapes)
    if bad.any():
        for row, shape in zip(frame.index[bad], shapes[bad], strict=True):
            at = shapely.centroid(shapely.envelope(shape))
            found.add(
                [
                    Finding(
                        label,
                        "invalid_ring",
                        the_row(row),
                        phrase("made valid"),
                        x=at.x,
                        y=at.y,
                    )
                ]
            )
        shapes = shapes.copy()
        shapes[bad] = shapely.make_valid(shapes[bad], method="structure")
    columns: dict[str, Any] = {}
    for name in ("code", "name"):
        if name in frame:
            columns[name] = _strings(frame, name)
    columns["use"] = frame["use"]
    for name, least, most in (
        ("floors", 1, 300),
        ("entrances", 0, 1000),
        ("households", 0, 100_000),
    ):
        if name in frame:
            columns[name] = _whole(frame, name, least, most)
    made = _put(frame, columns, shapes)
    areal = (shapely.get_dimensions(shapes) == 2) & (shapely.area(shapes) > 0)
    if not areal.all():
        rows = some(frame.index[~areal])
        found.add(
            [
                Finding(
                    label,
                    "no_area",
                    the_rows(rows),
                    phrase("left out: no ground is covered"),
                )
            ]
        )
    made = made.loc[areal]
    return _once(made, "code", label, found)


def _once(frame: gpd.GeoDataFrame, name: str, label: str, found: Findings) -> gpd.GeoDataFrame:
    """Leave out rows whose code stands in an earlier row."""
    if name not in frame:
        return frame
    twice = frame[name].duplicated() & frame[name].notna()
    for row, code in frame.loc[twice, name].items():
        found.add(
            [
                Finding(
                    label,
                    "same_code",
                    the_row(row),
                    phrase("left out: '%(code)s' stands before it", code=code),
                )
            ]
        )
    return frame.loc[~twice]


def _stations(
    frame: gpd.GeoDataFrame, label: str, city: CityFacts, found: Findings
) -> gpd.GeoDataFrame:
    shapes = frame.geometry.to_numpy()
    points = np.where(shapely.get_type_id(shapes) == 0, shapes, shapely.point_on_surface(shapes))
    columns: dict[str, Any] = {"kind": frame["kind"], "stage": frame["stage"]}
    columns["name"] = _strings(frame, "name")
    for name in ("address", "opening_hours"):
        if name in frame:
            columns[name] = _strings(frame, name)
    if "floor_area_m2" in frame:
        read = numbers(frame, "floor_area_m2")
        read.index = frame.index
        columns["floor_area_m2"] = read.where(read >= 0)
    if "capacity" in frame:
        columns["capacity"] = _whole(frame, "capacity")
    made = _put(frame, columns, points)
    nameless = made["name"].isna()
    if nameless.any():
        rows = some(made.index[nameless])
        found.add(
            [
                Finding(
                    label,
                    "no_name",
                    the_rows(rows),
                    phrase("left out: they have no name"),
                )
            ]
        )
    made = made.loc[~nameless]
    same = made.assign(x=made.geometry.x.round(2), y=made.geometry.y.round(2)).duplicated(
        ["kind", "name", "x", "y"]
    )
    for row in made.index[same]:
        found.add(
            [
                Finding(
                    label,
                    "same_record",
                    the_row(row),
                    phrase("left out: it stands there before"),
                )
            ]
        )
    return made.loc[~same]


def _lines(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return lines of one part each; the rows of parts have the number of their row."""
    merged = shapely.line_merge(frame.geometry.to_numpy())
    whole = frame.set_geometry(gpd.GeoSeries(merged, index=frame.index, crs=frame.crs))
    return whole.explode(index_parts=False)


def _streets(
    frame: gpd.GeoDataFrame, label: str, city: CityFacts, found: Findings
) -> gpd.GeoDataFrame:
    parts = _lines(frame)
    short = parts.length.to_numpy() <= JOIN_M
    if short.any():
        done = phrase(
            "%(n)s lines left out: shorter than %(least)s m", n=int(short.sum()), least=JOIN_M
        )
        found.add([Finding(label, "short", the_rows(some(parts.index[short])), done)])
        parts = parts.loc[~short]
    numbered = gpd.GeoSeries(parts.geometry.to_numpy(), crs=parts.crs)
    joined = network(numbered, join_m=JOIN_M)
    row: Any
    for row in joined.moved.itertuples():
        subject, done = (
            the_row(parts.index[row.street]),
            phrase("its end was joined to the node"),
        )
        found.add([Finding(label, "end_moved", subject, done, row.moved_m, "m", row.x, row.y)])
    columns = {
        "name": _strings(parts, "name"),
        "kind": parts["kind"],
        "from_node": joined.streets["from_node"].to_numpy(),
        "to_node": joined.streets["to_node"].to_numpy(),
        "length_m": joined.streets.length.to_numpy(),
    }
    return _put(parts, columns, joined.streets.geometry.to_numpy())


def _barriers(
    frame: gpd.GeoDataFrame, label: str, city: CityFacts, found: Findings
) -> gpd.GeoDataFrame:
    shapes = shapely.make_valid(frame.geometry.to_numpy(), method="structure")
    whole = frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))
    parts = whole.explode(index_parts=False)
    areal = parts["kind"].isin([BarrierKind.RIVER.value, BarrierKind.WATER.value]).to_numpy()
    size = shapely.get_dimensions(parts.geometry.to_numpy())
    fits = np.where(areal, size >= 1, size == 1)
    if not fits.all():
        rows = some(parts.index[~fits])
        done = phrase("left out: water is an area or a line, a railway or a wall a line")
        found.add([Finding(label, "other_shape", the_rows(rows), done)])
    parts = parts.loc[fits]
    columns = {"kind": parts["kind"], "name": _strings(parts, "name")}
    return _put(parts, columns, parts.geometry.to_numpy())


def _issues(
    frame: gpd.GeoDataFrame, label: str, city: CityFacts, found: Findings
) -> gpd.GeoDataFrame:
    """Return cases; what is doubtful is set aside and told, what has no moment is left out."""
    shapes = frame.geometry.to_numpy()
    points = np.where(shapely.get_type_id(shapes) == 0, shapes, shapely.point_on_surface(shapes))
    columns: dict[str, Any] = {name: frame[name] for name in ("category", "channel")}
    for name in ("external", "address", "department"):
        if name in frame:
            columns[name] = _strings(frame, name)
    if "words" in frame:
        columns["words"] = _impersonal(_strings(frame, "words", LONGEST_WORDS), label, found)
    for name in ("reported_at", "closed_at", "deadline_at"):
        said = frame[name] if name in frame else pd.Series(None, index=frame.index, dtype=object)
        columns[name] = cases.moments(said, city.timezone)
    made = _put(frame, columns, points)
    ended = pd.Series(np.where(made["closed_at"].notna(), "closed", "reported"), index=made.index)
    made["state"] = frame["state"].fillna(ended) if "state" in frame else ended
    made["closed_at"] = made["closed_at"].where(made["state"] == IssueState.CLOSED.value)
    timeless = made["reported_at"].isna()
    if timeless.any():
        done = phrase("%(n)s rows left out: no moment of report", n=int(timeless.sum()))
        found.add([Finding(label, "no_moment", the_rows(some(made.index[timeless])), done)])
    made = _once(made.loc[~timeless], "external", label, found)
    return _set_aside(made, frame.get("set_aside"), label, city, found)


def _impersonal(said: pd.Series[Any], label: str, found: Findings) -> pd.Series[Any]:
    """Leave out what was said where a number in it would find somebody."""
    about = said.map(lambda text: guard.by_content([text]) in FINDING_SOMEBODY if text else False)
    if about.any():
        done = phrase("%(n)s texts left out: a telephone number, mail address or number of an "
                      "identity paper stands in them", n=int(about.sum()))  # fmt: skip
        found.add([Finding(label, "about_person", the_rows(some(said.index[about])), done)])
    return said.where(~about, None)


def _set_aside(
    made: gpd.GeoDataFrame, said: Any, label: str, city: CityFacts, found: Findings
) -> gpd.GeoDataFrame:
    """Mark what is doubtful among cases, unless the file says so itself; say what and where."""
    plain = pd.DataFrame(made[["category", "reported_at", "closed_at"]])
    plain = plain.rename(columns={"category": "kind"}).assign(
        lon=made.geometry.x, lat=made.geometry.y
    )
    ordered = plain.sort_values("reported_at", kind="stable")
    order = ordered.index
    doubtful = cases.doubts(ordered.reset_index(drop=True), city.now)
    aside = pd.Series(doubtful.set_aside, index=order).reindex(made.index)
    repeats = pd.Series(-1, index=order, dtype="int64")
    again = doubtful.repeats >= 0
    repeats[again] = order.to_numpy()[doubtful.repeats[again]]
    own = aside if said is None else said.reindex(made.index).fillna(aside)
    made = made.assign(set_aside=own.where(own.notna(), None), repeats=repeats.reindex(made.index))
    for point in doubtful.points:
        done = phrase("%(n)s cases of all kinds stand on one place: set aside", n=point["cases"])
        subject = phrase("a default place")
        where = {"x": point["lon"], "y": point["lat"]}
        found.add([Finding(label, "default_place", subject, done, **where)])
    for kind, value, done in (
        ("repeat", SetAside.DUPLICATE, phrase("set aside: the same kind and place within a day")),
        ("impossible_time", SetAside.IMPOSSIBLE_TIME,
         phrase("set aside: closed before it was reported, or reported in the future")),
    ):  # fmt: skip
        rows = made.index[(aside == value.value).to_numpy()]
        if len(rows):
            found.add([Finding(label, kind, the_rows(some(rows)), done)])
    found.figures["set_aside"] = int(made["set_aside"].notna().sum())
    return made


_Maker = Callable[[gpd.GeoDataFrame, str, CityFacts, Findings], gpd.GeoDataFrame]
_MAKERS: Final[Mapping[DeliveryKind, _Maker]] = {
    DeliveryKind.BUILDINGS: _buildings,
    DeliveryKind.STATIONS: _stations,
    DeliveryKind.STREETS: _streets,
    DeliveryKind.BARRIERS: _barriers,
    DeliveryKind.ISSUES: _issues,
}
