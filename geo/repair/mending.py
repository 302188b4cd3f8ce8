"""Delivered areas made into a coverage; what one area would lose too much of is asked, not done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.crs import local_origin, require_metres
from geo.errors import DeliveryError, InvalidInputError, TopologyError
from geo.repair.account import NOISE_M2, Account, Shapes, each_once
from geo.repair.asking import (
    Claim,
    Claims,
    answers,
    contradictions,
    keys_of,
    options_of,
    refuse_stray_answers,
)
from geo.repair.ground import (
    Ground,
    Settlement,
    built,
    concerned,
    cut,
    hand_over_fragments,
    settle,
    widened,
)
from geo.repair.rings import areal, sound, without_needles
from geo.repair.snapping import Snapped, snapped
from geo.saying import phrase
from geo.topology import coverage_faults

SNAP_M: Final = 0.01
GAP_M: Final = 1.0
LARGEST_CHANGE: Final = 0.05
SUM_SLACK: Final = 1e-9
ROUNDING_M2: Final = 1e-5
"""What rounding may leave over in one area, beside a billionth of the area."""


@dataclass(frozen=True)
class Repair:
    """Areas that are a coverage, and what it took.

    Attributes
    ----------
    areas : GeoSeries, shape (n - dropped,)
        Polygons and multipolygons, indexed like the input.
    delivered : GeoSeries, shape (n,)
        As they came, without heights.
    defects : GeoDataFrame
        `kind`, `subject`, `size_m2`, `x`, `y`, `done`, `key` (of the question it belongs to),
        `sliver` (narrower than the limit for gaps), geometry of the fault.
    ledger : DataFrame
        `subject`, `kind`, `key`, `gained_m2`, `ceded_m2`, `x`, `y`: the area delivered plus what
        was gained minus what was ceded is the area now, for each subject and in total.
        `invalid_ring` is the step from the area that the file's corners enclose to the area of
        the valid shape, `rounding` what the arithmetic left over.
    changes : DataFrame
        One row for each area that changed by more than 1e-6 m2, indexed by its label: `before_m2`
        (of the valid shape), `after_m2`, `gained_m2`, `ceded_m2`, and a place.
    torn : DataFrame
        Areas that would change by more than is allowed or vanish, indexed by label: `share`,
        `before_m2`, `after_m2`, `x`, `y`, `keys` of their questions, `said` (a sentence).
    questions : GeoDataFrame
        What a person has to decide about them: `key`, `kind`, `options` (labels as text; `nobody`
        for a gap), `proposed`, `size_m2`, `x`, `y`, geometry.
    sizes : DataFrame
        `delivered_m2` and `after_m2` of each area, measured at a local origin.
    dropped : tuple of labels
        Areas whose ground was given to others by decision.
    counted : DataFrame or None
        Indexed by label: `before`, `after`, and `on_gained`, `on_ceded`, an estimate by area of the
        part that stands on ground that changed hands.
    union_m2 : float
        Area of the union of `areas`.
    """

    areas: gpd.GeoSeries
    delivered: gpd.GeoSeries
    defects: gpd.GeoDataFrame
    ledger: pd.DataFrame
    changes: pd.DataFrame
    torn: pd.DataFrame
    questions: gpd.GeoDataFrame
    sizes: pd.DataFrame
    dropped: tuple[Any, ...]
    counted: pd.DataFrame | None
    union_m2: float

    def figures(self) -> dict[str, Any]:
        """Return the sums: plain numbers, areas in m2."""
        area_m2 = fsum(self.sizes["after_m2"])
        figures: dict[str, Any] = {
            "areas": len(self.areas),
            "dropped": len(self.dropped),
            "changed": len(self.changes),
            "delivered_m2": fsum(self.sizes["delivered_m2"]),
            "gained_m2": fsum(self.ledger["gained_m2"]),
            "ceded_m2": fsum(self.ledger["ceded_m2"]),
            "area_m2": area_m2,
            "union_m2": self.union_m2,
            "area_difference_m2": area_m2 - self.union_m2,
            "undecided": len(self.torn),
        }
        if self.counted is not None:
            before, after = fsum(self.counted["before"]), fsum(self.counted["after"])
            figures |= {
                "value_before": before,
                "value_after": after,
                "value_residual": before - after,
                "value_on_changed_ground": fsum(self.counted["on_ceded"]),
            }
        return figures


def repair(
    areas: gpd.GeoSeries,
    *,
    snap_m: float = SNAP_M,
    gap_m: float = GAP_M,
    largest_change: float = LARGEST_CHANGE,
    decisions: Mapping[str, Any] | None = None,
    weights: pd.Series[float] | None = None,
) -> Repair:
    """Return delivered areas as a coverage: no overlap, borders that match, narrow gaps closed.

    What is clean already is returned as it came, bit by bit, and so is each area that no fault
    touches. An overlap goes to the neighbour with the longer border, a gap narrower than `gap_m` as
    well; wider gaps stay (a lake, a park that belongs to nobody) and are listed. An area that lies
    wholly on others is cut out of them.

    Parameters
    ----------
    areas : GeoSeries, shape (n,)
        Polygons, projected CRS in metres; the index names them in the answer. Where a label
        occurs twice, the second one is called `label (2)`.
    snap_m : float, default 0.01
        Vertices nearer than this become one where borders do not match. 0 moves none.
    gap_m : float, default 1.0
        Gaps narrower than this are closed.
    largest_change : float, default 0.05
        Largest share of an area that may change. Beyond it the areas contradict each other and
        somebody has to decide.
    decisions : mapping, optional
        Key of a question -> label of the area that takes this ground (`nobody` leaves a gap).
    weights : Series of float, optional
        A count for each area (residents, households), in the order of `areas`; accounted for.

    Returns
    -------
    Repair

    Raises
    ------
    DeliveryError
        If an area has no ground or corners that are no numbers, vanishes, or would change by more
        than `largest_change`; all such areas are listed with their sizes, places and the keys to
        decide by.
    InvalidInputError
        If a decision answers no question, or names an area that is not among the options.
    TopologyError
        If `areas` has no CRS or one that is not in metres, or the result is no coverage; with the
        places.
    """
    found = examine(
        areas,
        snap_m=snap_m,
        gap_m=gap_m,
        largest_change=largest_change,
        decisions=decisions,
        weights=weights,
    )
    if len(found.torn):
        raise DeliveryError(found.torn["said"].tolist())
    return found


def examine(
    areas: gpd.GeoSeries,
    *,
    snap_m: float = SNAP_M,
    gap_m: float = GAP_M,
    largest_change: float = LARGEST_CHANGE,
    decisions: Mapping[str, Any] | None = None,
    weights: pd.Series[float] | None = None,
) -> Repair:
    """Return what `repair` would do, with the contradictions as questions instead of a refusal.

    The result is for looking at and deciding: as long as `torn` has rows it is a proposal.

    Raises
    ------
    DeliveryError
        If an area has no ground, or corners that are no numbers.
    InvalidInputError, TopologyError
        As `repair`.
    """
    account, base = _opened(areas)
    delivered = _moved(base, -account.origin)
    plain = areal(delivered, account)
    whole = sound(plain, account)
    delivered_m2 = shapely.area(plain)
    work = _Work(account, whole, snap_m, gap_m)
    work.run(decisions or {})
    after = work.after
    torn, questions = contradictions(
        account, work.claims, whole, after, work.decided_m2, largest_change
    )
    gone = shapely.is_empty(after)
    dropped = tuple(account.labels[gone & ~np.isin(account.labels, torn.index.to_numpy())])
    left = account.close(delivered_m2, shapely.area(after))
    if left > ROUNDING_M2 + SUM_SLACK * float(shapely.area(plain).max(initial=0.0)):
        raise TopologyError(
            phrase("The account of areas is off by %(left)s m2.", left=f"{left:.2g}"), off_m2=left
        )
    kept = ~gone
    same = shapely.equals_identical(after, delivered)
    back = np.where(same, base, _moved(after, account.origin))
    result = gpd.GeoSeries(back[kept], index=areas.index[kept], crs=areas.crs)
    union_m2 = _gate(result, after[kept])
    return Repair(
        areas=result,
        delivered=gpd.GeoSeries(_moved(plain, account.origin), index=areas.index, crs=areas.crs),
        defects=account.defects(),
        ledger=account.ledger(),
        changes=account.changes(shapely.area(whole), shapely.area(after)),
        torn=torn,
        questions=questions,
        sizes=pd.DataFrame(
            {"delivered_m2": delivered_m2, "after_m2": shapely.area(after)},
            index=pd.Index(account.labels),
        ),
        dropped=dropped,
        counted=_counted(weights, account, shapely.area(whole), kept),
        union_m2=union_m2,
    )


def _opened(areas: gpd.GeoSeries) -> tuple[Account, Shapes]:
    """Return an empty account and the areas without heights; refuse what has no ground."""
    crs = require_metres(areas.crs)
    labels, shapes = each_once(areas.index.to_numpy()), areas.to_numpy()
    places, owner = shapely.get_coordinates(shapes, return_index=True)
    if not np.isfinite(places).all():
        wrong = np.unique(owner[~np.isfinite(places).all(axis=1)])
        raise DeliveryError(
            [
                phrase("%(area)s has corners that are no numbers", area=label)
                for label in labels[wrong]
            ]
        )
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes) | (shapely.area(shapes) == 0)
    if empty.any():
        flat_ones = shapely.get_dimensions(shapes) == 2
        empty &= ~flat_ones | shapely.is_empty(shapes) | _nothing(shapes)
    if empty.any():
        raise DeliveryError(
            [phrase("%(area)s has no ground", area=label) for label in labels[empty]]
        )
    box = tuple(areas.total_bounds) if len(areas) else (0.0, 0.0, 0.0, 0.0)
    origin = np.array(local_origin(box), dtype=float)
    account = Account(labels, origin, crs)
    base = np.asarray(shapely.force_2d(shapes), dtype=object)
    high = shapely.has_z(shapes) | shapely.has_m(shapes)
    if high.any():
        place = shapely.point_on_surface(_moved(base[high][:1], -origin)[0])
        done = phrase("heights and measures left out")
        account.defect("height", phrase("%(n)s areas", n=int(high.sum())), 0.0, done, place)
    return account, base


def _together(names: list[str]) -> str:
    """Return names as one text: a and b and c."""
    made = names[0]
    for name in names[1:]:
        made = phrase("%(one)s and %(two)s", one=made, two=name)
    return made


def _given(why: str, keeper: str) -> str:
    """Say who takes a face of the ground, and by which rule."""
    return {
        "border": phrase("given to %(area)s, the neighbour with the longer border", area=keeper),
        "inside": phrase("left to %(area)s, which lies wholly on others", area=keeper),
        "decided": phrase("given to %(area)s, as decided", area=keeper),
        "first": phrase("given to %(area)s, the first of those that lie here", area=keeper),
        "fragment": phrase(
            "a strip cut off from its area, given to %(area)s around it", area=keeper
        ),
    }[why]


def _nothing(shapes: Shapes) -> NDArray[np.bool_]:
    """Say which shapes enclose nothing at all, also after mending: a bow-tie may sum up to zero."""
    mended = shapely.make_valid(shapes, method="structure", keep_collapsed=False)
    nothing: NDArray[np.bool_] = shapely.area(mended) == 0
    return nothing


def _moved(shapes: Shapes, step: NDArray[np.float64]) -> Shapes:
    return np.asarray(shapely.transform(shapes, lambda places: places + step), dtype=object)


def _gate(areas: gpd.GeoSeries, near: Shapes) -> float:
    """Refuse a result that is no coverage; return the area of its union."""
    valid = bool(shapely.is_valid(areas.to_numpy()).all())
    if not (valid and shapely.coverage_is_valid(areas.to_numpy())):
        said = coverage_faults(areas).sentences()
        message = phrase(
            "The areas cannot be made a coverage: %(names)s", names="; ".join(said[:5])
        )
        raise TopologyError(message, faults=said[:100])
    total = fsum(shapely.area(near))
    union_m2 = float(shapely.area(shapely.coverage_union_all(near))) if len(near) else 0.0
    if abs(total - union_m2) > SUM_SLACK * max(union_m2, 1.0):
        message = phrase(
            "The areas sum up to %(n)s m2 and their union to %(union_m2)s m2.",
            n=f"{total:.6f}",
            union_m2=f"{union_m2:.6f}",
        )
        raise TopologyError(message, sum_m2=total, union_m2=union_m2)
    return union_m2


def _counted(
    weights: pd.Series[float] | None,
    account: Account,
    before_m2: NDArray[np.float64],
    kept: NDArray[np.bool_],
) -> pd.DataFrame | None:
    if weights is None:
        return None
    value = weights.to_numpy(dtype=float)
    if len(value) != len(account.labels) or np.isnan(value).any():
        raise InvalidInputError(phrase("There must be a count for each area."), field="weights")
    ledger = account.ledger()
    ledger = ledger[~ledger["kind"].isin(["invalid_ring", "rounding"])]
    sums = ledger.groupby("subject")[["gained_m2", "ceded_m2"]].sum().reindex(account.labels)
    per_m2 = value / before_m2
    return pd.DataFrame(
        {
            "before": value,
            "after": np.where(kept, value, 0.0),
            "on_gained": sums["gained_m2"].fillna(0.0).to_numpy() * per_m2,
            "on_ceded": sums["ceded_m2"].fillna(0.0).to_numpy() * per_m2,
        },
        index=pd.Index(account.labels),
    )


class _Work:
    """The steps after the rings: needles, vertices, faces, and what remains to be asked."""

    def __init__(self, account: Account, whole: Shapes, snap_m: float, gap_m: float) -> None:
        self.account, self.whole = account, whole
        self.snap_m, self.gap_m = snap_m, gap_m
        self.after = whole
        self.decided_m2 = np.zeros(len(whole))
        """Square metres of each area that a person decided about."""
        self.claims: Claims = {}
        self.moved_m2: dict[int, float] = {}
        """Ground that moved vertices of an area took and gave."""
        self.corners: set[tuple[float, float]] = set()
        """Corners of the overlaps and gaps that are listed."""

    def run(self, decisions: Mapping[str, Any]) -> None:
        """Mend what is to be mended; `after` holds the result."""
        wrong = concerned(self.whole, self.account.origin)
        if len(wrong) == 0:
            refuse_stray_answers(decisions, [])
            return
        blunt, tips = without_needles(self.whole, wrong, self.snap_m, self.account.origin)
        joined = snapped(blunt, wrong, self.snap_m, self.account.origin)
        self._enter_moves(tips, joined)
        chosen = concerned(joined.shapes, self.account.origin)
        self.after = joined.shapes
        if len(chosen):
            self._divide(joined.shapes, chosen, decisions)
        else:
            refuse_stray_answers(decisions, [])
        self._list_moves(tips, joined)
        self._keep_untouched()
        self._list_open_gaps()

    def _keep_untouched(self) -> None:
        """Put back the very object of each area that has the same corners as before."""
        corners = shapely.remove_repeated_points(self.whole, 0.0)
        single = shapely.get_num_geometries(corners) == 1
        corners[single] = shapely.get_geometry(corners[single], 0)
        same = shapely.equals_identical(shapely.normalize(self.after), shapely.normalize(corners))
        self.after = np.where(same, self.whole, self.after)

    def _enter_moves(self, tips: Shapes, joined: Snapped) -> None:
        """Enter the ground that moved vertices took and gave."""
        marks: dict[int, list[tuple[float, float]]] = {}
        for row, place in [(row, place) for row, place, _ in joined.moved] + joined.added:
            marks.setdefault(row, []).append(place)
        touched = np.flatnonzero(~shapely.equals_identical(self.whole, joined.shapes))
        gained = shapely.difference(joined.shapes[touched], self.whole[touched])
        for row, more in zip(touched.tolist(), gained, strict=True):
            net = float(shapely.area(joined.shapes[row]) - shapely.area(self.whole[row]))
            more_m2 = max(float(shapely.area(more)), net, 0.0)
            where = shapely.multipoints(marks[row]) if row in marks else tips[row]
            where = shapely.point_on_surface(self.whole[row]) if where is None else where
            self.account.entry(row, "vertices", "", more_m2, more_m2 - net, where)
            self.moved_m2[row] = 2 * more_m2 - net

    def _list_moves(self, tips: Shapes, joined: Snapped) -> None:
        """List needles, near misses, and borders that lacked vertices beside overlaps and gaps."""
        account = self.account
        for row in np.flatnonzero([tip is not None for tip in tips]).tolist():
            count = shapely.get_num_geometries(tips[row])
            account.defect(
                "needle", account.name(row), 0.0, phrase("%(n)s taken off", n=count), tips[row]
            )
        moved: dict[int, list[tuple[tuple[float, float], float]]] = {}
        for row, place, distance in joined.moved:
            moved.setdefault(row, []).append((place, distance))
        for row, moves in sorted(moved.items()):
            far = max(distance for _, distance in moves)
            done = phrase(
                "%(n)s vertices moved by up to %(far)s mm", n=len(moves), far=f"{far * 1000:.2f}"
            )
            where = shapely.multipoints([place for place, _ in moves])
            account.defect("near_miss", account.name(row), self.moved_m2.get(row, 0.0), done, where)
        added: dict[int, list[tuple[float, float]]] = {}
        for row, place in joined.added:
            if place not in self.corners:
                added.setdefault(row, []).append(place)
        for row, places in sorted(added.items()):
            done = phrase("%(n)s vertices of neighbours put into its border", n=len(places))
            account.defect("unnoded", account.name(row), 0.0, done, shapely.multipoints(places))

    def _divide(self, shapes: Shapes, chosen: NDArray[Any], decisions: Mapping[str, Any]) -> None:
        """Give each face of the ground concerned to one area; widen it until all borders match."""
        parts = np.array(shapely.get_num_geometries(shapes))
        while True:
            ground = cut(shapes, chosen, self.gap_m, self.account.origin)
            keys = keys_of(ground, self.account)
            decided = answers(ground, keys, self.account, decisions)
            settlement = settle(ground, shapely.area(shapes), decided)
            hand_over_fragments(ground, settlement, parts, self.gap_m)
            self.after = built(shapes, ground, settlement, chosen)
            wider = widened(shapes, self.after, chosen)
            if len(wider) == len(chosen):
                break
            chosen = wider
        refuse_stray_answers(decisions, keys)
        self._enter_faces(ground, settlement, keys)

    def _enter_faces(self, ground: Ground, settlement: Settlement, keys: list[str]) -> None:
        small: list[int] = []
        for face, who in enumerate(ground.owners):
            keeper, why = settlement.keeper[face], settlement.why[face]
            if who and (why == "own" or who[0] < 0):
                continue
            size, key, shape = float(ground.area_m2[face]), keys[face], ground.faces[face]
            kind = "gap" if not who else "fragment" if why == "fragment" else "overlap"
            losers = [area for area in who if area != keeper]
            for area in losers:
                self.account.entry(area, kind, key, 0.0, size, shape)
            if keeper >= 0 and keeper not in who:
                self.account.entry(keeper, kind, key, size, 0.0, shape)
            if why == "decided":
                takers = [keeper] if keeper >= 0 and keeper not in who else []
                self.decided_m2[[*losers, *takers]] += size
            elif key and (losers or keeper >= 0):
                claim = Claim(shape, size, who, options_of(ground, face), keeper)
                self.claims.setdefault(key, []).append(claim)
            if size < NOISE_M2:
                small.append(face)
                continue
            self._list_face(ground, settlement, face, key, kind)
        if small:
            size = fsum(ground.area_m2[small])
            where = shapely.multipoints(shapely.point_on_surface(ground.faces[small]))
            done = phrase(
                "%(n)s pieces smaller than %(least)s m2 closed",
                n=len(small),
                least=f"{NOISE_M2:g}",
            )
            self.account.defect("crumbs", phrase("between areas"), size, done, where, sliver=True)

    def _list_face(
        self, ground: Ground, settlement: Settlement, face: int, key: str, kind: str
    ) -> None:
        account, who, keeper = self.account, ground.owners[face], settlement.keeper[face]
        self.corners.update(map(tuple, shapely.get_coordinates(ground.faces[face]).tolist()))
        names = [account.name(area) for area in who]
        subject = _together(names) if names else phrase("between areas")
        if kind == "gap" and keeper >= 0:
            given = _given(settlement.why[face], account.name(keeper))
            done: str = phrase("closed: %(given)s", given=given)
        elif kind == "gap":
            decided = settlement.why[face] == "decided"
            done = phrase("wider than the limit: left as it is, in no area")
            done = phrase("as decided: left as it is, in no area") if decided else done
        else:
            done = _given(settlement.why[face], account.name(keeper))
        if kind == "overlap" and settlement.why[face] == "first":
            kind = "duplicate"
        account.defect(
            kind,
            subject,
            float(ground.area_m2[face]),
            done,
            ground.faces[face],
            key=key,
            sliver=bool(ground.narrow[face]),
        )

    def _list_open_gaps(self) -> None:
        standing = np.flatnonzero(~shapely.is_empty(self.after))
        edges = shapely.coverage_invalid_edges(self.after[standing], gap_width=self.gap_m)
        for row, line in zip(standing.tolist(), edges, strict=True):
            if not shapely.is_empty(line):
                metres = float(shapely.length(line))
                done = phrase(
                    "%(metres)s m along a gap open to the outside: left as it is",
                    metres=f"{metres:.2f}",
                )
                self.account.defect(
                    "open_gap", self.account.name(row), 0.0, done, line, sliver=True
                )
