"""Photos of issues: added with a report, covered and released by a desk, shown to all."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID
from api.deps import CityDep, KeepersDep, SessionDep, StaffDep
from api.errors import responses_for
from api.routes.office import PROTECTED, Wish
from api.schemas import Form
from api.strangers import count_photo, count_report
from geo import service
from geo.errors import (
    CityNotFoundError,
    InvalidInputError,
    IssueActError,
    NotFoundError,
    PhotoRefusedError,
    ReportTwiceError,
    TooBusyError,
    TooManyReportsError,
)

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

JPEG = "image/jpeg"
Code = Annotated[str, Path(min_length=4, max_length=16, pattern=r"^[0-9A-Z]+$")]
Secret = Annotated[str, Header(alias="Wangge-Secret", min_length=16, max_length=64)]
IssuePath = Annotated[int, Path(ge=1, le=MOST_ID, description="Number of an issue.")]
PhotoPath = Annotated[int, Path(ge=1, le=MOST_ID, description="Number of a photo.")]
Name = Annotated[
    str,
    Query(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_-]+$",
          description="The phone's own name of the photo: the same again changes nothing."),
]  # fmt: skip
Pixels = Annotated[bytes, Body(media_type="application/octet-stream")]
Thumbnail = Annotated[bool, Query(description="The small one.")]
Version = Annotated[
    str | None, Query(max_length=40, description="Any text: the address differs when it does.")
]
SEEN = (*PROTECTED, NotFoundError)
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {JPEG: {}}, "description": "The photo."}
}


class AddedPhoto(Form):
    """A photo as it is kept: written anew, without metadata."""

    width: int
    height: int
    created: bool = Field(description="False where the same photo was there already.")


class PhotoItem(Form):
    """A photo of an issue."""

    photo: int
    width: int
    height: int
    added_at: datetime
    covered_at: datetime | None
    released_at: datetime | None


class PhotoItems(Form):
    """Photos of an issue, and how many more people said that they see the same."""

    items: list[PhotoItem]
    seconds: int


class BrushStroke(Wish):
    """A stroke of the brush; points are shares of the sides, the radius of the longer one."""

    points: Annotated[
        list[tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]],
        Field(min_length=1, max_length=2000),
    ]
    radius: Annotated[float, Field(gt=0, le=0.5)]


class PhotoChange(Wish):
    """What a desk does with a photo: paint over parts of it, then release it, or hide it again."""

    cover: Annotated[list[BrushStroke], Field(max_length=200)] = Field(default_factory=list)
    released: bool | None = None


class ShownPhoto(Form):
    """A released photo."""

    photo: int
    width: int
    height: int


class ShownPhotos(Form):
    """Released photos."""

    items: list[ShownPhoto]


class NearbyIssue(Form):
    """An open issue that everybody may be shown."""

    code: str
    category: str
    state: str
    reported_at: datetime
    away_m: float
    lon: float
    lat: float


class NearbyIssues(Form):
    """Open issues nearby that may be shown, the nearest first."""

    items: list[NearbyIssue]


class Seconding(Wish):
    """The phone's own random id for saying that it sees the same."""

    client_id: Annotated[str, Field(min_length=16, max_length=64)]


class Seconded(Form):
    """How many said that they see the same."""

    seconds: int


@router.post(
    "/reports/{code}/photos",
    status_code=201,
    dependencies=[Depends(count_photo)],
    responses=responses_for(
        CityNotFoundError,
        NotFoundError,
        PhotoRefusedError,
        ReportTwiceError,
        IssueActError,
        TooManyReportsError,
        TooBusyError,
    ),
)
def add_report_photo(
    response: Response,
    session: SessionDep,
    city: CityDep,
    code: Code,
    secret: Secret,
    name: Name,
    content: Pixels,
) -> AddedPhoto:
    """Add a photo to the own report: 201, or 200 for the same one again.

    Raises
    ------
    PhotoRefusedError
        If it cannot be written anew without its metadata: 422.
    NotFoundError
        If code and secret do not belong together: 404.
    ReportTwiceError
        If another photo came under this name: 409.
    """
    added = service.photos.add_as_reporter(session, code, secret, name, content)
    response.status_code = 201 if added.created else 200
    return AddedPhoto(width=added.width, height=added.height, created=added.created)


@router.get(
    "/reports/{code}/photos",
    responses=responses_for(CityNotFoundError),
)
def list_shown_photos(session: SessionDep, city: CityDep, code: Code) -> ShownPhotos:
    """List the released photos of an issue whose kind may be shown to everybody."""
    rows = service.photos.shown(session, code)
    return ShownPhotos(
        items=[
            ShownPhoto(photo=row["photo_id"], width=row["width"], height=row["height"])
            for row in rows
        ]
    )


