"""Forms of the answers about a city: what programs may rely on."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from geo.service import Moment

Item = TypeVar("Item", bound=BaseModel)
Figure = int | float
BBox = Annotated[
    tuple[float, float, float, float], Field(description="West, south, east, north in degrees.")
]
LonLat = Annotated[tuple[float, float], Field(description="Longitude, latitude in degrees.")]


class Form(BaseModel):
    """Base of all answers: what the code forgot to declare is not sent."""

    model_config = ConfigDict(extra="ignore", frozen=True)


# ---- dates --------------------------------------------------------------------------------------


class NetOnDate(Form):
    """The net that an answer stands on."""

    seq: int
    effective_from: date


class AsOf(Form):
    """The three dates of an answer: period of the facts, net, vintage of the measures."""

    period: tuple[date | None, date | None] | None = Field(
        None, description="First and last day of the facts; null where none was asked for."
    )
    day: date = Field(description="The date that was asked for, in the city's zone.")
    net: NetOnDate
    vintage: str | None
    estimated: bool = Field(
        False, description="Whether the figures of the vintage are an estimate, not a count."
    )

    @classmethod
    def of(cls, at: Moment, period: tuple[date | None, date | None] | None = None) -> AsOf:
        """Return the dates of a moment."""
        net = NetOnDate(seq=at.seq, effective_from=at.effective_from)
        return cls(period=period, day=at.day, net=net, vintage=at.vintage, estimated=at.estimated)


class Listing(Form, Generic[Item]):
    """A page of a list; `next` is the value of `after` for the next page, null on the last."""

    items: list[Item]
    next: str | None
    as_of: AsOf


# ---- GeoJSON (RFC 7946) -------------------------------------------------------------------------


class Geometry(Form):
    """A GeoJSON geometry in degrees (lon, lat), outer rings counter-clockwise."""

    type: Literal[
        "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
        "GeometryCollection",
    ]  # fmt: skip
    coordinates: list[Any] | None = None
    geometries: list[dict[str, Any]] | None = None


class Feature(Form, Generic[Item]):
    """One place with its properties."""

    type: Literal["Feature"] = "Feature"
    id: int
    bbox: BBox | None = None
    geometry: dict[str, Any] | None
    properties: Item

    @model_serializer(mode="wrap")
    def _without_empty_box(self, proceed: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a box that is not known: GeoJSON has no null there."""
        written: dict[str, Any] = proceed(self)
        if self.bbox is None:
            written.pop("bbox")
        return written


class FeatureCollection(Form, Generic[Item]):
    """A page of places; `next` and `as_of` as in a listing."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Feature[Item]]
    next: str | None
    as_of: AsOf


# ---- cities and nets ----------------------------------------------------------------------------


class City(Form):
    """A city."""

    slug: str
    name: str
    name_en: str
    profile: str
    demo: bool
    bbox: BBox | None = Field(description="Null before the first file of grids has come in.")


class Cities(Form):
    """All cities."""

    items: list[City]


class LevelOfCity(Form):
    """A level of the hierarchy with the map zooms at which it is drawn and its grids' number."""

    level: int
    code: str
    name: str
    name_en: str
    zoom_min: int
    zoom_max: int
    count: int
    above: int | None = Field(description="Grids of the level above; null at the top.")
    divided: int = Field(description="How many of those have grids of this level.")


class Net(Form):
    """A published net; `version` begins its content hash."""

    seq: int
    effective_from: date
    decided_at: datetime
    cancelled_at: datetime | None
    live: bool
    version: str
    errata: int = Field(description="How many names and codes are corrected beside it.")


class ErratumItem(Form):
    """What is said beside a net."""

    erratum: int
    seq: int
    grid: int
    field: str
    stated: str
    correct: str
    reason: str
    at: datetime


class Nets(Form):
    """A city's nets, the newest first."""

    items: list[Net]


class VintageOfCity(Form):
    """A dated count of households and other measures."""

    vintage: str
    name: str
    taken_on: date
    seasonal: bool
    estimated: bool


