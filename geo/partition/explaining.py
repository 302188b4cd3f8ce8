"""Why each part is as it is: the rule that binds it, and what cannot be done at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.errors import DivisionError
from geo.partition.graph import CellGraph, components
from geo.partition.objective import SLACK, Score, Wishes, described

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

RULES: Final = (
    "within", "alone", "kept", "no_weight", "piece_small", "other_measure", "piece_total",
    "heavy_cell", "hemmed_in", "little_change", "best_found",
)  # fmt: skip
"""What `explained` says of a part, in the order in which it is asked."""


@dataclass(frozen=True)
class Held:
    """What a present net allows.

    Attributes
    ----------
    kept : ndarray of bool, shape (n,)
        Cells that may not change their part.
    little : bool
        Parts keep their number, and little may change.
    """

    kept: NDArray[np.bool_]
    little: bool = True


@dataclass(frozen=True)
class Known:
    """What the rules are asked of, by part.

    `total` is the sum of the connected piece that a part lies in, `loads` have all measures,
    `heaviest` is the heaviest cell inside, `lightest` the lightest cell of weight beside.
    """

    total: Floats
    loads: Floats
    heaviest: Floats
    lightest: Floats
    hemmed_in: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    little: bool
    names: tuple[str, ...]


def explained(
    graph: CellGraph,
    labels: Ints,
    found: Score,
    wishes: Wishes,
    *,
    held: Held | None = None,
    names: Sequence[str] = (),
) -> pd.DataFrame:
    """Return for each part the rule that binds it, and a sentence.

    Parameters
    ----------
    graph : CellGraph
    labels : ndarray of int, shape (n,)
        0 .. k - 1, as in `Division`.
    found : Score
        Of these labels.
    wishes : Wishes
    held : Held, optional
        Where a present division was changed.
    names : sequence of str, optional
        What the measures are called.

    Returns
    -------
    DataFrame
        Columns `rule` (one of `RULES`) and `said`, by part. A part is `within` tolerance; or one
        cell that is heavier than the target (`alone`); or may not be changed (`kept`); or its
        connected piece of the parent has `no_weight`, is lighter than one part may be
        (`piece_small`), or has a sum that no number of parts shares out within tolerance
        (`piece_total`); or its first measure is within tolerance and an `other_measure` is not; or
        it holds one cell that is too heavy for any company, or could only take cells that are
        (`heavy_cell`); or all parts around it stand alone (`hemmed_in`); or so `little_change` is
        allowed. Else nothing forbids a better one, and it is the `best_found`.
    """
    known = _known(graph, labels, found, held, names)
    pieces = found.units["pieces"].to_numpy(dtype=np.int64)
    rows = []
    for part, unit in enumerate(found.units.itertuples()):
        rule = _rule(unit, part, known, wishes)
        said = _said(rule, unit, part, known, wishes)
        if pieces[part] > 1:
            said += f"; it lies in {pieces[part]} pieces that do not touch"
        rows.append((rule, said))
    return pd.DataFrame(rows, columns=["rule", "said"], index=found.units.index)


def _known(
    graph: CellGraph, labels: Ints, found: Score, held: Held | None, names: Sequence[str]
) -> Known:
    piece = components(graph.size, graph.left, graph.right)
    total = np.asarray(np.bincount(piece, weights=graph.weight[:, 0]), dtype=np.float64)
    first = np.unique(labels, return_index=True)[1]
    loads = np.zeros((len(first), graph.weight.shape[1]))
    np.add.at(loads, labels, graph.weight)
    lightest, heaviest = _extremes(graph, labels, len(first))
    free = np.ones(graph.size) if held is None else (~held.kept).astype(float)
    alone = found.units["alone"].to_numpy(dtype=bool)
    given = tuple(names) or tuple(f"measure {k + 1}" for k in range(loads.shape[1]))
    return Known(
        total[piece[first]], loads, heaviest, lightest, _all_alone_beside(graph, labels, alone),
        np.bincount(labels, weights=free) == 0, held is not None and held.little, given,
    )  # fmt: skip


def _rule(unit: Any, part: int, known: Known, wishes: Wishes) -> str:
    """Return the first rule that holds for a part."""
    target, tolerance = wishes.target[0], wishes.tolerance[0]
    least, most = target * (1 - tolerance), target * (1 + tolerance)
    total, load = known.total[part], known.loads[part, 0]
    over = load > most
    if unit.within:
        return "within"
    if unit.alone:
        return "alone"
    if known.kept[part]:
        return "kept"
    if total <= 0:
        return "no_weight"
    if total < least - SLACK:
        return "piece_small"
    if least - SLACK <= load <= most + SLACK:
        return "other_measure"
    if len(wishes.target) == 1 and not shareable(total, target, tolerance):
        return "piece_total"
    if (over and known.heaviest[part] > most) or (not over and load + known.lightest[part] > most):
        return "heavy_cell"
    if known.hemmed_in[part]:
        return "hemmed_in"
    return "little_change" if known.little else "best_found"


def shareable(total: float, target: float, tolerance: float) -> bool:
    """Say whether some number of parts brings a sum within tolerance, cells left aside."""
    least = int(np.ceil(total / (target * (1 + tolerance)) - SLACK))
    return least * target * (1 - tolerance) <= total + SLACK


def _said(rule: str, unit: Any, part: int, known: Known, wishes: Wishes) -> str:
    weight, target = described(known.loads[part, 0]), described(wishes.target[0])
    total, share = described(known.total[part]), f"{wishes.tolerance[0]:.0%}"
    off = known.loads[part] / np.array(wishes.target) - 1.0
    worst = int(np.argmax(np.abs(off) - np.array(wishes.tolerance)))
    said = {
        "within": f"{weight}: within {share} of {target}",
        "alone": f"one cell of {weight}, more than {target} by itself: it stands alone",
        "kept": f"{weight}: it was to stay as it is",
        "no_weight": f"no weight in its parent or behind its barriers ({unit.cells} cells)",
        "piece_small": f"its parent, or what barriers leave of it, has {total} in all",
        "other_measure": f"{weight} is within {share} of {target}; {known.names[worst]} is "
        f"{described(known.loads[part, worst])}, {off[worst]:+.0%} of its target",
        "piece_total": f"no number of parts shares {total} out within {share} of {target}",
        "heavy_cell": f"{weight}: a cell in it or beside it is too heavy to be moved "
        f"(heaviest inside: {described(known.heaviest[part])})",
        "hemmed_in": f"{weight}: all parts around it are single heavy cells",
        "little_change": f"{weight}: the best that the allowed change reaches over its borders",
        "best_found": f"{weight}: the best that was found; nothing forbids a better one",
    }
    return said[rule]


def _extremes(graph: CellGraph, labels: Ints, count: int) -> tuple[Floats, Floats]:
    """Return the lightest cell of weight beside each part, and the heaviest cell inside it."""
    weight = graph.weight[:, 0]
    heaviest = np.zeros(count)
    np.maximum.at(heaviest, labels, weight)
    lightest = np.full(count, np.inf)
    for one, two in ((graph.left, graph.right), (graph.right, graph.left)):
        beside = (labels[one] != labels[two]) & (weight[two] > 0)
        np.minimum.at(lightest, labels[one[beside]], weight[two[beside]])
    return lightest, heaviest


def _all_alone_beside(graph: CellGraph, labels: Ints, alone: NDArray[np.bool_]) -> Any:
    """Say of each part whether every part beside it is a single heavy cell."""
    beside = np.zeros(len(alone), dtype=np.int64)
    heavy = np.zeros(len(alone), dtype=np.int64)
    for one, two in ((graph.left, graph.right), (graph.right, graph.left)):
        across = labels[one] != labels[two]
        np.add.at(beside, labels[one[across]], 1)
        np.add.at(heavy, labels[one[across]], alone[labels[two[across]]].astype(np.int64))
    return (beside > 0) & (beside == heavy)


def refuse_target(graph: CellGraph, target: float, tolerance: float) -> None:
    """Refuse a target that all cells together do not reach.

    Raises
    ------
    DivisionError
    """
    if 0 < graph.total < target * (1 - tolerance) - SLACK:
        message = f"A part of {described(target)} cannot be made: all cells together have "
        message += f"{described(graph.total)}."
        raise DivisionError(message, target=target, total=graph.total)


def refuse_parts(
    graph: CellGraph,
    parts: int,
    tolerance: float,
    target: float | None,
    names: Sequence[str] = (),
) -> None:
    """Refuse a number of parts that cannot come out even, with the reason.

    Parameters
    ----------
    graph : CellGraph
    parts : int
        Wished number of parts.
    tolerance : float
    target : float, optional
        Wished weight of a part where it is not the total by the number.
    names : sequence of str, optional
        What the cells are called, such as "row 12".

    Raises
    ------
    DivisionError
        If there is no weight, a cell is heavier than any part may be, or number and target
        contradict each other.
    """
    total, weight = graph.total, graph.weight[:, 0]
    if total <= 0:
        raise DivisionError(
            f"No cell has any weight: {parts} even parts mean nothing.", parts=parts
        )
    mean = total / parts
    wished = mean if target is None else target
    if target is not None and abs(mean / target - 1) > tolerance + SLACK:
        message = f"{parts} parts of {described(target)} make {described(parts * target)}, and "
        message += f"there are {described(total)}: name the number or the target."
        raise DivisionError(message, parts=parts, target=target, total=total)
    most = wished * (1 + tolerance)
    heavy = np.flatnonzero(weight > most + SLACK)
    if len(heavy):
        worst = int(heavy[np.argmax(weight[heavy])])
        times = float(weight[worst] / wished)
        largest = max(int(total * (1 + tolerance) / weight[worst]), 1)
        message = f"{parts} even parts cannot be made: {len(heavy)} cells are heavier than a part "
        called = f" ({names[worst]})" if names else ""
        message += (
            f"may be; the heaviest{called} has {described(weight[worst])}, {times:.1f} times the "
        )
        message += f"target of {described(wished)}. At most {largest} parts can come out even."
        raise DivisionError(
            message, parts=parts, cell=worst, times=round(times, 3), most_parts=largest,
            cells=heavy[np.argsort(-weight[heavy], kind="stable")][:20].tolist(),
        )  # fmt: skip
