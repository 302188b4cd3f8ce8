"""The office for programs: names and zooms of levels, kinds of stations, categories."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, AskedDep
from api.deps import (
    AdministratorDep,
    CityDep,
    SessionDep,
)
from api.errors import responses_for
from api.routes.office import PROTECTED, CodePath, Line, Wish
from api.schemas import Form
from geo import service
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    NotFoundError,
)

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["office"], dependencies=[KNOWN_FIELDS])


class LevelChange(Wish):
    """What a level is called and at which zooms it is shown."""

    name: Line
    name_en: Line
    zoom_min: Annotated[int, Field(ge=0, le=30)]
    zoom_max: Annotated[int, Field(ge=0, le=30)]


class StationKindItem(Form):
    """A kind of stations."""

    kind: str
    name: str
    name_en: str
    serves: str


class StationKinds(Form):
    """All kinds of stations."""

    items: list[StationKindItem]


class StationKindChange(Wish):
    """What a kind of stations is called and whom it serves; `new` adds it."""

    name: Line
    name_en: Line
    serves: Line
    new: bool = False


class CategoryItem(Form):
    """A category of issues."""

    category: str
    parent: str | None
    name: str
    name_en: str
    root: str


class Categories(Form):
    """All categories of issues."""

    items: list[CategoryItem]


class CategoryChange(Wish):
    """What a category is called; `new` adds it below `parent`."""

    name: Line
    name_en: Line
    parent: Line | None = None
    new: bool = False


class LevelItem(Form):
    """A level of the hierarchy, 1 being the top."""

    level: int
    code: str
    name: str
    name_en: str
    zoom_min: int
    zoom_max: int
    count: int


class Levels(Form):
    """All levels of the city."""

    items: list[LevelItem]


@router.get("/levels", responses=responses_for(CityNotFoundError))
def list_levels(session: SessionDep, asked: AskedDep) -> Levels:
    """List the city's levels with the number of grids at each."""
    _, card = service.show_city(session, asked)
    return Levels(items=[LevelItem.model_validate(row) for row in card["levels"]])


@router.patch(
    "/levels/{level}", status_code=204, responses=responses_for(*PROTECTED, NotFoundError)
)
def change_level(
    session: SessionDep,
    viewer: AdministratorDep,
    level: Annotated[int, Path(ge=1, le=6)],
    wish: LevelChange,
) -> Response:
    """Rename a level.

    Raises
    ------
    NotFoundError
        If the city has no such level: 404.
    """
    service.kinds.change_level(session, viewer, level, **wish.model_dump())
    return Response(status_code=204)


@router.get("/station-kinds", responses=responses_for(CityNotFoundError))
def list_station_kinds(session: SessionDep, city_id: CityDep) -> StationKinds:
    """List the kinds of stations."""
    found = service.kinds.station_kinds(session, city_id)
    return StationKinds(items=[StationKindItem.model_validate(row) for row in found])


@router.patch(
    "/station-kinds/{kind}",
    status_code=204,
    responses=responses_for(*PROTECTED, NotFoundError, ConflictError),
)
def change_station_kind(
    session: SessionDep, viewer: AdministratorDep, kind: CodePath, wish: StationKindChange
) -> Response:
    """Add or rename a kind of stations.

    Raises
    ------
    NotFoundError
        If there is nothing to rename: 404.
    ConflictError
        If the code is taken: 409.
    """
    service.kinds.put_station_kind(session, viewer, kind, **wish.model_dump())
    return Response(status_code=204)


@router.get("/categories", responses=responses_for(CityNotFoundError))
def list_categories(session: SessionDep, city_id: CityDep) -> Categories:
    """List the categories of issues."""
    found = service.kinds.categories(session, city_id)
    return Categories(items=[CategoryItem.model_validate(row) for row in found])


@router.patch(
    "/categories/{category}",
    status_code=204,
    responses=responses_for(*PROTECTED, NotFoundError, ConflictError),
)
def change_category(
    session: SessionDep, viewer: AdministratorDep, category: CodePath, wish: CategoryChange
) -> Response:
    """Add or rename a category of issues.

    Raises
    ------
    NotFoundError
        If there is nothing to rename: 404.
    ConflictError
        If the code is taken: 409.
    """
    service.kinds.put_category(session, viewer, category, **wish.model_dump())
    return Response(status_code=204)
