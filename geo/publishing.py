"""From a plan to a net: rebased over what was published meanwhile, and written as a difference.

A plan and a net are the same thing here: facts of grids, and the leaf grid of each cell. A rebase
looks at three of them (the base, mine, theirs) cell by cell and attribute by attribute, and takes
what one side alone has changed; what both changed differently is a conflict that somebody decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.codes import CodeScheme, allocate_codes
from geo.errors import CodeFormatError, InvalidInputError
from geo.grids import hierarchy
from geo.redraw.scene import GridFacts
from geo.saying import phrase
from geo.terms import GridKind

MINE: Final = "mine"
THEIRS: Final = "theirs"
ALL: Final = "*"
"""Key of a choice for every conflict that has no choice of its own."""
ATTRIBUTES: Final = ("parent", "name", "kind", "parts", "code_range")
ATTRIBUTE_WORDS: Final = {
    "parent": phrase("parent"),
    "name": phrase("name"),
    "kind": phrase("kind"),
    "parts": phrase("number of parts"),
    "code_range": phrase("range of codes"),
}
"""Attributes of a grid that are looked at one by one; whether it is ended comes before them."""

Facts = Mapping[int, GridFacts]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Conflict:
    """What both sides changed differently, or what would break together.

    Attributes
    ----------
    key : str
        What a choice names: `cells:MINE:THEIRS`, `grid:GRID:ATTRIBUTE` or `whole:GRID`.
    grid : int
        The grid that it is about; of cells, the one that is mine.
    mine, theirs : object
        The two values; of cells, the two grids.
    cells : tuple of int
        The cells that it is about; empty for an attribute.
    message : str
    """

    key: str
    grid: int
    mine: Any
    theirs: Any
    message: str
    cells: tuple[int, ...] = ()


@dataclass(frozen=True)
class Rebased:
    """A plan put on a later net.

    Attributes
    ----------
    owners : Series of int
        New leaf of each cell that either side changed, by cell.
    grids : dict of int to GridFacts
        All grids of the plan, ended ones included.
    conflicts : list of Conflict
        What nobody has decided yet; until then mine stands.
    taken : frozenset of int
        Grids that are otherwise than in my plan before.
    """

    owners: pd.Series[int]
    grids: dict[int, GridFacts]
    conflicts: list[Conflict] = field(default_factory=list)
    taken: frozenset[int] = frozenset()


def check_choices(choices: Mapping[str, Any]) -> None:
    """Refuse choices that say anything else than mine or theirs.

    Raises
    ------
    InvalidInputError
    """
    wrong = [key for key, side in choices.items() if side not in (MINE, THEIRS)]
    if wrong:
        message = phrase(
            "A choice is '%(mine)s' or '%(theirs)s', not so for '%(wrong)s'.",
            mine=MINE,
            theirs=THEIRS,
            wrong=wrong[0],
        )
        raise InvalidInputError(message, field="choices")


def rebase(
    cells: pd.DataFrame,
    base: Facts,
    mine: Facts,
    theirs: Facts,
    choices: Mapping[str, str],
    broken: Collection[int] = (),
) -> Rebased:
    """Put what a plan changes on top of a later net.

    Parameters
    ----------
    cells : DataFrame, shape (n, 3)
        Columns base, mine, theirs: the leaf of every cell that either side changed, by cell.
    base, mine, theirs : mapping of int to GridFacts
        All grids of the three; a grid that a net has no more is missing or ended.
    choices : mapping of str to str
        Conflict -> mine or theirs; `*` for those that are not named.
    broken : collection of int
        Grids that an earlier call made torn, empty or mixed: taken whole from one side.

    Returns
    -------
    Rebased
        With every choice `theirs` it is the later net itself, with every choice `mine` and no
        grid broken all that the plan says.
    """
    conflicts: list[Conflict] = []

    def side(conflict: Conflict) -> str:
        chosen = choices.get(conflict.key, choices.get(ALL))
        if chosen is None:
            conflicts.append(conflict)
        return chosen or MINE

    grids = _grids(cells, base, mine, theirs, side)
    owners = _owners(cells, side)
    for grid in sorted(broken):
        own = cells.index[(cells["mine"] == grid) | (cells["theirs"] == grid) | (owners == grid)]
        name = (mine.get(grid) or theirs[grid]).name
        message = phrase(
            "The grid %(grid)s (%(name)s) would be torn, empty or both divided and filled.",
            grid=grid, name=name,
        )  # fmt: skip
        which = side(Conflict(f"whole:{grid}", grid, MINE, THEIRS, message, _listed(own)))
        owners[own] = cells.loc[own, which]
        _take_whole(grids, grid, mine if which == MINE else theirs)
    owners = _housed(cells, owners, grids)
    before = {grid for grid, facts in mine.items() if grids[grid] != facts}
    moved = owners != cells["mine"]
    changed = {*owners[moved].tolist(), *cells.loc[moved, "mine"].tolist()}
    new = set(grids) - set(mine)
    return Rebased(owners, grids, conflicts, frozenset(before | changed | new))


def _listed(cells: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(cell) for cell in cells)


def _three_ways(base: Any, mine: Any, theirs: Any) -> tuple[Any, bool]:
    """Return what stands, and whether both sides changed it differently."""
    if mine == theirs or theirs == base:
        return mine, False
    return (theirs, False) if mine == base else (mine, True)


def _owners(cells: pd.DataFrame, side: Any) -> pd.Series[int]:
    """Return the leaf of each cell, groups of conflicts decided one by one."""
    base, mine, theirs = (cells[name] for name in ("base", "mine", "theirs"))
    owners = mine.where(mine != base, theirs).rename("grid_id")
    both = cells[(mine != base) & (theirs != base) & (mine != theirs)]
    pairs = zip(both["mine"].tolist(), both["theirs"].tolist(), strict=True)
    for own, other in sorted(set(pairs)):
        group = both.index[(both["mine"] == own) & (both["theirs"] == other)]
        message = phrase(
            "%(n)s cell(s) go to the grid %(own)s here and to %(other)s there.",
            n=len(group), own=own, other=other,
        )  # fmt: skip
        one = Conflict(f"cells:{own}:{other}", own, own, other, message, _listed(group))
        owners[group] = other if side(one) == THEIRS else own
    return owners


def _standing(grids: Facts, grid: int) -> bool:
    return grid in grids and not grids[grid].ended


def _grids(
    cells: pd.DataFrame, base: Facts, mine: Facts, theirs: Facts, side: Any
) -> dict[int, GridFacts]:
    """Return what is said of each grid."""
    gains = {
        name: set(cells.loc[cells[name] != cells["base"], name].tolist()) for name in (MINE, THEIRS)
    }
    found: dict[int, GridFacts] = {}
    for grid in sorted({*base, *mine, *theirs}):
        here, there = mine.get(grid), theirs.get(grid)
        if here is None and there is not None:
            found[grid] = there
        elif here is not None and (there is None and grid not in base):
            found[grid] = here
        elif here is not None:
            there = there or replace(base[grid], ended=True)
            found[grid] = _facts(grid, base.get(grid), here, there, gains, side)
    return found


def _facts(
    grid: int,
    base: GridFacts | None,
    mine: GridFacts,
    theirs: GridFacts,
    gains: Mapping[str, set[int]],
    side: Any,
) -> GridFacts:
    if mine.ended and theirs.ended:
        return mine
    if mine.ended != theirs.ended and base is not None:
        alive, name = (theirs, THEIRS) if mine.ended else (mine, MINE)
        if alive == base and grid not in gains[name]:
            return mine if mine.ended else replace(mine, ended=True)
        message = (
            phrase("The plan ends the grid %(grid)s (%(name)s), and the later net changes it.",
                   grid=grid, name=base.name)
            if mine.ended
            else phrase("The later net ends the grid %(grid)s (%(name)s), and the plan changes it.",
                        grid=grid, name=base.name)
        )  # fmt: skip
        chosen = side(Conflict(f"grid:{grid}:ended", grid, mine.ended, theirs.ended, message))
        return mine if chosen == MINE else theirs
    told: dict[str, Any] = {}
    for attribute in ATTRIBUTES:
        values = [_value(facts, attribute) for facts in (base, mine, theirs)]
        value, both = _three_ways(*values)
        if both:
            message = phrase(
                "Both sides change the %(attribute)s of the grid %(grid)s (%(name)s).",
                attribute=ATTRIBUTE_WORDS[attribute], grid=grid, name=mine.name,
            )  # fmt: skip
            key = f"grid:{grid}:{attribute}"
            conflict = Conflict(key, grid, _plain(values[1]), _plain(values[2]), message)
            value = values[2] if side(conflict) == THEIRS else values[1]
        told |= value
    return replace(mine, **told)


def _value(facts: GridFacts | None, attribute: str) -> dict[str, Any] | None:
    """Return an attribute with what belongs to it: a parent with its level, parts with a reason."""
    if facts is None:
        return None
    together = {"parent": ("parent", "level"), "parts": ("parts", "reason")}
    return {name: getattr(facts, name) for name in together.get(attribute, (attribute,))}


def _plain(value: dict[str, Any] | None) -> Any:
    return None if value is None else next(iter(value.values()))


def _take_whole(grids: dict[int, GridFacts], grid: int, facts: Facts) -> None:
    """Take a grid and those below it as one side has them; what that side has not is ended."""
    below = {one for one, of in (*grids.items(), *facts.items()) if of.parent == grid}
    for one in (grid, *sorted(below)):
        grids[one] = facts[one] if one in facts else replace(grids[one], ended=True)


def _housed(cells: pd.DataFrame, owners: pd.Series[int], grids: Facts) -> pd.Series[int]:
    """Return owners of which none is ended, as far as either side knows one that stands."""
    lost = ~owners.map(lambda grid: _standing(grids, grid)).astype(bool)
    for name in (THEIRS, MINE):
        if lost.any():
            other = cells.loc[lost, name]
            able = other[other.map(lambda grid: _standing(grids, grid)).astype(bool)]
            owners[able.index] = able
            lost[able.index] = False
    return owners


# ---- the difference to write ---------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """What a net is otherwise than the one before, grid by grid.

    Attributes
    ----------
    ended : list of int
        Grids that the new net has no more.
    written : list of int
        Grids that get a new run: new ones, and those of which something is said otherwise.
    redrawn : list of int
        Those of them whose ground is another one, or that are new: their borders are made.
    paths : DataFrame
        `area_1` .. `area_6` of every grid of the new net, by grid_id.
    """

    ended: list[int]
    written: list[int]
    redrawn: list[int]
    paths: pd.DataFrame


STATED: Final = ("level", "parent_id", "name", "kind")


def difference(old: pd.DataFrame, new: pd.DataFrame, moved: pd.DataFrame) -> Difference:
    """Return which grids a net writes anew.

    Parameters
    ----------
    old, new : DataFrame
        Columns grid_id, level, parent_id, name, kind of all grids of the two nets.
    moved : DataFrame, shape (n, 2)
        Columns source, target: the leaf grids of each cell that changes hands.

    Returns
    -------
    Difference

    Raises
    ------
    HierarchyError
        If parents or levels contradict each other.
    """
    before = hierarchy(old).set_index(old["grid_id"])
    after = hierarchy(new).set_index(new["grid_id"])
    pairs = moved[["source", "target"]].drop_duplicates().to_numpy(dtype=np.int64)
    stays = np.intersect1d(_leaves(old), _leaves(new))
    shifted = stays[_differ(before.loc[stays], after.loc[stays])]
    pairs = np.concatenate([pairs, np.column_stack([shifted, shifted])])
    redrawn = _grounds(before, after, pairs) & set(after.index)
    redrawn |= set(after.index) - set(before.index)
    both = before.index.intersection(after.index)
    told = [frame.set_index("grid_id").loc[both, list(STATED)] for frame in (old, new)]
    restated = both[_differ(*told) | _differ(before.loc[both], after.loc[both])]
    return Difference(
        ended=sorted(int(grid) for grid in before.index.difference(after.index)),
        written=sorted(int(grid) for grid in {*restated, *redrawn}),
        redrawn=sorted(int(grid) for grid in redrawn),
        paths=after,
    )


def _leaves(grids: pd.DataFrame) -> Ints:
    own: NDArray[Any] = ~grids["grid_id"].isin(grids["parent_id"].dropna()).to_numpy()
    found: Ints = grids["grid_id"].to_numpy(dtype=np.int64)[own]
    return found


def _differ(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.bool_]:
    """Say of each row whether any column differs; missing equals missing."""
    found = np.zeros(len(one), dtype=bool)
    for name in one.columns:
        left, right = (_filled(frame[name]) for frame in (one, other))
        found |= np.asarray(left != right, dtype=bool)
    return found


def _filled(column: pd.Series[Any]) -> NDArray[np.object_]:
    """Return values that can be compared: None where one is missing."""
    plain: NDArray[np.object_] = column.astype("object").to_numpy(copy=True)
    plain[pd.isna(plain)] = None
    return plain


def _grounds(before: pd.DataFrame, after: pd.DataFrame, pairs: Ints) -> set[int]:
    """Return the grids that cells leave or enter when their leaf changes so."""
    found: set[int] = set()
    left, entered = (
        frame.fillna(0).to_numpy(dtype=np.int64)[frame.index.get_indexer(pd.Index(leaf))]
        for frame, leaf in ((before, pairs[:, 0]), (after, pairs[:, 1]))
    )
    for gone, come in zip(left.tolist(), entered.tolist(), strict=True):
        found |= set(gone) ^ set(come)
    found.discard(0)
    return found


# ---- codes ---------------------------------------------------------------------------------------


def codes(
    grids: gpd.GeoDataFrame,
    scheme: CodeScheme,
    levels: list[str],
    *,
    given: Mapping[str, str],
    ever: Mapping[str, int],
    moved: Collection[int],
) -> pd.Series[str]:
    """Return the codes of grids: kept, taken up again, or new; none is given to another grid.

    A grid that goes to another parent cannot bear the parent's old digits: it gets a code below
    the new parent, one that it had there before if there is any. So do the grids below it.

    Parameters
    ----------
    grids : GeoDataFrame, shape (n,)
        Columns grid_id, level, parent_id, kind, code (NA = none yet), geometry in metres: those
        that may need a code, with all their ancestors. A reserve gets none. Optionally
        `code_range`: a grid whose code is not of this range gets another one.
    scheme : CodeScheme
    levels : list of str
        Codes of the city's levels, from the top.
    given : mapping of str to str
        Values that hold for the whole city, such as `county`.
    ever : mapping of str to int
        Every code that was ever given, and to which grid.
    moved : collection of int
        Grids whose parent is another one than in the net before.

    Returns
    -------
    Series of str
        Indexed like `grids`; NA where the scheme numbers no such level.

    Raises
    ------
    CodeOverflowError, CodeFormatError
        As `geo.codes.allocate_codes`.
    """
    table = grids.copy()
    table["code"] = table["code"].astype("object")
    stale: set[int] = set()
    of_grid: dict[int, list[str]] = {}
    for code, grid in sorted(ever.items()):
        of_grid.setdefault(grid, []).append(code)
    wished: dict[int, str] = {}
    if "code_range" in table:
        asked = table.set_index("grid_id")["code_range"].dropna()
        wished = {int(str(grid)): str(name) for grid, name in asked.items()}
    ids, codes_, parents = (table[name].tolist() for name in ("grid_id", "code", "parent_id"))
    code_of = {
        grid: None if pd.isna(code) else code for grid, code in zip(ids, codes_, strict=True)
    }
    above = {g: None if pd.isna(p) else int(p) for g, p in zip(ids, parents, strict=True)}
    numbers = {place for place, one in enumerate(levels, start=1) if one in scheme.levels}
    numbered = set(table.loc[table["level"].isin(numbers), "grid_id"].tolist())
    shifted = set(moved)
    for grid in table.sort_values("level")["grid_id"].tolist():
        known, parent = code_of[grid], above[grid]
        while parent is not None and parent in above and parent not in numbered:
            shifted |= {grid} if parent in shifted else set()
            parent = above[parent]
        sound = known is not None and grid not in shifted and parent not in stale
        sound = sound and _in_range(scheme, known, wished.get(grid))
        if sound or grid not in numbered or parent is None:
            continue
        if known is not None and not scheme.valid(known):
            continue
        below = None if parent in stale else code_of.get(parent)
        own = [known, *of_grid.get(grid, [])] if known is not None else of_grid.get(grid, [])
        fit = [one for one in own if _below(scheme, one, below)]
        fit = [one for one in fit if _in_range(scheme, one, wished.get(grid))]
        code_of[grid] = fit[0] if fit else None
        stale |= set() if fit else {grid}
    table["code"] = table["grid_id"].map(code_of)
    own_code = table["kind"] != GridKind.RESERVE.value
    made = allocate_codes(table[own_code], scheme, levels, given=given, ever=ever)
    return made.reindex(table.index)


def _in_range(scheme: CodeScheme, code: str | None, wished: str | None) -> bool:
    """Say whether the number of a code comes from a range; from any, where none is wished."""
    if wished is None or code is None or not scheme.valid(code):
        return True
    begin, end, segment = scheme.place(scheme.parse(code).level)
    first, last = segment.span(wished)
    return first <= segment.read(code[begin:end]) <= last


def _below(scheme: CodeScheme, code: str, parent: str | None) -> bool:
    """Say whether a code bears the digits of the parent's code."""
    if parent is None or pd.isna(parent):
        return False
    try:
        above, own = scheme.parse(parent), scheme.parse(code)
    except CodeFormatError:
        return False
    _, end, _ = scheme.place(above.level)
    return own.level != above.level and code[:end] == parent[:end]
