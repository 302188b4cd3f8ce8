"""Forms of the figures of the four maps: rates never without numerator and denominator."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import Field

from api.schemas import AsOf, Figure, Form
from geo.density import LEAST_CASES, LEAST_HOUSEHOLDS
from geo.service import Requests

Item = TypeVar("Item", bound=Form)


class GridFigures(Form):
    """Head of a row of figures: a grid, or the whole city with level 0."""

    grid: int = Field(description="0 in the row of the city.")
    code: str | None
    name: str
    level: int
    kind: str
    parent: int | None
    parent_name: str | None


class CoverageItem(GridFigures):
    """Households near an open station, as the crow flies."""

    households: Figure
    within_500_m: Figure
    within_1000_m: Figure
    share_500_m: float | None = Field(description="within_500_m / households")
    share_1000_m: float | None = Field(description="within_1000_m / households")
    mean_distance_m: int | None = Field(description="Of a household to the nearest open station.")


class RolePosts(Form):
    """Posts of one role."""

    role: str
    posts: int
    vacant: int


class PatrolItem(GridFigures):
    """Posts in a grid and in all grids below it, on the day."""

    posts: int
    filled: int
    vacant: int
    full_time: int = Field(description="Filled posts that are full-time.")
    part_time: int = Field(description="Filled posts that are part-time.")
    workers: int = Field(description="Different people who hold them.")
    roles: list[RolePosts]
    state: Literal["staffed", "part", "vacant", "none"]


class StationsItem(GridFigures):
    """Open stations beside the households and the ground that they serve."""

    stations: int
    households: Figure
    area_km2: float
    per_10000_households: float | None = Field(description="stations / households x 10,000")
    per_km2: float | None = Field(description="stations / area_km2")


class Figures(Form, Generic[Item]):
    """One row for each grid of the level, and the city's."""

    items: list[Item]
    total: Item
    as_of: AsOf


class Coverage(Figures[CoverageItem]):
    """How many households reach a station."""

    stations: int = Field(description="Open stations that were counted.")
    limits_m: list[int]


class Patrol(Figures[PatrolItem]):
    """Who is posted where."""

    states: dict[str, int] = Field(description="Number of grids in each state.")
    role_codes: list[str]


class PlacingForm(Form):
    """Where metres lie on the globe.

    With u = (x - x0) / reach_m and v = (y - y0) / reach_m, a longitude is the sum of `lon` times
    1, u, v, uu, uv, vv, uuu, uuv, uvv, vvv; a latitude likewise.
    """

    x0: float
    y0: float
    reach_m: float
    lon: list[float]
    lat: list[float]


class SquareColumnsForm(Form):
    """Squares of the metre CRS: a corner is (column, row) times the side."""

    side_m: int
    placing: PlacingForm
    column: list[int]
    row: list[int]


class CoverageSquares(Form):
    """Households of squares by distance; lists are as long as the squares' columns."""

    squares: SquareColumnsForm
    households: list[list[Figure]] = Field(description="One list for each band, nearest first.")
    band: list[int] = Field(description="Band of most households; of two alike the farther one.")
    limits_m: list[int]
    stations: int
    as_of: AsOf


class CategoryCases(Form):
    """A main category with its cases in the period."""

    category: str
    name: str
    name_en: str
    cases: int


class RequestSquares(Form):
    """Requests by squares and months; lists are as long as the squares' columns."""

    squares: SquareColumnsForm
    months: list[str]
    households: list[Figure]
    cases: list[list[int]] = Field(description="One list for each month.")
    area: list[int] = Field(description="Grid of most households of the square; 0 where none live.")
    areas: dict[int, str]
    category: str | None
    categories: list[CategoryCases]
    left_out: dict[str, int] = Field(description="Cases of the period on no square, by reason.")
    least_cases: int = Field(description="Below it a square shows no figure.")
    least_households: int = Field(description="Below it a square shows no rate.")
    as_of: AsOf

    @classmethod
    def of(cls, found: Requests, as_of: AsOf) -> RequestSquares:
        """Return the answer that the map draws."""
        squares = found.squares
        return cls(
            squares=SquareColumnsForm.model_validate(squares, from_attributes=True),
            months=[f"{month:%Y-%m}" for month in found.months],
            households=found.households,
            cases=found.cases,
            area=found.area,
            areas={grid: found.areas[grid] for grid in set(found.area) if grid in found.areas},
            category=found.filter.category,
            categories=[CategoryCases.model_validate(row) for row in found.categories],
            left_out=found.left_out,
            least_cases=LEAST_CASES,
            least_households=LEAST_HOUSEHOLDS,
            as_of=as_of,
        )
