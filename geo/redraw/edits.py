"""What each edit does: move, merge, split, drag, draw, reparent, rename, set_kind, end, release ...

Identity is decided by the edit: whoever only gains or loses cells, a name or a parent stays the
same grid; a split keeps it for one part, a merge for one of the grids, a drawn grid is new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from geo.errors import InvalidInputError
from geo.redraw import lines
from geo.redraw.scene import Change, GridFacts, Scene, only_real, reserve_facts
from geo.saying import phrase
from geo.terms import GridKind
from geo.topology import areas_m2

MOST_CELLS: Final = 200_000
"""Most cells that one edit may name."""
MOST_GRIDS: Final = 500
MOST_LETTERS: Final = 100
RESERVE_NAME: Final = "储备"
NEW_RESERVE: Final = -1
"""Provisional number of a reserve that has to be made."""
PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")

Args = Mapping[str, Any]


@dataclass(frozen=True)
class Named:
    """What an edit names: what has to be read before it can be done.

    Attributes
    ----------
    grids, cells : tuple of int
    filled : bool
        Whether the cells that lie in the grids themselves are needed.
    deep : bool
        Whether all that lies below the grids is, cells included.
    """

    grids: tuple[int, ...]
    cells: tuple[int, ...] = ()
    filled: bool = False
    deep: bool = False


def named(op: str, args: Args) -> Named:
    """Return what an edit names.

    Raises
    ------
    InvalidInputError
        If there is no such edit, or a value is missing or of another kind; `field` names it.
    """
    if op not in EDITS:
        known = ", ".join(sorted(EDITS))
        raise InvalidInputError(
            phrase("There is no edit '%(op)s'; there are %(known)s.", op=op, known=known),
            field="op",
        )
    unknown = sorted(set(args) - FIELDS[op])
    if unknown:
        listed = ", ".join(sorted(FIELDS[op]))
        message = phrase(
            "The edit '%(op)s' knows no '%(unknown)s'; it knows %(listed)s.",
            op=op,
            unknown=unknown[0],
            listed=listed,
        )
        raise InvalidInputError(message, field=unknown[0])
    grids = [number(args, field) for field in ("grid", "into", "parent") if args.get(field)]
    if "grids" in args:
        grids += numbers(args, "grids", MOST_GRIDS)
    cells = list(numbers(args, "cells", MOST_CELLS)) if "cells" in args else []
    for part in _parts(args) if "parts" in args and op == "split" else ():
        cells += part
    return Named(tuple(grids), tuple(cells), op in FILLED, op in DEEP)


def redraw(op: str, args: Args, scene: Scene) -> Change:
    """Return what an edit changes.

    Parameters
    ----------
    op : str
        Name of the edit.
    args : mapping
        What it names, plain values.
    scene : Scene
        The part of the plan that holds all that `named` returns.

    Returns
    -------
    Change
        Only what differs from the scene; new grids have negative numbers.

    Raises
    ------
    InvalidInputError
        If the edit cannot be done on this scene; `field` names the value.
    """
    missing = sorted(set(named(op, args).cells) - set(scene.owners))
    if missing:
        message = phrase(
            "%(n)s cell(s) do not stand in the city: %(missing)s",
            n=len(missing),
            missing=missing[:5],
        )
        raise InvalidInputError(message, field="cells", cells=missing[:100])
    return only_real(scene, EDITS[op](args, scene))


# ---- values --------------------------------------------------------------------------------------


def number(args: Args, field: str) -> int:
    """Return a positive number of the arguments."""
    value = args.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**63:
        raise InvalidInputError(
            phrase("'%(field)s' is the number of a grid.", field=field), field=field
        )
    return value


def numbers(args: Args, field: str, most: int) -> tuple[int, ...]:
    """Return a list of different positive numbers of the arguments."""
    value = args.get(field)
    sound = isinstance(value, Sequence) and not isinstance(value, str)
    if not sound or not value or len(value) > most:
        message = phrase("'%(field)s' is a list of 1 to %(most)s numbers.", field=field, most=most)
        raise InvalidInputError(message, field=field)
    return _numbers(value, field)


def _numbers(value: Any, field: str) -> tuple[int, ...]:
    if any(not isinstance(one, int) or isinstance(one, bool) or not 1 <= one < 2**63
           for one in value):  # fmt: skip
        raise InvalidInputError(phrase("'%(field)s' holds numbers only.", field=field), field=field)
    if len(set(value)) != len(value):
        raise InvalidInputError(
            phrase("'%(field)s' names something twice.", field=field), field=field
        )
    return tuple(value)


def _parts(args: Args) -> list[tuple[int, ...]]:
    value = args.get("parts")
    lists = isinstance(value, list) and all(isinstance(one, list) for one in value)
    if not isinstance(value, list) or not lists or not 1 <= len(value) <= MOST_GRIDS:
        raise InvalidInputError(phrase("'parts' is a list of lists of cells."), field="parts")
    parts = [_numbers(one, "parts") for one in value]
    every = [cell for part in parts for cell in part]
    if not all(parts) or len(set(every)) != len(every) or len(every) > MOST_CELLS:
        message = phrase(
            "Each part has cells, none of them twice, %(most)s at most together.",
            most=MOST_CELLS,
        )
        raise InvalidInputError(message, field="parts")
    return parts


def text_of(args: Args, field: str) -> str:
    """Return a line of text of the arguments."""
    value = args.get(field)
    line = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(line) <= MOST_LETTERS or not PLAIN.fullmatch(line):
        message = phrase(
            "'%(field)s' is a line of 1 to %(most)s letters.",
            field=field,
            most=MOST_LETTERS,
        )
        raise InvalidInputError(message, field=field)
    return line


def _kind(args: Args) -> str:
    value = args.get("kind", GridKind.BASIC.value)
    if value not in (GridKind.BASIC.value, GridKind.DEDICATED.value):
        raise InvalidInputError(phrase("'kind' is basic or dedicated."), field="kind")
    return str(value)


def _not_reserve(scene: Scene, grid: int) -> GridFacts:
    facts = scene.live(grid)
    if facts.kind == GridKind.RESERVE:
        raise InvalidInputError(
            phrase("The reserve is no grid of its own."), field="grid", grid=grid
        )
    return facts


# ---- edits ---------------------------------------------------------------------------------------


def _move(args: Args, scene: Scene) -> Change:
    into = number(args, "into")
    scene.leaf(into)
    return Change(dict.fromkeys(numbers(args, "cells", MOST_CELLS), into))


def _release(args: Args, scene: Scene) -> Change:
    reserve, grids = _reserve(scene)
    return Change(dict.fromkeys(numbers(args, "cells", MOST_CELLS), reserve), grids)


def _reserve(scene: Scene) -> tuple[int, dict[int, GridFacts]]:
    """Return the reserve, and what is to be said of it where it is new."""
    if scene.reserve is not None:
        return scene.reserve, {}
    return NEW_RESERVE, {NEW_RESERVE: reserve_facts(RESERVE_NAME)}


def _merge(args: Args, scene: Scene) -> Change:
    grids, into = numbers(args, "grids", MOST_GRIDS), number(args, "into")
    others = [grid for grid in grids if grid != into]
    if not others:
        raise InvalidInputError(phrase("A merge names at least two grids."), field="grids")
    kept = _not_reserve(scene, into)
    divided = bool(scene.children(into))
    change: dict[int, int] = {}
    facts: dict[int, GridFacts] = {}
    for grid in others:
        gone = _not_reserve(scene, grid)
        below = scene.children(grid)
        if gone.level != kept.level or bool(below) != divided:
            message = phrase(
                "The grids %(grid)s and %(into)s are not of one level, or one is divided.",
                grid=grid,
                into=into,
            )
            raise InvalidInputError(message, field="grids", grid=grid)
        facts[grid] = replace(gone, ended=True)
        facts |= {child: replace(scene.grids[child], parent=into) for child in below}
        change |= dict.fromkeys(scene.cells_of(grid), into)
    return Change(change, facts)


def _split(args: Args, scene: Scene) -> Change:
    grid, parts = number(args, "grid"), _parts(args)
    facts = scene.leaf(grid)
    rest = set(scene.cells_of(grid))
    for part in parts:
        if not rest.issuperset(part):
            message = phrase("A part names cells that do not lie in the grid %(grid)s.", grid=grid)
            raise InvalidInputError(message, field="parts", grid=grid)
        rest -= set(part)
    whole = [*parts, tuple(sorted(rest))] if rest else parts
    names = _names(args, len(whole))
    if args.get("below"):
        return _divided(scene, grid, whole, names, _kind(args))
    if facts.kind == GridKind.RESERVE or len(whole) < 2:
        message = phrase("A split leaves at least two parts; grids are drawn in the reserve.")
        raise InvalidInputError(message, field="parts")
    keeps = _keeps(args, whole, scene)
    made = [part for place, part in enumerate(whole) if place != keeps]
    cells: dict[int, int] = {}
    grids: dict[int, GridFacts] = {}
    for place, part in enumerate(made):
        new = -2 - place
        name = names[place] if place < len(names) else f"{facts.name} {place + 2}"
        grids[new] = GridFacts(facts.level, facts.parent, name, facts.kind)
        cells |= dict.fromkeys(part, new)
    return Change(cells, grids)


def _split_by_line(args: Args, scene: Scene) -> Change:
    grid = number(args, "grid")
    _not_reserve(scene, grid)
    scene.leaf(grid)
    ground = scene.shapes_of([grid])
    way = lines.reaching(ground, lines.line_of(args.get("line"), ground.crs))
    parts = lines.parted(ground, way) if exact(args) else lines.along(ground, way)
    rest = {name: args[name] for name in ("names", "keep", "below", "kind") if name in args}
    return _split({"grid": grid, "parts": parts, **rest}, scene)


def _drag(args: Args, scene: Scene) -> Change:
    """Let each of two grids have the side of the line on which most of its ground lies."""
    exact(args)
    grids = numbers(args, "grids", 2)
    if len(grids) != 2:
        raise InvalidInputError(phrase("The border between two grids is dragged."), field="grids")
    for grid in grids:
        _not_reserve(scene, grid)
        scene.leaf(grid)
    ground = scene.shapes_of(grids)
    way = lines.reaching(ground, lines.line_of(args.get("line"), ground.crs))
    left = lines.sides(ground, way)
    first = ground.index.isin(scene.cells_of(grids[0]))
    stays = areas_m2(ground)[first == left.to_numpy()].sum()
    here, there = grids if stays * 2 >= areas_m2(ground).sum() else grids[::-1]
    return Change({int(cell): here if left[cell] else there for cell in ground.index})


def exact(args: Args) -> bool:
    """Say whether cells are to be cut, not only moved."""
    value = args.get("exact", False)
    if not isinstance(value, bool):
        raise InvalidInputError(phrase("'exact' is true or false."), field="exact")
    return value


def _names(args: Args, most: int) -> list[str]:
    given = args.get("names", [])
    if not isinstance(given, list) or len(given) > most:
        raise InvalidInputError(
            phrase("'names' is a list of at most %(most)s names.", most=most), field="names"
        )
    return [text_of({"names": one}, "names") for one in given]


def _keeps(args: Args, whole: list[tuple[int, ...]], scene: Scene) -> int:
    """Return which part stays the grid: the one asked for, else the one with most households."""
    if args.get("keep") is None:
        return max(range(len(whole)), key=lambda k: (scene.households(whole[k]), len(whole[k]), -k))
    keep = args["keep"]
    if not isinstance(keep, int) or isinstance(keep, bool) or not 0 <= keep < len(whole):
        message = phrase("'keep' is the place of a part, 0 to %(n)s.", n=len(whole) - 1)
        raise InvalidInputError(message, field="keep")
    return keep


def _divided(
    scene: Scene, grid: int, parts: list[tuple[int, ...]], names: list[str], kind: str
) -> Change:
    """Divide a leaf into grids of the level below; it stays above them."""
    facts = _not_reserve(scene, grid)
    if facts.level >= scene.levels:
        raise InvalidInputError(
            phrase("There is no level below this grid."), field="grid", grid=grid
        )
    cells: dict[int, int] = {}
    grids: dict[int, GridFacts] = {}
    for place, part in enumerate(parts):
        new = -2 - place
        name = names[place] if place < len(names) else f"{facts.name} {place + 1}"
        grids[new] = GridFacts(facts.level + 1, grid, name, kind)
        cells |= dict.fromkeys(part, new)
    return Change(cells, grids)


def _draw(args: Args, scene: Scene) -> Change:
    cells, name, kind = numbers(args, "cells", MOST_CELLS), text_of(args, "name"), _kind(args)
    level = 1
    parent = number(args, "parent") if args.get("parent") is not None else None
    if parent is not None:
        above = _not_reserve(scene, parent)
        level = above.level + 1
        if level > scene.levels:
            raise InvalidInputError(
                phrase("There is no level below this."), field="parent", grid=parent
            )
        if not scene.children(parent) and set(scene.cells_of(parent)) - set(cells):
            message = phrase(
                "The grid %(parent)s holds cells itself: split it with 'below'.", parent=parent
            )
            raise InvalidInputError(message, field="parent", grid=parent)
    return Change(dict.fromkeys(cells, -2), {-2: GridFacts(level, parent, name, kind)})


def _reparent(args: Args, scene: Scene) -> Change:
    grid, parent = number(args, "grid"), number(args, "parent")
    facts, above = _not_reserve(scene, grid), _not_reserve(scene, parent)
    if facts.parent is None or above.level != facts.level - 1:
        message = phrase(
            "The grid %(parent)s is not of the level above %(grid)s.", parent=parent, grid=grid
        )
        raise InvalidInputError(message, field="parent", grid=parent)
    if not scene.children(parent):
        message = phrase(
            "The grid %(parent)s holds cells itself: split it with 'below' first.", parent=parent
        )
        raise InvalidInputError(message, field="parent", grid=parent)
    return Change({}, {grid: replace(facts, parent=parent)})


def _rename(args: Args, scene: Scene) -> Change:
    grid = number(args, "grid")
    return Change({}, {grid: replace(scene.live(grid), name=text_of(args, "name"))})


def _set_kind(args: Args, scene: Scene) -> Change:
    grid = number(args, "grid")
    return Change({}, {grid: replace(_not_reserve(scene, grid), kind=_kind(args))})


def _end(args: Args, scene: Scene) -> Change:
    grid = number(args, "grid")
    _not_reserve(scene, grid)
    gone = scene.below(grid)
    cells = [cell for cell, owner in scene.owners.items() if owner in set(gone)]
    into, made = _reserve(scene)
    if args.get("into") is not None:
        into, made = number(args, "into"), {}
        scene.leaf(into)
    if into in gone:
        raise InvalidInputError(
            phrase("The cells go to a grid that stays."), field="into", grid=into
        )
    ended = {one: replace(scene.grids[one], ended=True) for one in gone}
    return Change(dict.fromkeys(cells, into), {**ended, **(made if cells else {})})


def _mark(args: Args, scene: Scene) -> Change:
    grid, parts = number(args, "grid"), args.get("parts")
    if not isinstance(parts, int) or isinstance(parts, bool) or not 1 <= parts <= 100:
        raise InvalidInputError(phrase("'parts' is a number from 1 to 100."), field="parts")
    reason = text_of(args, "reason") if parts > 1 else None
    facts = _not_reserve(scene, grid)
    return Change({}, {grid: replace(facts, parts=parts, reason=reason)})


def _recode(args: Args, scene: Scene) -> Change:
    """Let the number of a grid come from another range: a village becomes a community."""
    grid = number(args, "grid")
    facts = _not_reserve(scene, grid)
    told: dict[str, Any] = {"code_range": text_of(args, "code_range")}
    if args.get("name") is not None:
        told["name"] = text_of(args, "name")
    if args.get("kind") is not None:
        told["kind"] = _kind(args)
    return Change({}, {grid: replace(facts, **told)})


EDITS: Final[Mapping[str, Callable[[Args, Scene], Change]]] = {
    "move": _move,
    "merge": _merge,
    "split": _split,
    "split_by_line": _split_by_line,
    "drag": _drag,
    "draw": _draw,
    "reparent": _reparent,
    "rename": _rename,
    "set_kind": _set_kind,
    "end": _end,
    "release": _release,
    "mark": _mark,
    "recode": _recode,
}
FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "move": frozenset({"cells", "into"}),
    "merge": frozenset({"grids", "into"}),
    "split": frozenset({"grid", "parts", "names", "keep", "below", "kind"}),
    "split_by_line": frozenset({"grid", "line", "exact", "names", "keep", "below", "kind"}),
    "drag": frozenset({"grids", "line", "exact"}),
    "draw": frozenset({"cells", "parent", "name", "kind"}),
    "reparent": frozenset({"grid", "parent"}),
    "rename": frozenset({"grid", "name"}),
    "set_kind": frozenset({"grid", "kind"}),
    "end": frozenset({"grid", "into"}),
    "release": frozenset({"cells"}),
    "mark": frozenset({"grid", "parts", "reason"}),
    "recode": frozenset({"grid", "code_range", "name", "kind"}),
}
SHAPED: Final = frozenset({"split_by_line", "drag"})
"""Edits along a line: they need the shapes of the cells, and may cut them."""
FILLED: Final = frozenset({"merge", "split", "draw", "end"}) | SHAPED
"""Edits that need the cells of the grids they name."""
DEEP: Final = frozenset({"end"})
"""Edits that need all that lies below the grids they name."""