class Word(Form):
    """A code with its name in both languages."""

    code: str
    name: str
    name_en: str


class StationKind(Form):
    """A kind of service station."""

    kind: str
    name: str
    name_en: str
    serves: str


class CityCard(City):
    """A city with what maps and filters need; `net` is null before the first net begins."""

    timezone: str
    metre_srid: int
    centre: LonLat | None
    levels: list[LevelOfCity]
    net: Net | None
    nets: list[Net]
    vintages: list[VintageOfCity]
    measures: list[str]
    station_kinds: list[StationKind]
    layers: list[str] = Field(
        description="Of building, street, water, compound, stations those the city has any of."
    )
    roles: list[Word]
    as_of: AsOf | None


# ---- grids --------------------------------------------------------------------------------------


class GridStep(Form):
    """A grid as it is named on a path."""

    grid: int
    code: str | None
    name: str
    level: int


class Limits(Form):
    """What a grid reaches to in the east, south, west and north (四至)."""

    zh: str
    en: str


class GridItem(GridStep):
    """A grid with figures over all below it: posts of the day, stations that are open."""

    kind: str
    parent: int | None
    colour: int
    path: list[GridStep] = Field(description="From the top down to the grid itself.")
    households: Figure | None = Field(
        description="Null where the city has no count of them, and where it is withheld."
    )
    households_withheld: bool = Field(
        description="Fewer than 50 live here, or beside: told to the city's staff alone."
    )
    buildings: int | None = Field(description="Null where the city has none delivered.")
    cells: int
    area_m2: float
    posts: int
    vacant_posts: int
    stations: int
    limits: Limits | None = Field(description="Null until they are written for this net.")
    bbox: BBox
    label_point: LonLat


class ChildGrid(GridStep):
    """A grid below the one that is shown."""

    kind: str
    households: Figure | None
    households_withheld: bool
    buildings: int | None
    posts: int
    vacant_posts: int
    stations: int


class Children(Form):
    """The grids directly below; at most 200 are listed."""

    count: int
    items: list[ChildGrid]


class NameFrom(Form):
    """What a grid is called from a net on."""

    from_seq: int
    name: str
    code: str | None


class HouseholdsOfVintage(Form):
    """Households of a grid as counted once."""

    vintage: str
    name: str
    seasonal: bool
    estimated: bool
    households: Figure


class PostItem(Form):
    """A role in a grid; the name stands here with consent, or for staff of the area."""

    post: int
    grid: int
    grid_name: str
    grid_code: str | None
    level: int
    role: str
    role_name: str
    role_name_en: str
    duty_number: str | None
    name: str | None
    part_time: bool
    vacant: bool
    valid_from: date
    valid_to: date | None = Field(description="First day on which the post is no more.")


class NearStation(Form):
    """An open station with its distance in metres."""

    station: int
    kind: str
    name: str
    address: str | None
    open_hours: str | None
    stage: str
    grid: int | None
    inside: bool
    distance_m: float
    lon: float
    lat: float


class GridCard(GridStep):
    """A grid beside the map: `posts` and `stations` are listed, their counts stand beside."""

    kind: str
    parent: int | None
    colour: int
    path: list[GridStep]
    households: Figure | None
    buildings: int | None
    cells: int
    area_m2: float
    post_count: int = Field(description="Posts of the grid and of all grids below it.")
    vacant_posts: int
    station_count: int
    limits: Limits | None
    bbox: BBox
    label_point: LonLat
    names: list[NameFrom]
    errata: list[ErratumItem] = Field(description="What its name or code should have been.")
    children: Children
    households_by_vintage: list[HouseholdsOfVintage]
    posts: list[PostItem] = Field(description="Posts in this very grid.")
    stations: list[NearStation] = Field(description="Open stations, those inside first.")
    geometry: Geometry | None = None
    as_of: AsOf


class Where(Form):
    """Who is responsible at a place."""

    lon: float
    lat: float
    cell: int
    grid: GridStep = Field(description="The leaf grid.")
    path: list[GridStep] = Field(description="From the top down to the leaf grid.")
    responsible: list[PostItem] = Field(description="From the leaf grid upward.")
    nearest_stations: list[NearStation]
    as_of: AsOf


