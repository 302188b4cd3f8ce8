"""The steps of a delivery: looked at, prepared, imported, undone. Pages and commands go this way.

Each step is one transaction of the owner; what fails leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func
from sqlalchemy.orm import Session

from geo.errors import ConflictError, DeliveryError, NotFoundError
from geo.files.facts import Understood, Wish
from geo.importing import datum
from geo.importing.datum import DatumGuess
from geo.importing.wishes import SHAPES, ImportWish, wish_from_data
from geo.saying import phrase
from geo.store import audit, derived, loading
from geo.store.importing import (
    boundaries,
    changes,
    counts,
    deliveries,
    files,
    nets,
    places,
    posts,
    standing,
    things,
)
from geo.store.importing.plans import Plan, Progress, Task
from geo.tables import City, Delivery
from geo.terms import DeliveryKind, DeliveryState

IMPORTED: Final = "import.done"
UNDONE: Final = "import.undone"
MOST_DEFECTS: Final = 2_000


@dataclass(frozen=True)
class Hands:
    """Who opens files: the reader in its jail, so that tests can put another one in its place.

    Attributes
    ----------
    understand : callable
        Path, Wish (where the city is) -> Understood.
    read : callable
        Path, layer, Wish -> Delivered.
    """

    understand: Callable[[Path, Wish], Understood]
    read: Callable[[Path, str | None, Wish], Any]


@dataclass(frozen=True)
class Actor:
    """On whose behalf a step is done; nobody: the operator's."""

    user_id: int | None = None
    role: str | None = None


@dataclass(frozen=True)
class _Kind:
    plan: Callable[[Task], Plan]
    write: Callable[[Task, Plan], dict[str, int]]


KINDS: Final[Mapping[DeliveryKind, _Kind]] = {
    **{kind: _Kind(things.plan, things.write) for kind in standing.BOOKS},
    DeliveryKind.BOUNDARIES: _Kind(boundaries.plan, boundaries.write),
    DeliveryKind.HOUSEHOLDS: _Kind(counts.plan, counts.write),
    DeliveryKind.POSTS: _Kind(posts.plan, posts.write),
    DeliveryKind.ADDRESSES: _Kind(places.plan, places.write),
    DeliveryKind.NETS: _Kind(nets.plan, nets.write),
}


def look(session: Session, row: Delivery, path: Path, hands: Hands) -> dict[str, Any]:
    """Understand a file and keep what was understood; return it.

    Raises
    ------
    ConflictError
        If the file was imported or thrown away.
    DeliveryError
        If it cannot be read at all; it is refused then.
    """
    deliveries.demand_state(row, DeliveryState.RECEIVED, DeliveryState.UNDERSTOOD)
    city = session.get_one(City, row.city_id)
    data = hands.understand(path, Wish(near=standing.middle(session, city))).as_data()
    data["path"] = row.name
    sha256, size = files.digest(path)
    deliveries.change(
        session, row, understood=data, state=DeliveryState.UNDERSTOOD.value, sha256=sha256,
        bytes=size,
    )  # fmt: skip
    return data


def prepare(
    session: Session,
    row: Delivery,
    path: Path,
    wish: ImportWish,
    hands: Hands,
    progress: Progress = lambda what, share: None,
    *,
    guess: bool = False,
) -> Plan:
    """Read a file as wished, say what is wrong with it and what it would change; keep that.

    With `guess`, a datum that neither the file nor the wish says is the one that lies right on the
    city's streets; somebody looks at the pictures of all of them before anything is stored.

    Raises
    ------
    ConflictError
        If the file was not looked at yet, or is imported already.
    DeliveryError
        If it cannot be taken as it is; all reasons are listed.
    """
    ready = (DeliveryState.UNDERSTOOD, DeliveryState.PREPARED, DeliveryState.REFUSED)
    deliveries.demand_state(row, *ready)
    wish, asked = _with_datum(session, row, path, wish, hands) if guess else (wish, None)
    plan = _planned(session, row, path, wish, hands, progress)
    data = wish.as_data()
    report = plan.report()
    if asked is not None:
        report["datum"] = asked.as_data()
    before = deliveries.imported_before(session, row, data)
    if before is not None:
        report["imported_before"] = before
    report["defects"] = len(plan.findings.entries)
    deliveries.keep_part(session, row, deliveries.SHAPES, plan.shapes())
    deliveries.keep_part(session, row, deliveries.DEFECTS, plan.defects(MOST_DEFECTS))
    deliveries.keep_part(session, row, deliveries.DIFFERENCE, plan.changes)
    deliveries.change(
        session, row, wish=data, report=report, kind=wish.kind.value,
        state=DeliveryState.PREPARED.value,
    )  # fmt: skip
    return plan


