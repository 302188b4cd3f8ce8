"""Why each part is as it is: the rule that binds it, and what cannot be done at all."""

from __future__ import annotations

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
    "within", "alone", "no_weight", "piece_small", "piece_total", "heavy_cell", "hemmed_in",
    "best_found",
)  # fmt: skip
"""What `explained` says of a part, in the order in which it is asked."""


@dataclass(frozen=True)
class Piece:
    """Sums of the connected pieces of the graph, and the piece of each cell."""

    of_cell: Ints
    total: Floats
    parts: Ints


def explained(graph: CellGraph, labels: Ints, found: Score, wishes: Wishes) -> pd.DataFrame:
    """Return for each part the rule that binds it, and a sentence.

    Parameters
    ----------
    graph : CellGraph
    labels : ndarray of int, shape (n,)
        0 .. k - 1, as in `Division`.
    found : Score
        Of these labels.
    wishes : Wishes

    Returns
    -------
    DataFrame
        Columns `rule` (one of `RULES`) and `said`, by part. A part is `within` tolerance; or one
        cell that is heavier than the target (`alone`); or its connected piece of the parent has
        `no_weight`, is lighter than one part may be (`piece_small`), or has a sum that no number of
        parts shares out within tolerance (`piece_total`); or it holds one cell that is too heavy
        for any company, or could only take cells that are (`heavy_cell`); or all parts around it
        stand alone (`hemmed_in`). Else nothing forbids a better one, and it is the `best_found`.
    """
    piece = components(graph.size, graph.left, graph.right)
    total = np.asarray(np.bincount(piece, weights=graph.weight[:, 0]), dtype=np.float64)
    first = np.unique(labels, return_index=True)[1]
    of_part = piece[first]
    shared = np.bincount(of_part, minlength=len(total))
    known = Piece(piece, total, shared)
    lightest, heaviest = _extremes(graph, labels, len(first))
    alone_beside = _all_alone_beside(graph, labels, found.units["alone"].to_numpy(dtype=bool))
    rows = []
    for part, unit in enumerate(found.units.itertuples()):
        here = of_part[part]
        rule = _rule(unit, known, int(here), wishes, heaviest[part], lightest[part])
        if rule == "best_found" and alone_beside[part]:
            rule = "hemmed_in"
        rows.append((rule, _said(rule, unit, known, int(here), wishes, heaviest[part])))
    return pd.DataFrame(rows, columns=["rule", "said"], index=found.units.index)


def _rule(
    unit: Any, known: Piece, here: int, wishes: Wishes, heaviest: float, lightest: float
) -> str:
    """Return the first rule that holds for a part; `lightest` is the lightest cell beside it."""
    target, tolerance = wishes.target[0], wishes.tolerance[0]
    least, most = target * (1 - tolerance), target * (1 + tolerance)
    total = known.total[here]
    if unit.within:
        return "within"
    if unit.alone:
        return "alone"
    if total <= 0:
        return "no_weight"
    if total < least:
        return "piece_small"
    if len(wishes.target) == 1 and not shareable(total, target, tolerance):
        return "piece_total"
    over = unit.weight > most
    if (over and heaviest > most) or (not over and unit.weight + lightest > most):
        return "heavy_cell"
    return "best_found"


def shareable(total: float, target: float, tolerance: float) -> bool:
    """Say whether some number of parts brings a sum within tolerance, cells left aside."""
    least = int(np.ceil(total / (target * (1 + tolerance)) - SLACK))
    return least * target * (1 - tolerance) <= total + SLACK


def _said(rule: str, unit: Any, known: Piece, here: int, wishes: Wishes, heaviest: float) -> str:
    weight, target = described(unit.weight), described(wishes.target[0])
    total, share = described(known.total[here]), f"{wishes.tolerance[0]:.0%}"
    said = {
        "within": f"{weight}: within {share} of {target}",
        "alone": f"one cell of {weight}, more than {target} by itself: it stands alone",
        "no_weight": f"no weight in its parent or behind its barriers ({unit.cells} cells)",
        "piece_small": f"its parent, or what barriers leave of it, has {total} in all",
        "piece_total": f"no number of parts shares {total} out within {share} of {target}",
        "heavy_cell": f"{weight}: a cell in it or beside it is too heavy to be moved "
        f"(heaviest inside: {described(heaviest)})",
        "hemmed_in": f"{weight}: all parts around it are single heavy cells",
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


def refuse_parts(graph: CellGraph, parts: int, tolerance: float, target: float | None) -> None:
    """Refuse a number of parts that cannot come out even, with the reason.

    Parameters
    ----------
    graph : CellGraph
    parts : int
        Wished number of parts.
    tolerance : float
    target : float, optional
        Wished weight of a part where it is not the total by the number.

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
        message += f"may be; the heaviest has {described(weight[worst])}, {times:.1f} times the "
        message += f"target of {described(wished)}. At most {largest} parts can come out even."
        raise DivisionError(
            message, parts=parts, cell=worst, times=round(times, 3), most_parts=largest,
            cells=heavy[np.argsort(-weight[heavy], kind="stable")][:20].tolist(),
        )  # fmt: skip
