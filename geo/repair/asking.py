"""What a repair may not decide: areas that would change too much, and the questions about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.errors import InvalidInputError
from geo.repair.account import NOISE_M2, Account, Shapes, spot
from geo.repair.ground import NOBODY, Ground
from geo.saying import phrase

NOBODY_SAID: Final = "nobody"
TORN: Final = ("share", "before_m2", "after_m2", "x", "y", "keys", "said")
QUESTIONS: Final = ("key", "kind", "options", "proposed", "size_m2", "x", "y", "geometry")
LISTED: Final = 5


@dataclass(frozen=True)
class Claim:
    """A face that several areas may take.

    Attributes
    ----------
    shape : Polygon
        At the local origin.
    size_m2 : float
    owners : tuple of int
        Areas that cover it; none for a gap.
    options : tuple of int
        Areas that may take it.
    keeper : int
        The area that takes it unless somebody decides otherwise; `NOBODY` for a gap that stays.
    """

    shape: Any
    size_m2: float
    owners: tuple[int, ...]
    options: tuple[int, ...]
    keeper: int


Claims = dict[str, list[Claim]]
"""Key of a question -> its faces."""


def keys_of(ground: Ground, account: Account) -> list[str]:
    """Return the key of the question about each face; empty where there is nothing to ask."""
    keys = [""] * len(ground.faces)
    for face, who in enumerate(ground.owners):
        if len(who) > 1:
            keys[face] = "overlap " + "|".join(account.name(area) for area in who)
        elif not who:
            x, y = spot(ground.faces[face])
            keys[face] = f"gap {x + account.origin[0]:.1f},{y + account.origin[1]:.1f}"
    return keys


def options_of(ground: Ground, face: int) -> tuple[int, ...]:
    """Return the areas that may take a face."""
    if ground.owners[face]:
        return ground.owners[face]
    beside = {area for f in ground.around[face] for area in ground.owners[f] if area >= 0}
    return tuple(sorted(beside))


def answers(
    ground: Ground, keys: list[str], account: Account, decisions: Mapping[str, Any]
) -> dict[int, int]:
    """Return who takes the faces that were decided about.

    Raises
    ------
    InvalidInputError
        If a decision names an area that is not among the options.
    """
    rows = {account.name(row): row for row in range(len(account.labels))}
    decided: dict[int, int] = {}
    for face, key in enumerate(keys):
        if not key or key not in decisions:
            continue
        options = options_of(ground, face)
        said = NOBODY_SAID if decisions[key] is None else str(decisions[key])
        if said == NOBODY_SAID and not ground.owners[face]:
            decided[face] = NOBODY
        elif rows.get(said) in options:
            decided[face] = rows[said]
        else:
            names = ", ".join(account.name(area) for area in options)
            message = phrase(
                "'%(said)s' cannot take %(key)s; the options are %(names)s.",
                said=said,
                key=key,
                names=names,
            )
            raise InvalidInputError(message, field="decisions", key=key)
    return decided


def refuse_stray_answers(decisions: Mapping[str, Any], keys: list[str]) -> None:
    """Refuse decisions that answer no question.

    Raises
    ------
    InvalidInputError
        With their keys.
    """
    known = set(keys)
    if unknown := [key for key in decisions if key not in known]:
        message = phrase(
            "Decisions that answer no question: %(names)s.", names=", ".join(unknown[:LISTED])
        )
        raise InvalidInputError(message, field="decisions", keys=unknown[:100])


def contradictions(
    account: Account,
    claims: Claims,
    before: Shapes,
    after: Shapes,
    decided_m2: Any,
    largest_change: float,
) -> tuple[pd.DataFrame, gpd.GeoDataFrame]:
    """Return the areas that would change too much or vanish, and what is to be decided.

    Parameters
    ----------
    account : Account
    claims : dict of str to list of Claim
    before, after : ndarray of geometry, shape (n,)
    decided_m2 : ndarray of float, shape (n,)
        Ground of each area that somebody decided about: it is no contradiction.
    largest_change : float

    Returns
    -------
    tuple of DataFrame and GeoDataFrame
        `torn` and `questions` as in `Repair`.
    """
    before_m2, after_m2 = shapely.area(before), shapely.area(after)
    changes = account.changes(before_m2, after_m2)
    sums = dict(zip(changes.index, changes.itertuples(), strict=True))
    concerned: dict[int, list[str]] = {}
    for key, faces in claims.items():
        for row in {area for face in faces for area in (*face.owners, face.keeper)}:
            concerned.setdefault(row, []).append(key)
    rows, keys = [], set()
    for row, label in enumerate(account.labels):
        change: Any = sums.get(label)
        if change is None:
            continue
        undecided = max(change.gained_m2 + change.ceded_m2 - decided_m2[row], 0.0)
        share = undecided / before_m2[row]
        gone = after_m2[row] == 0 and undecided > NOISE_M2
        if share <= largest_change and not gone:
            continue
        own = concerned.get(row, [])
        keys.update(own)
        over = phrase(
            "%(share)s of its %(m2)s m2 near (%(x)s, %(y)s), more than %(most)s",
            share=f"{share:.1%}",
            m2=f"{change.before_m2:.0f}",
            x=f"{change.x:.1f}",
            y=f"{change.y:.1f}",
            most=f"{largest_change:.0%}",
        )
        said = _said(account, row, None if gone else over, own, claims)
        rows.append((label, share, before_m2[row], after_m2[row], change.x, change.y, own, said))
    torn = pd.DataFrame(rows, columns=["label", *TORN]).set_index("label")
    sentences = [row[-1] for row in rows]  # as texts alone they would lose their patterns
    torn["said"] = pd.Series(sentences, index=torn.index, dtype=object)
    return torn, _questions(account, claims, sorted(keys))


def _size(claims: list[Claim]) -> float:
    return fsum(claim.size_m2 for claim in claims)


def _said(account: Account, row: int, over: str | None, keys: list[str], claims: Claims) -> str:
    """Return the sentence about an area that is torn; without `over` it would vanish."""
    label = account.name(row)
    first = sorted(keys, key=lambda key: -_size(claims[key]))[:LISTED]
    decide = "; ".join(f"{key} ({_size(claims[key]):.2f} m2)" for key in first)
    partners = {area for key in keys for claim in claims[key] for area in claim.options}
    others = sorted(account.name(area) for area in partners - {row})
    said = phrase("%(area)s lies wholly on others", area=label)
    if over is not None:
        said = phrase("%(area)s would change by %(over)s: mend the source", area=label, over=over)
    if others:
        names = ", ".join(others[:LISTED])
        said = phrase("%(said)s; it overlaps %(names)s", said=said, names=names)
    return phrase("%(said)s; decide: %(decide)s", said=said, decide=decide) if decide else said


def _questions(account: Account, claims: Claims, keys: list[str]) -> gpd.GeoDataFrame:
    rows, shapes = [], []
    for key in keys:
        options = sorted({area for claim in claims[key] for area in claim.options})
        names = [account.name(area) for area in options]
        if key.startswith("gap"):
            names.append(NOBODY_SAID)
        largest = max(claims[key], key=lambda claim: claim.size_m2)
        proposed = account.name(largest.keeper) if largest.keeper >= 0 else NOBODY_SAID
        near = shapely.union_all([claim.shape for claim in claims[key]])
        shape = shapely.transform(near, lambda places: places + account.origin)
        kind = key.split(" ", 1)[0]
        rows.append((key, kind, tuple(names), proposed, _size(claims[key]), *spot(shape)))
        shapes.append(shape)
    frame = pd.DataFrame(rows, columns=list(QUESTIONS[:-1]))
    return gpd.GeoDataFrame(frame, geometry=np.array(shapes, dtype=object), crs=account.crs)