def _with_datum(
    session: Session, row: Delivery, path: Path, wish: ImportWish, hands: Hands
) -> tuple[ImportWish, DatumGuess | None]:
    """Return the wish with a datum, and what the streets say, where the file does not tell it."""
    layers = (row.understood or {}).get("layers", [])
    layer = next((one for one in layers if wish.layer in (None, one["name"])), None)
    if layer is None or layer["kind"] == "table" or layer["datum"]["sure"]:
        return wish, None
    city = session.get_one(City, row.city_id)
    plain = replace(wish, datum="wgs84")
    read = hands.read(path, wish.layer, _reading(session, city, plain)).frame.geometry.to_numpy()
    asked = datum.guess(read, standing.streets_around(session, city, read))
    return replace(wish, datum=wish.datum or asked.proposed), asked


def _planned(
    session: Session,
    row: Delivery,
    path: Path,
    wish: ImportWish,
    hands: Hands,
    progress: Progress,
) -> Plan:
    return KINDS[wish.kind].plan(_task(session, row, path, wish, hands, progress))


def _task(
    session: Session,
    row: Delivery,
    path: Path,
    wish: ImportWish,
    hands: Hands,
    progress: Progress,
    actor: Actor | None = None,
) -> Task:
    city = session.get_one(City, row.city_id)
    empty = loading.is_empty(session, city.city_id)
    if empty and wish.kind is not DeliveryKind.BOUNDARIES:
        raise DeliveryError(
            [
                phrase(
                    "The city '%(slug)s' has no grids yet: import boundaries first", slug=city.slug
                )
            ]
        )
    progress("read file", 0.0)
    delivered = hands.read(path, wish.layer, _reading(session, city, wish))
    progress("read file", 1.0)
    who = actor or Actor()
    return Task(session, city, row.delivery_id, wish, delivered, who.user_id, who.role, progress)


def _reading(session: Session, city: City, wish: ImportWish) -> Wish:
    return Wish(
        columns=dict(wish.columns),
        encoding=wish.encoding,
        crs=wish.crs,
        datum=wish.datum,
        swap_axes=wish.swap_axes,
        kind=SHAPES.get(wish.kind),
        near=standing.middle(session, city),
    )


def perform(
    session: Session,
    row: Delivery,
    path: Path,
    hands: Hands,
    *,
    choice: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
    progress: Progress = lambda what, share: None,
) -> dict[str, Any]:
    """Import a prepared delivery, as chosen; return what was done.

    Two imports of one city wait for each other. The second time, nothing is done.

    Parameters
    ----------
    choice : mapping, optional
        In place of the wish's own: `choice` (what of the difference), `left_out` (rows).

    Raises
    ------
    ConflictError
        If the delivery is not prepared, or the city changed since.
    DeliveryError
        If the file cannot be taken any more.
    """
    city = session.get_one(City, row.city_id)
    loading.lock(session, city.slug)
    session.refresh(row)
    if row.state == DeliveryState.IMPORTED.value:
        return dict((row.report or {}).get("applied", {}))
    deliveries.demand_state(row, DeliveryState.PREPARED)
    before = dict(row.report or {})
    wish = wish_from_data(dict(row.wish or {}))
    task = _task(session, row, path, wish, hands, progress, actor)
    plan = KINDS[wish.kind].plan(task)
    if plan.digest != before.get("digest"):
        raise ConflictError(
            phrase("The city changed since this was prepared: look at the difference again."),
            reason="city_changed",
        )
    wish = replace(wish, **_chosen(choice))
    task = replace(task, wish=wish)
    if wish.left_out:
        plan = KINDS[wish.kind].plan(task)
    with changes.noted(session, row.delivery_id):
        applied = KINDS[wish.kind].write(task, plan)
    counted = changes.counts(session, row.city_id, row.delivery_id)
    _refreshed(session, city, progress, changed=bool(counted))
    report = before | {"applied": applied, "changed_rows": counted}
    if len(plan.findings.entries) > before.get("defects", 0):  # some are made by the writing alone
        report |= {"defects": len(plan.findings.entries), "counts": plan.findings.counts()}
        deliveries.keep_part(session, row, deliveries.DEFECTS, plan.defects(MOST_DEFECTS))
    deliveries.change(
        session, row, report=report, wish=wish.as_data(), state=DeliveryState.IMPORTED.value,
        imported_at=func.statement_timestamp(), revision=changes.revision(session),
    )  # fmt: skip
    told = {
        "delivery": row.delivery_id, "file": row.name, "sha256": row.sha256.hex(),
        "kind": wish.kind.value, "digest": plan.digest, **applied,
    }  # fmt: skip
    _log(session, city, IMPORTED, row, told, actor)
    return applied


