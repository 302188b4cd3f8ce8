"""The book of deliveries: received, told, their large parts, and their end."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, NotFoundError, TooManyAttemptsError, WanggeError
from geo.saying import packed, phrase, unpacked
from geo.store import rights
from geo.store.importing import jobs
from geo.tables import Delivery, DeliveryPart, UserAccount
from geo.terms import DeliveryState, JobStep

SHAPES: Final = "shapes"
DEFECTS: Final = "defects"
DIFFERENCE: Final = "difference"
MOST_REASONS: Final = 20
OPEN: Final = (
    DeliveryState.RECEIVED.value,
    DeliveryState.UNDERSTOOD.value,
    DeliveryState.PREPARED.value,
    DeliveryState.REFUSED.value,
)
"""States in which the file, where it is kept, is still needed."""


@dataclass(frozen=True)
class Received:
    """A file that lies in the state folder.

    Attributes
    ----------
    name : str
        As the sender calls it.
    folder : str
        Random name of its folder.
    sha256 : bytes
    size : int
        Bytes.
    """

    name: str
    folder: str
    sha256: bytes
    size: int


@dataclass(frozen=True)
class Limits:
    """How much one account may have delivered.

    Attributes
    ----------
    open_files : int
        Files of the city that wait for somebody.
    hour_files : int
        Files of the account in an hour.
    """

    open_files: int
    hour_files: int


def demand_room(session: Session, viewer: Viewer, limits: Limits) -> int:
    """Return the city into which the viewer may deliver one more file.

    Raises
    ------
    ForbiddenError
        If the viewer may not import.
    TooManyAttemptsError
        If too many files wait, or came within the hour.
    """
    city_id = rights.demand(viewer, rights.OFFICE)
    waits = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.city_id == city_id, Delivery.state.in_(OPEN), Delivery.folder.is_not(None))
    )
    if (waits or 0) >= limits.open_files:
        raise TooManyAttemptsError(
            phrase(
                "%(waits)s files wait to be imported, and at most %(most)s may: "
                "import or delete some first.",
                waits=waits, most=limits.open_files,
            ),
            reason="many_open", most=limits.open_files, retry_after_s=60,
        )  # fmt: skip
    came = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.city_id == city_id,
            Delivery.author_id == viewer.user_id,
            Delivery.received_at > func.statement_timestamp() - timedelta(hours=1),
        )
    )
    if (came or 0) >= limits.hour_files:
        raise TooManyAttemptsError(
            phrase(
                "At most %(most)s files an hour are taken from one account.",
                most=limits.hour_files,
            ),
            reason="many_an_hour", most=limits.hour_files, retry_after_s=600,
        )  # fmt: skip
    return city_id


def receive(
    session: Session, city_id: int, file: Received, author_id: int | None, *, look: bool = True
) -> int:
    """Enter a file into the book and ask for it to be looked at; return its number."""
    values = {
        "city_id": city_id, "name": file.name, "folder": file.folder, "sha256": file.sha256,
        "bytes": file.size, "author_id": author_id,
    }  # fmt: skip
    made = session.execute(insert(Delivery).values(**values).returning(Delivery.delivery_id))
    delivery_id = int(made.scalar_one())
    if look:
        jobs.queue(session, city_id, delivery_id, JobStep.LOOK, author_id=author_id)
    return delivery_id


def get(session: Session, city_id: int, delivery_id: int) -> Delivery:
    """Return a delivery.

    Raises
    ------
    NotFoundError
        If the city has none of this number.
    """
    found = session.get(Delivery, (city_id, delivery_id), populate_existing=True)
    if found is None:
        raise NotFoundError(phrase("There is no import %(n)s.", n=delivery_id))
    return found


def demand_state(row: Delivery, *states: DeliveryState) -> None:
    """Refuse a step that does not follow on where a delivery stands.

    Raises
    ------
    ConflictError
        Saying where it stands.
    """
    if row.state not in states:
        raise ConflictError(
            phrase("Import %(n)s stands elsewhere by now; load the page again.", n=row.delivery_id),
            reason="other_state",
            state=row.state,
        )


def change(session: Session, row: Delivery, **values: Any) -> None:
    """Write what became of a delivery; sentences keep their patterns."""
    for name in ("understood", "report"):
        if name in values:
            values[name] = packed(values[name])
    session.execute(
        update(Delivery)
        .where(Delivery.city_id == row.city_id, Delivery.delivery_id == row.delivery_id)
        .values(**values)
    )
    session.expire(row)


def refuse(session: Session, row: Delivery, error: WanggeError) -> None:
    """Write that a delivery was refused, and why; it may be wished anew while its file is kept."""
    why = error.data.get("defects") or [error.message]
    report = unpacked(row.report or {}) | {"refused": list(why)[:MOST_REASONS]}
    change(session, row, state=DeliveryState.REFUSED.value, report=report)


def keep_part(session: Session, row: Delivery, part: str, content: Any) -> None:
    """Keep a large piece of what is known of a delivery in place of an older one."""
    values = {
        "city_id": row.city_id, "delivery_id": row.delivery_id, "part": part, "content": content,
    }  # fmt: skip
    values["content"] = packed(content)
    put = upsert(DeliveryPart).values(**values)
    keys = ["city_id", "delivery_id", "part"]
    session.execute(
        put.on_conflict_do_update(index_elements=keys, set_={"content": values["content"]})
    )


def part(session: Session, city_id: int, delivery_id: int, name: str) -> Any:
    """Return a large piece of what is known of a delivery.

    Raises
    ------
    NotFoundError
        If it was not made yet.
    """
    found = session.get(DeliveryPart, (city_id, delivery_id, name), populate_existing=True)
    if found is None:
        raise NotFoundError(phrase("Import %(n)s is not prepared yet.", n=delivery_id))
    return found.content


def imported_before(session: Session, row: Delivery, wish: Mapping[str, Any]) -> int | None:
    """Return the number of an import of this very file with this very wish, that still holds."""
    return session.scalar(
        select(Delivery.delivery_id).where(
            Delivery.city_id == row.city_id,
            Delivery.sha256 == row.sha256,
            Delivery.state == DeliveryState.IMPORTED.value,
            Delivery.wish == wish,
            Delivery.delivery_id != row.delivery_id,
        )
    )


def _told() -> Select[Any]:
    return select(
        Delivery.delivery_id.label("delivery"), Delivery.state, Delivery.name, Delivery.kind,
        Delivery.bytes, func.encode(Delivery.sha256, "hex").label("sha256"),
        UserAccount.display_name.label("author"), Delivery.received_at, Delivery.imported_at,
        Delivery.undone_at, Delivery.folder.is_not(None).label("file_kept"),
        Delivery.report["refused"].label("refused"),
    ).outerjoin(
        UserAccount,
        (UserAccount.city_id == Delivery.city_id) & (UserAccount.user_id == Delivery.author_id),
    )  # fmt: skip


def listed(
    session: Session, city_id: int, *, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the deliveries of a city, the newest first, each with its last job."""
    wanted = _told().where(Delivery.city_id == city_id)
    if before is not None:
        wanted = wanted.where(Delivery.delivery_id < before)
    rows = session.execute(wanted.order_by(Delivery.delivery_id.desc()).limit(limit)).mappings()
    found = [dict(row) for row in rows]
    last = jobs.latest(session, city_id, [one["delivery"] for one in found])
    return [one | {"job": last.get(one["delivery"])} for one in found]


