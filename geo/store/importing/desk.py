"""What pages ask of deliveries: each demands its right; the work itself is the worker's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import InvalidInputError, NotFoundError
from geo.importing.wishes import wish_from_data
from geo.saying import phrase
from geo.store import rights
from geo.store.importing import deliveries, jobs
from geo.store.importing.deliveries import Limits, Received
from geo.tables import Delivery
from geo.terms import DeliveryState, JobStep

PARTS: Final = (deliveries.SHAPES, deliveries.DEFECTS, deliveries.DIFFERENCE)
_FROM: Final[Mapping[JobStep, tuple[DeliveryState, ...]]] = {
    JobStep.LOOK: (DeliveryState.RECEIVED,),
    JobStep.PREPARE: (
        DeliveryState.UNDERSTOOD,
        DeliveryState.PREPARED,
        DeliveryState.REFUSED,
    ),
    JobStep.IMPORT: (DeliveryState.PREPARED,),
    JobStep.UNDO: (DeliveryState.IMPORTED,),
    JobStep.DROP: (
        DeliveryState.RECEIVED,
        DeliveryState.UNDERSTOOD,
        DeliveryState.PREPARED,
        DeliveryState.REFUSED,
    ),
}
"""Where a delivery has to stand for each step."""


def admit(session: Session, viewer: Viewer, limits: Limits) -> int:
    """Return the city into which the viewer may deliver one more file.

    Raises
    ------
    ForbiddenError
        If the viewer may not import.
    TooManyAttemptsError
        If too many files wait, or came within the hour.
    """
    return deliveries.demand_room(session, viewer, limits)


def receive(session: Session, viewer: Viewer, file: Received, *, whole: bool) -> dict[str, Any]:
    """Enter a file that lies in the state folder; when it is whole, it is looked at.

    Raises
    ------
    ForbiddenError
        If the viewer may not import.
    """
    city_id = rights.demand(viewer, rights.OFFICE)
    number = deliveries.receive(session, city_id, file, viewer.user_id, look=whole)
    return deliveries.card(session, city_id, number)


def folder_for_part(session: Session, viewer: Viewer, delivery_id: int) -> str:
    """Return the folder of a delivery whose other parts are still to come.

    Raises
    ------
    ConflictError
        If it is complete already.
    NotFoundError
        If there is no such delivery.
    """
    row = _own(session, viewer, delivery_id)
    deliveries.demand_state(row, DeliveryState.RECEIVED)
    if row.folder is None or jobs.latest(session, row.city_id, [delivery_id]):
        raise InvalidInputError(phrase("This file is complete."), field="name", reason="complete")
    return row.folder


def list_imports(
    session: Session, viewer: Viewer, *, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the deliveries of the viewer's city, the newest first."""
    city_id = rights.demand(viewer, rights.OFFICE)
    return deliveries.listed(session, city_id, before=before, limit=limit)


def show_import(session: Session, viewer: Viewer, delivery_id: int) -> dict[str, Any]:
    """Return all that is known of a delivery but its large parts.

    Raises
    ------
    NotFoundError
        If there is no such delivery.
    """
    city_id = rights.demand(viewer, rights.OFFICE)
    return deliveries.card(session, city_id, delivery_id)


def show_part(session: Session, viewer: Viewer, delivery_id: int, part: str) -> Any:
    """Return the shapes, the defects or the difference of a delivery.

    Raises
    ------
    NotFoundError
        If there is no such delivery, or it is not prepared yet.
    """
    row = _own(session, viewer, delivery_id)
    return deliveries.part(session, row.city_id, delivery_id, part)


def ask(
    session: Session,
    viewer: Viewer,
    delivery_id: int,
    step: JobStep,
    args: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Ask the worker for a step with a delivery; return its card.

    Raises
    ------
    ConflictError
        If work on it is under way, or the step does not follow on where it stands.
    InvalidInputError
        If the wish cannot be meant.
    NotFoundError
        If there is no such delivery.
    """
    row = _own(session, viewer, delivery_id)
    deliveries.demand_state(row, *_FROM[step])
    if row.state == DeliveryState.REFUSED.value and row.folder is None:
        raise NotFoundError(phrase("The file was deleted; deliver it again."))
    given = dict(args or {})
    if step is JobStep.PREPARE:
        given = wish_from_data(given).as_data()
    jobs.queue(session, row.city_id, delivery_id, step, given, viewer.user_id)
    return deliveries.card(session, row.city_id, delivery_id)


def cancel(session: Session, viewer: Viewer, delivery_id: int) -> dict[str, Any]:
    """Ask the worker to leave off; return the delivery's card.

    Raises
    ------
    NotFoundError
        If there is no such delivery, or nothing is under way.
    """
    row = _own(session, viewer, delivery_id)
    jobs.cancel(session, row.city_id, delivery_id)
    return deliveries.card(session, row.city_id, delivery_id)


def _own(session: Session, viewer: Viewer, delivery_id: int) -> Delivery:
    return deliveries.get(session, rights.demand(viewer, rights.OFFICE), delivery_id)