def _chosen(choice: Mapping[str, Any] | None) -> dict[str, Any]:
    if not choice:
        return {}
    known = {name: tuple(choice[name]) for name in ("choice", "left_out") if name in choice}
    return {name: value for name, value in known.items() if value or name == "left_out"}


def undo(
    session: Session,
    row: Delivery,
    *,
    actor: Actor | None = None,
    progress: Progress = lambda what, share: None,
) -> dict[str, int]:
    """Take an import back, row by row; return how many rows of each table.

    Raises
    ------
    ConflictError
        If it was not imported, something builds on it, or it is too late.
    """
    city = session.get_one(City, row.city_id)
    loading.lock(session, city.slug)
    session.refresh(row)
    deliveries.demand_state(row, DeliveryState.IMPORTED)
    if row.revision is None:
        raise ConflictError(phrase("It is too late to undo this import."), reason="too_late")
    progress("take back", 0.0)
    counted = changes.counts(session, row.city_id, row.delivery_id)
    if counted:
        derived.clear(session, row.city_id)
    changes.take_back(session, row.city_id, row.delivery_id)
    progress("take back", 0.7)
    _refreshed(session, city, progress, changed=bool(counted))
    changes.forget(session, row.city_id, row.delivery_id)
    deliveries.change(
        session, row, state=DeliveryState.UNDONE.value, revision=None,
        undone_at=func.statement_timestamp(),
    )  # fmt: skip
    _log(session, city, UNDONE, row, {"delivery": row.delivery_id, "rows": counted}, actor)
    return counted


def drop(session: Session, row: Delivery, root: Path) -> None:
    """Delete a file that is not wanted; its line in the book stays.

    Raises
    ------
    ConflictError
        If it was imported.
    """
    deliveries.demand_state(row, *(DeliveryState(state) for state in deliveries.OPEN))
    deliveries.throw_away(session, row, root, DeliveryState.DROPPED)


def _refreshed(session: Session, city: City, progress: Progress, *, changed: bool) -> None:
    if not changed:
        return
    progress("figures for maps", 0.0)
    derived.refresh(session, city.city_id, city.metre_srid)
    progress("figures for maps", 1.0)


def _log(
    session: Session,
    city: City,
    action: str,
    row: Delivery,
    told: dict[str, Any],
    actor: Actor | None,
) -> None:
    who = actor or Actor()
    audit.append(
        session, city.city_id, action, f"delivery/{row.delivery_id}", told,
        actor_id=who.user_id, actor_role=who.role,
    )  # fmt: skip


def path_of(row: Delivery, root: Path) -> Path:
    """Return where the file of a delivery lies: of several parts, the one with the shapes.

    Raises
    ------
    NotFoundError
        If it was deleted.
    """
    folder = root / row.folder if row.folder else None
    parts = sorted(folder.iterdir()) if folder and folder.is_dir() else []
    if not parts:
        raise NotFoundError(phrase("The file was deleted; deliver it again."))
    return next((part for part in parts if part.suffix.lower() == ".shp"), parts[0])