@router.get(
    "/reports/{code}/photos/{photo}",
    response_class=Response,
    responses={**responses_for(CityNotFoundError, NotFoundError), **PICTURE},
)
def show_shown_photo(
    session: SessionDep, city: CityDep, code: Code, photo: PhotoPath, thumbnail: Thumbnail = False
) -> Response:
    """Show a released photo.

    Raises
    ------
    NotFoundError
        If no photo of this number is released: 404.
    """
    for row in service.photos.shown(session, code):
        if row["photo_id"] == photo:
            return _picture(bytes(row["thumbnail"] if thumbnail else row["content"]))
    raise NotFoundError("No photo of this number is shown.", photo=photo)


@router.get("/nearby", responses=responses_for(CityNotFoundError))
def list_nearby(
    session: SessionDep,
    city: CityDep,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
    radius_m: Annotated[int, Query(ge=1, le=500)] = 150,
) -> NearbyIssues:
    """List open, accepted issues of kinds that may be shown exactly, so that none comes twice."""
    rows = service.cases.near(session, lon, lat, radius_m)
    told = [{**row, "lon": row["at_lon"], "lat": row["at_lat"]} for row in rows if row["code"]]
    return NearbyIssues(items=[NearbyIssue.model_validate(row) for row in told])


@router.post(
    "/reports/{code}/seconds",
    dependencies=[Depends(count_report)],
    responses=responses_for(
        CityNotFoundError, NotFoundError, InvalidInputError, TooManyReportsError
    ),
)
def second_report(session: SessionDep, city: CityDep, code: Code, wish: Seconding) -> Seconded:
    """Say that one sees the same as an open issue that is shown.

    Raises
    ------
    NotFoundError
        If no open issue of this code is shown: 404.
    """
    return Seconded(seconds=service.photos.second(session, code, wish.client_id))


@router.post(
    "/issues/{issue}/photos",
    status_code=201,
    responses=responses_for(
        *SEEN, PhotoRefusedError, ReportTwiceError, IssueActError, TooBusyError
    ),
)
def add_issue_photo(
    response: Response,
    session: SessionDep,
    viewer: StaffDep,
    issue: IssuePath,
    name: Name,
    content: Pixels,
) -> AddedPhoto:
    """Add a photo of what was found or done: 201, or 200 for the same one again.

    Raises
    ------
    PhotoRefusedError
        If it cannot be written anew without its metadata: 422.
    """
    added = service.photos.add_as_staff(session, viewer, issue, name, content)
    response.status_code = 201 if added.created else 200
    return AddedPhoto(width=added.width, height=added.height, created=added.created)


@router.get("/issues/{issue}/photos", responses=responses_for(*SEEN))
def list_issue_photos(session: SessionDep, viewer: StaffDep, issue: IssuePath) -> PhotoItems:
    """List the photos of an issue, released or not."""
    rows = service.photos.of_issue(session, viewer, issue)
    return PhotoItems(
        items=[PhotoItem.model_validate(row) for row in rows],
        seconds=service.photos.seconds(session, viewer, issue),
    )


@router.get(
    "/issues/{issue}/photos/{photo}",
    response_class=Response,
    responses={**responses_for(*SEEN), **PICTURE},
)
def show_issue_photo(
    session: SessionDep,
    viewer: StaffDep,
    issue: IssuePath,
    photo: PhotoPath,
    thumbnail: Thumbnail = False,
    v: Version = None,
) -> Response:
    """Show a photo to those who may see its issue; looking at a private one is logged."""
    return _picture(service.photos.pixels(session, viewer, issue, photo, thumbnail=thumbnail))


@router.patch(
    "/issues/{issue}/photos/{photo}",
    status_code=204,
    responses=responses_for(*SEEN, PhotoRefusedError, TooBusyError),
)
def change_photo(
    session: SessionDep, viewer: KeepersDep, issue: IssuePath, photo: PhotoPath, wish: PhotoChange
) -> None:
    """Cover parts of a photo for good, release it, or hide it again; the desk's alone.

    Raises
    ------
    PhotoRefusedError
        If a stroke leaves the photo: 422.
    """
    if wish.cover:
        strokes = [service.photos.Stroke(one.points, one.radius) for one in wish.cover]
        service.photos.cover(session, viewer, issue, photo, strokes)
    if wish.released is not None:
        service.photos.release(session, viewer, issue, photo, shown=wish.released)


def _picture(content: bytes) -> Response:
    return Response(content, media_type=JPEG, headers={"Cache-Control": "private, no-store"})