class LevelValues(Form):
    """Figures of all grids of a level: one row of numbers for each grid, named by `columns`."""

    columns: list[str]
    values: dict[int, list[Figure | None]]
    as_of: AsOf


# ---- places -------------------------------------------------------------------------------------


class StationItem(Form):
    """A service station; opening hours in the syntax of OpenStreetMap."""

    station: int
    kind: str
    name: str
    address: str | None
    open_hours: str | None
    floor_area_m2: float | None
    capacity: int | None
    stage: str
    grid: int | None = Field(description="The leaf grid it stands in.")
    organisation: int | None
    lon: float
    lat: float


class StreetItem(Form):
    """An edge of the street network."""

    street: int
    name: str | None
    kind: str
    from_node: int
    to_node: int
    length_m: float
    bbox: BBox


class BuildingItem(Form):
    """A building; households only for staff of the area."""

    building: int
    code: str | None
    name: str | None
    use: str
    floors: int | None
    entrances: int | None
    households: int | None
    grid: int | None = Field(description="The leaf grid it stands in.")
    lon: float
    lat: float
    bbox: BBox


class CompoundItem(Form):
    """A residential compound, with its property firm and owners' committee on the day."""

    compound: int
    name: str
    community_type: str | None
    firm: int | None
    firm_name: str | None
    committee: int | None
    committee_name: str | None
    relation: str | None = Field(
        description="larger than the grids in it, equal to one, smaller than its grid, crossing."
    )
    grids: int | None = Field(description="Grids that hold parts of it; null where none counts.")
    households: Figure | None = Field(description="Told to the city's staff alone.")
    grid: int | None = Field(description="The grid that holds most of it.")
    grid_name: str | None
    lon: float
    lat: float
    bbox: BBox


class CompoundPart(GridStep):
    """A grid that holds a part of a compound; shares are of households, else of cells."""

    households: Figure
    share_of_compound: float
    share_of_grid: float | None


class CompoundCard(CompoundItem):
    """A compound with the grids that hold parts of it, the largest part first."""

    parts: list[CompoundPart] = Field(description="Told to the city's staff alone.")
    as_of: AsOf


class OrganisationItem(Form):
    """A body; at home in a grid, a compound, a building or a station, or in none of them."""

    organisation: int
    name: str
    kind: str
    parent: int | None
    grid: int | None
    compound: int | None
    building: int | None
    station: int | None


class Found(Form):
    """One result of a search."""

    type: Literal["grid", "street", "compound", "station", "building"]
    id: int
    name: str
    detail: str | None
    code: str | None
    lon: float
    lat: float
    bbox: BBox


class FoundItems(Form):
    """Results of a search, best first."""

    items: list[Found]
    as_of: AsOf


# ---- people, issues, plans ----------------------------------------------------------------------


class HeldPost(Form):
    """A post as it stands beside its worker."""

    post: int
    grid: int
    role: str
    role_name: str
    role_name_en: str
    duty_number: str | None
    part_time: bool


class WorkerItem(Form):
    """A worker with the posts of the day; for staff alone."""

    worker: int
    name: str
    name_consent: bool
    posts: list[HeldPost]


class IssueItem(Form):
    """An issue; `grid` is the leaf grid of the answer's net that holds the place."""

    issue: int
    category: str
    category_name: str
    category_name_en: str
    channel: str
    state: str
    reported_at: datetime
    closed_at: datetime | None
    set_aside: str | None
    organisation: int | None
    grid: int | None
    grid_name: str | None
    lon: float
    lat: float


class IssueCard(IssueItem):
    """An issue with the path of grids that hold it."""

    path: list[GridStep]
    as_of: AsOf


class PlanItem(Form):
    """A plan that the account is a member of."""

    plan: int
    name: str
    state: str
    base_seq: int | None
    version: int
    created_at: datetime


class Plans(Form):
    """A page of plans, the newest first."""

    items: list[PlanItem]
    next: str | None
