"""Notices at the doors, for programs: read by everybody, kept by communities."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, GridQuery
from api.deps import KeepersDep, SessionDep, ViewerDep
from api.errors import responses_for
from api.routes.office import PROTECTED, Line, Number, Wish
from api.schemas import AsOf, Form
from geo import service
from geo.errors import CityNotFoundError, NetNotFoundError, NotFoundError
from geo.terms import NoticeKind

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["notices"], dependencies=[KNOWN_FIELDS])

NoticePath = Annotated[int, Path(ge=1, le=MOST_ID)]


class NoticeItem(Form):
    """A notice in force or to come; it counts for its grid and all below it."""

    notice: int
    grid: int
    grid_name: str
    kind: NoticeKind
    title: str
    body: str
    begins_at: datetime
    ends_at: datetime | None
    begun: bool


class Notices(Form):
    """Notices, those under way first."""

    items: list[NoticeItem]
    as_of: AsOf


class NoticeWish(Wish):
    """What a notice says; moments have a zone."""

    kind: NoticeKind
    title: Line
    body: Annotated[str, Field(max_length=2000)] = ""
    begins_at: datetime
    ends_at: datetime | None = None

    def text(self) -> service.notices.NoticeText:
        """Return it as the service takes it."""
        return service.notices.NoticeText(
            self.kind, self.title, self.body, self.begins_at, self.ends_at
        )


class NewNotice(NoticeWish):
    """A notice and the grid that it is for."""

    grid: Number


class MadeNotice(Form):
    """The notice's number."""

    notice: int


@router.get("/notices", responses=responses_for(CityNotFoundError, NetNotFoundError))
def list_notices(
    session: SessionDep, viewer: ViewerDep, asked: AskedDep, grid: GridQuery | None = None
) -> Notices:
    """List the notices in force; communities get those of their areas.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day: 404.
    """
    at = asked.moment(session)
    found = service.notices.listing(session, viewer, at, grid=grid)
    items = [NoticeItem.model_validate(row) for row in found]
    return Notices(items=items, as_of=AsOf.of(at))


@router.post("/notices", status_code=201, responses=responses_for(*PROTECTED, NetNotFoundError))
def create_notice(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: NewNotice
) -> MadeNotice:
    """Put up a notice."""
    at = asked.moment(session)
    return MadeNotice(notice=service.notices.create(session, viewer, at, wish.grid, wish.text()))


@router.patch(
    "/notices/{notice}", status_code=204, responses=responses_for(*PROTECTED, NotFoundError)
)
def change_notice(
    session: SessionDep, viewer: KeepersDep, notice: NoticePath, wish: NoticeWish
) -> Response:
    """Change what a notice says.

    Raises
    ------
    NotFoundError
        If the own area has no such notice: 404.
    """
    service.notices.change(session, viewer, notice, wish.text())
    return Response(status_code=204)


@router.delete(
    "/notices/{notice}", status_code=204, responses=responses_for(*PROTECTED, NotFoundError)
)
def withdraw_notice(session: SessionDep, viewer: KeepersDep, notice: NoticePath) -> Response:
    """Take a notice down.

    Raises
    ------
    NotFoundError
        If the own area has no such notice: 404.
    """
    service.notices.withdraw(session, viewer, notice)
    return Response(status_code=204)