def card(session: Session, city_id: int, delivery_id: int) -> dict[str, Any]:
    """Return all that is known of a delivery but its large parts.

    Raises
    ------
    NotFoundError
        If the city has none of this number.
    """
    # The job comes first: one that ends in between is told as running, and is asked for again.
    last = jobs.latest(session, city_id, [delivery_id])
    columns = (Delivery.understood, Delivery.wish, Delivery.report)
    row = (
        session.execute(
            _told()
            .add_columns(*columns)
            .where(Delivery.city_id == city_id, Delivery.delivery_id == delivery_id)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFoundError(phrase("There is no import %(n)s.", n=delivery_id))
    return dict(row) | {"job": last.get(delivery_id)}


def throw_away(session: Session, row: Delivery, root: Path, state: DeliveryState | None) -> None:
    """Delete the bytes of a delivery; what is known of it stays."""
    if row.folder is not None:
        delete_folder(root / row.folder)
    values: dict[str, Any] = {"folder": None}
    if state is not None:
        values["state"] = state.value
        session.execute(
            delete(DeliveryPart).where(
                DeliveryPart.city_id == row.city_id, DeliveryPart.delivery_id == row.delivery_id
            )
        )
    change(session, row, **values)


def delete_folder(folder: Path) -> None:
    """Delete a delivery's folder with the bytes in it."""
    shutil.rmtree(folder, ignore_errors=True)


def outdated(session: Session, keep: timedelta) -> Sequence[Delivery]:
    """Return the deliveries that waited for longer than their files are kept."""
    return session.scalars(
        select(Delivery).where(
            Delivery.state.in_(OPEN),
            or_(Delivery.state != DeliveryState.REFUSED.value, Delivery.folder.is_not(None)),
            Delivery.received_at < func.statement_timestamp() - keep,
        )
    ).all()


def past_undoing(session: Session, keep: timedelta) -> Sequence[Delivery]:
    """Return the imports that have stood for longer than they can be undone."""
    return session.scalars(
        select(Delivery).where(
            Delivery.revision.is_not(None),
            Delivery.imported_at < func.statement_timestamp() - keep,
        )
    ).all()
