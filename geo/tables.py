"""The schema: cells, grids, nets as runs, plans, and what is located in them.

Geometry is EPSG:4326 (lon, lat); lengths and areas beside it are metres and square metres of the
city's metre CRS. `city_id` stands first in every key. A run is valid for the nets
``from_seq <= seq < to_seq``; `to_seq` is `FOREVER` while the run is open.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

from geoalchemy2 import Geometry
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from geo.terms import (
    FOREVER,
    GridKind,
    IssueState,
    PlanState,
    Role,
    SetAside,
    StationStage,
)

SRID = 4326

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

BigInt = Annotated[int, mapped_column(BigInteger)]
SmallInt = Annotated[int, mapped_column(SmallInteger)]
CityKey = Annotated[int, mapped_column(SmallInteger, primary_key=True, autoincrement=False)]
IdKey = Annotated[int, mapped_column(BigInteger, primary_key=True, autoincrement=False)]
SeqKey = Annotated[int, mapped_column(Integer, primary_key=True, autoincrement=False)]
TextKey = Annotated[str, mapped_column(Text, primary_key=True)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Now = Annotated[
    datetime,
    mapped_column(DateTime(timezone=True), server_default=func.statement_timestamp()),
]
Json = Annotated[dict[str, Any], mapped_column(JSONB, server_default=text("'{}'::jsonb"))]
Ids = Annotated[list[int], mapped_column(ARRAY(BigInteger), server_default=text("'{}'::bigint[]"))]


class Base(DeclarativeBase):
    """Common metadata with named constraints."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text, date: Date, datetime: DateTime(timezone=True)}


def _shape(kind: str) -> Any:
    """Return a geometry column whose GiST index is declared by name in `__table_args__`."""
    return mapped_column(Geometry(kind, srid=SRID, spatial_index=False), nullable=False)


def _gist(table: str, column: str) -> Index:
    return Index(f"ix_{table}_{column}", column, postgresql_using="gist")


def _to(target: str, *columns: str) -> ForeignKeyConstraint:
    """Return a foreign key on ``(city_id, columns...)`` of the table `target`.

    The names of the columns in `target` are its own primary key's.
    """
    own = {"city": [], "net": ["seq"]}.get(target, [f"{target}_id"])
    keys = {"station_kind": ["kind"], "category": ["category"], "vintage": ["vintage"]}
    remote = ["city_id", *keys.get(target, own)]
    return ForeignKeyConstraint(
        ["city_id", *columns],
        [f"{target}.{name}" for name in remote],
        ondelete="CASCADE" if target == "city" else None,
    )


def _one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Areas:
    """The owner's ancestors by level as plain columns: what permissions stand on."""

    area_1: Mapped[int | None] = mapped_column(BigInteger)
    area_2: Mapped[int | None] = mapped_column(BigInteger)
    area_3: Mapped[int | None] = mapped_column(BigInteger)
    area_4: Mapped[int | None] = mapped_column(BigInteger)
    area_5: Mapped[int | None] = mapped_column(BigInteger)
    area_6: Mapped[int | None] = mapped_column(BigInteger)


# ---- the city -------------------------------------------------------------------------------


class City(Base):
    """A city with its country profile and its metre CRS."""

    __tablename__ = "city"
    __table_args__ = (
        UniqueConstraint("slug"),
        CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug"),
    )

    city_id: Mapped[int] = mapped_column(SmallInteger, Identity(always=True), primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    profile: Mapped[str]
    timezone: Mapped[str]
    metre_srid: Mapped[int]
    origin_x: Mapped[float]
    origin_y: Mapped[float]
    county_code: Mapped[str]
    code_scheme: Mapped[str]
    demo: Mapped[bool] = mapped_column(server_default=text("false"))
    outline: Mapped[Any] = mapped_column(
        Geometry("MULTIPOLYGON", srid=SRID, spatial_index=False), nullable=True
    )
    created_at: Mapped[Now]


class Level(Base):
    """A level of the hierarchy, 1 being the one below the city."""

    __tablename__ = "level"
    __table_args__ = (
        _to("city"),
        CheckConstraint("level BETWEEN 1 AND 6", name="depth"),
    )

    city_id: Mapped[CityKey]
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    code: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str]
    zoom_min: Mapped[SmallInt]
    zoom_max: Mapped[SmallInt]


class Vintage(Base):
    """A dated collection of cell values."""

    __tablename__ = "vintage"
    __table_args__ = (_to("city"),)

    city_id: Mapped[CityKey]
    vintage: Mapped[TextKey]
    taken_on: Mapped[date]
    seasonal: Mapped[bool] = mapped_column(server_default=text("false"))
    estimated: Mapped[bool] = mapped_column(server_default=text("false"))
    name: Mapped[str]


# ---- cells and grids --------------------------------------------------------------------------


class Cell(Base):
    """The smallest piece of ground that never needs to be shared."""

    __tablename__ = "cell"
    __table_args__ = (_to("city"), _gist("cell", "geom"))

    city_id: Mapped[CityKey]
    cell_id: Mapped[IdKey]
    geom: Mapped[Any] = _shape("POLYGON")
    area_m2: Mapped[float]
    retired_by_cut: Mapped[BigInt | None]


class CellLineage(Base):
    """Which pieces an old cell was cut into."""

    __tablename__ = "cell_lineage"
    __table_args__ = (
        _to("cell", "cell_id"),
        ForeignKeyConstraint(["city_id", "piece_id"], ["cell.city_id", "cell.cell_id"]),
    )

    city_id: Mapped[CityKey]
    cell_id: Mapped[IdKey]
    piece_id: Mapped[IdKey]


class CellValue(Base):
    """A dated figure of a cell: households and the like."""

    __tablename__ = "cell_value"
    __table_args__ = (_to("cell", "cell_id"), _to("vintage", "vintage"))

    city_id: Mapped[CityKey]
    vintage: Mapped[TextKey]
    measure: Mapped[TextKey]
    cell_id: Mapped[IdKey]
    value: Mapped[float]


class Grid(Base):
    """A grid's identity, for ever; all else about it is dated."""

    __tablename__ = "grid"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "level"], ["level.city_id", "level.level"], ondelete="CASCADE"
        ),
    )

    city_id: Mapped[CityKey]
    grid_id: Mapped[IdKey]
    level: Mapped[SmallInt]


class GridCode(Base):
    """A code as given once; the key forbids giving it to another grid."""

    __tablename__ = "grid_code"
    __table_args__ = (
        _to("grid", "grid_id"),
        _to("net", "from_seq"),
        Index("ix_grid_code_grid", "city_id", "grid_id"),
    )

    city_id: Mapped[CityKey]
    scheme: Mapped[TextKey]
    code: Mapped[TextKey]
    grid_id: Mapped[BigInt]
    from_seq: Mapped[int]


# ---- nets -------------------------------------------------------------------------------------


class Net(Base):
    """A published net; append only, cancelled before its date at most."""

    __tablename__ = "net"
    __table_args__ = (
        _to("city"),
        CheckConstraint("seq >= 1", name="seq"),
        Index(
            "uq_net_effective_from",
            "city_id",
            "effective_from",
            unique=True,
            postgresql_where=text("cancelled_at IS NULL"),
        ),
    )

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    plan_id: Mapped[BigInt | None]
    effective_from: Mapped[date]
    decided_at: Mapped[Now]
    cancelled_at: Mapped[datetime | None]
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class NetCell(Base):
    """Which leaf grid a cell belongs to, as a run of nets."""

    __tablename__ = "net_cell"
    __table_args__ = (
        _to("cell", "cell_id"),
        _to("grid", "grid_id"),
        _to("net", "from_seq"),
        CheckConstraint("from_seq < to_seq", name="run"),
        ExcludeConstraint(
            ("city_id", "="),
            ("cell_id", "="),
            (text("int4range(from_seq, to_seq)"), "&&"),
            name="ex_net_cell_run",
            using="gist",
        ),
        Index("ix_net_cell_grid", "city_id", "grid_id", "to_seq"),
    )

    city_id: Mapped[CityKey]
    cell_id: Mapped[IdKey]
    from_seq: Mapped[SeqKey]
    to_seq: Mapped[int] = mapped_column(server_default=text(str(FOREVER)))
    grid_id: Mapped[BigInt]


class NetGrid(Areas, Base):
    """Name, parent, kind, code and boundary of a grid, as a run of nets."""

    __tablename__ = "net_grid"
    __table_args__ = (
        _to("grid", "grid_id"),
        ForeignKeyConstraint(["city_id", "parent_id"], ["grid.city_id", "grid.grid_id"]),
        _to("net", "from_seq"),
        _one_of("kind", GridKind),
        CheckConstraint("from_seq < to_seq", name="run"),
        ExcludeConstraint(
            ("city_id", "="),
            ("grid_id", "="),
            (text("int4range(from_seq, to_seq)"), "&&"),
            name="ex_net_grid_run",
            using="gist",
        ),
        ExcludeConstraint(
            ("city_id", "="),
            ("code", "="),
            (text("int4range(from_seq, to_seq)"), "&&"),
            name="ex_net_grid_code",
            using="gist",
        ),
        Index("ix_net_grid_level", "city_id", "level", "from_seq"),
        Index("ix_net_grid_parent", "city_id", "parent_id"),
        Index(
            "ix_net_grid_name",
            "name",
            postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops"},
        ),
        _gist("net_grid", "boundary"),
    )

    city_id: Mapped[CityKey]
    grid_id: Mapped[IdKey]
    from_seq: Mapped[SeqKey]
    to_seq: Mapped[int] = mapped_column(server_default=text(str(FOREVER)))
    level: Mapped[SmallInt]
    parent_id: Mapped[BigInt | None]
    name: Mapped[str]
    kind: Mapped[str]
    code: Mapped[str | None]
    colour: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    area_m2: Mapped[float]
    boundary: Mapped[Any] = _shape("MULTIPOLYGON")
    label_point: Mapped[Any] = _shape("POINT")


class NetException(Base):
    """A grid in several parts that a net inherited or its planner marked by name."""

    __tablename__ = "net_exception"
    __table_args__ = (_to("grid", "grid_id"), _to("net", "from_seq"))

    city_id: Mapped[CityKey]
    grid_id: Mapped[IdKey]
    from_seq: Mapped[SeqKey]
    parts: Mapped[int]
    reason: Mapped[str]


class Handover(Base):
    """What changes hands when a net begins."""

    __tablename__ = "handover"
    __table_args__ = (_to("net", "seq"),)

    city_id: Mapped[CityKey]
    seq: Mapped[SeqKey]
    kind: Mapped[TextKey]
    object_id: Mapped[IdKey]
    from_grid: Mapped[BigInt | None]
    to_grid: Mapped[BigInt | None]
    reason: Mapped[str]
    applied_at: Mapped[datetime | None]


class SourceNet(Base):
    """A delivered set of polygons, kept as geometry, code and name only."""

    __tablename__ = "source_net"
    __table_args__ = (_to("city"),)

    city_id: Mapped[CityKey]
    source_net_id: Mapped[IdKey]
    name: Mapped[str]
    level: Mapped[SmallInt | None]
    report: Mapped[Json]
    created_at: Mapped[Now]


class SourceGrid(Base):
    """One delivered polygon and how far the net's grid departs from it."""

    __tablename__ = "source_grid"
    __table_args__ = (_to("source_net", "source_net_id"), _gist("source_grid", "geom"))

    city_id: Mapped[CityKey]
    source_net_id: Mapped[IdKey]
    code: Mapped[TextKey]
    name: Mapped[str]
    grid_id: Mapped[BigInt | None]
    residual_m2: Mapped[float | None]
    residual_households: Mapped[float | None]
    geom: Mapped[Any] = _shape("MULTIPOLYGON")


# ---- plans ------------------------------------------------------------------------------------


class Plan(Base):
    """A draft of the next net; seen by its members."""

    __tablename__ = "plan"
    __table_args__ = (
        _to("city"),
        _one_of("state", PlanState),
        CheckConstraint("version >= 0", name="version"),
        CheckConstraint(
            "state NOT IN ('approved', 'published') OR approved_hash IS NOT NULL",
            name="approval",
        ),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'draft'"))
    base_seq: Mapped[int | None]
    version: Mapped[int] = mapped_column(server_default=text("0"))
    rules: Mapped[Json]
    approved_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    author_id: Mapped[BigInt]
    members: Mapped[Ids]
    created_at: Mapped[Now]


class PlanGrid(Base):
    """A grid in a plan: the rows that an edit locks, in the order of their ids."""

    __tablename__ = "plan_grid"
    __table_args__ = (
        _to("plan", "plan_id"),
        _to("grid", "grid_id"),
        ForeignKeyConstraint(
            ["city_id", "plan_id", "parent_id"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
            deferrable=True,
            initially="DEFERRED",
        ),
        _one_of("kind", GridKind),
        CheckConstraint("parent_id <> grid_id", name="parent"),
        CheckConstraint("version >= 0", name="version"),
        _gist("plan_grid", "boundary"),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    grid_id: Mapped[IdKey]
    level: Mapped[SmallInt]
    parent_id: Mapped[BigInt | None]
    name: Mapped[str]
    kind: Mapped[str]
    ended: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(server_default=text("0"))
    boundary: Mapped[Any] = mapped_column(
        Geometry("MULTIPOLYGON", srid=SRID, spatial_index=False), nullable=True
    )


class PlanCell(Base):
    """A cell that a plan gives to another grid than its base net does."""

    __tablename__ = "plan_cell"
    __table_args__ = (
        _to("cell", "cell_id"),
        ForeignKeyConstraint(
            ["city_id", "plan_id", "grid_id"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
        ),
        Index("ix_plan_cell_grid", "city_id", "plan_id", "grid_id"),
    )

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    cell_id: Mapped[IdKey]
    grid_id: Mapped[BigInt]


class PlanEdit(Base):
    """One edit of a plan with what undoes it."""

    __tablename__ = "plan_edit"
    __table_args__ = (_to("plan", "plan_id"), CheckConstraint("n >= 1", name="n"))

    city_id: Mapped[CityKey]
    plan_id: Mapped[IdKey]
    n: Mapped[SeqKey]
    actor_id: Mapped[BigInt]
    op: Mapped[str]
    args: Mapped[Json]
    inverse: Mapped[Json]
    at: Mapped[Now]


# ---- what stands on the ground ------------------------------------------------------------------


class Building(Base):
    """A building's footprint; households are a count, never persons."""

    __tablename__ = "building"
    __table_args__ = (
        _to("cell", "cell_id"),
        CheckConstraint("households >= 0", name="households"),
        Index("ix_building_cell", "city_id", "cell_id"),
        Index("ix_building_code", "city_id", "code"),
        _gist("building", "footprint"),
    )

    city_id: Mapped[CityKey]
    building_id: Mapped[IdKey]
    cell_id: Mapped[BigInt]
    code: Mapped[str | None]
    name: Mapped[str | None]
    use: Mapped[str]
    floors: Mapped[SmallInt | None]
    entrances: Mapped[SmallInt | None]
    households: Mapped[int | None]
    footprint: Mapped[Any] = _shape("GEOMETRY")


class Compound(Base):
    """A residential estate with its firm and its owners' committee."""

    __tablename__ = "compound"
    __table_args__ = (
        _to("city"),
        ForeignKeyConstraint(
            ["city_id", "firm_id"],
            ["organisation.city_id", "organisation.organisation_id"],
        ),
        ForeignKeyConstraint(
            ["city_id", "committee_id"],
            ["organisation.city_id", "organisation.organisation_id"],
        ),
        _gist("compound", "geom"),
    )

    city_id: Mapped[CityKey]
    compound_id: Mapped[IdKey]
    name: Mapped[str]
    community_type: Mapped[str | None]
    firm_id: Mapped[BigInt | None]
    committee_id: Mapped[BigInt | None]
    geom: Mapped[Any] = _shape("GEOMETRY")


class Street(Base):
    """An edge of the noded street network."""

    __tablename__ = "street"
    __table_args__ = (
        _to("city"),
        Index("ix_street_name", "city_id", "name"),
        _gist("street", "geom"),
    )

    city_id: Mapped[CityKey]
    street_id: Mapped[IdKey]
    name: Mapped[str | None]
    kind: Mapped[str]
    from_node: Mapped[BigInt]
    to_node: Mapped[BigInt]
    length_m: Mapped[float]
    geom: Mapped[Any] = _shape("LINESTRING")


class Barrier(Base):
    """A river, railway, wall or water: cuts neighbourhood, not ground."""

    __tablename__ = "barrier"
    __table_args__ = (_to("city"), _gist("barrier", "geom"))

    city_id: Mapped[CityKey]
    barrier_id: Mapped[IdKey]
    kind: Mapped[str]
    name: Mapped[str | None]
    geom: Mapped[Any] = _shape("GEOMETRY")


class Organisation(Base):
    """A body of any kind in one generic tree, attached to a grid where it belongs to one."""

    __tablename__ = "organisation"
    __table_args__ = (
        _to("city"),
        ForeignKeyConstraint(
            ["city_id", "parent_id"],
            ["organisation.city_id", "organisation.organisation_id"],
        ),
        _to("grid", "grid_id"),
    )

    city_id: Mapped[CityKey]
    organisation_id: Mapped[IdKey]
    name: Mapped[str]
    kind: Mapped[str]
    parent_id: Mapped[BigInt | None]
    grid_id: Mapped[BigInt | None]


class Worker(Base):
    """Somebody who holds posts; the name is shown to strangers with consent only.

    `areas` are the grids of the open posts and all their ancestors.
    """

    __tablename__ = "worker"
    __table_args__ = (_to("city"),)

    city_id: Mapped[CityKey]
    worker_id: Mapped[IdKey]
    name: Mapped[str]
    name_consent: Mapped[bool] = mapped_column(server_default=text("false"))
    areas: Mapped[Ids]


class Post(Areas, Base):
    """A role in a grid, dated; without a worker it is vacant. `valid_to` is excluded."""

    __tablename__ = "post"
    __table_args__ = (
        _to("worker", "worker_id"),
        _to("grid", "grid_id"),
        CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name="dates"),
        Index("ix_post_grid", "city_id", "grid_id"),
        Index("ix_post_worker", "city_id", "worker_id"),
    )

    city_id: Mapped[CityKey]
    post_id: Mapped[IdKey]
    worker_id: Mapped[BigInt | None]
    duty_number: Mapped[str | None]
    grid_id: Mapped[BigInt]
    role: Mapped[str]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    part_time: Mapped[bool] = mapped_column(server_default=text("false"))


class StationKind(Base):
    """A kind of service station; kinds are data."""

    __tablename__ = "station_kind"
    __table_args__ = (_to("city"),)

    city_id: Mapped[CityKey]
    kind: Mapped[TextKey]
    name: Mapped[str]
    name_en: Mapped[str]
    serves: Mapped[str]


class Station(Base):
    """A service station with its life stage."""

    __tablename__ = "station"
    __table_args__ = (
        _to("station_kind", "kind"),
        _to("cell", "cell_id"),
        _to("organisation", "organisation_id"),
        _one_of("stage", StationStage),
        Index("ix_station_cell", "city_id", "cell_id"),
        _gist("station", "geom"),
    )

    city_id: Mapped[CityKey]
    station_id: Mapped[IdKey]
    kind: Mapped[str]
    name: Mapped[str]
    address: Mapped[str | None]
    opening_hours: Mapped[str | None]
    floor_area_m2: Mapped[float | None]
    capacity: Mapped[int | None]
    stage: Mapped[str]
    cell_id: Mapped[BigInt]
    organisation_id: Mapped[BigInt | None]
    geom: Mapped[Any] = _shape("POINT")


class Category(Base):
    """A category of issues in the city's tree."""

    __tablename__ = "category"
    __table_args__ = (
        _to("city"),
        ForeignKeyConstraint(["city_id", "parent"], ["category.city_id", "category.category"]),
        CheckConstraint("root IN ('component', 'event')", name="root"),
    )

    city_id: Mapped[CityKey]
    category: Mapped[TextKey]
    parent: Mapped[str | None]
    name: Mapped[str]
    name_en: Mapped[str]
    root: Mapped[str]


class Issue(Areas, Base):
    """Something reported at a place; set aside rather than deleted."""

    __tablename__ = "issue"
    __table_args__ = (
        _to("cell", "cell_id"),
        _to("grid", "owner_grid"),
        _to("category", "category"),
        _to("organisation", "organisation_id"),
        _one_of("state", IssueState),
        _one_of("set_aside", SetAside),
        Index("ix_issue_reported", "city_id", "reported_at", "issue_id"),
        Index("ix_issue_cell", "city_id", "cell_id"),
        Index("ix_issue_owner", "city_id", "owner_grid", "reported_at"),
        Index("ix_issue_area_1", "city_id", "area_1", "reported_at"),
        Index("ix_issue_area_2", "city_id", "area_2", "reported_at"),
        _gist("issue", "geom"),
    )

    city_id: Mapped[CityKey]
    issue_id: Mapped[IdKey]
    cell_id: Mapped[BigInt]
    owner_grid: Mapped[BigInt]
    category: Mapped[str]
    channel: Mapped[str]
    state: Mapped[str]
    reported_at: Mapped[Moment]
    closed_at: Mapped[datetime | None]
    set_aside: Mapped[str | None]
    organisation_id: Mapped[BigInt | None]
    geom: Mapped[Any] = _shape("POINT")


# ---- accounts and the log -----------------------------------------------------------------------


class UserAccount(Base):
    """A local account; the login is unique without regard to case."""

    __tablename__ = "user_account"
    __table_args__ = (
        _to("city"),
        ForeignKeyConstraint(["city_id", "worker_id"], ["worker.city_id", "worker.worker_id"]),
        _to("organisation", "organisation_id"),
        _one_of("role", Role),
        UniqueConstraint("user_id"),
        Index("uq_user_account_login", text("lower(login)"), unique=True),
    )

    city_id: Mapped[CityKey]
    user_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    login: Mapped[str]
    display_name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    worker_id: Mapped[BigInt | None]
    organisation_id: Mapped[BigInt | None]
    demo: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Now]
    disabled_at: Mapped[datetime | None]


class AreaGrant(Base):
    """A grid, with all below it, in which an account acts."""

    __tablename__ = "area_grant"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "user_id"],
            ["user_account.city_id", "user_account.user_id"],
            ondelete="CASCADE",
        ),
        _to("grid", "grid_id"),
    )

    city_id: Mapped[CityKey]
    user_id: Mapped[IdKey]
    grid_id: Mapped[IdKey]


class UserSession(Base):
    """A sign-in; only the hash of its token is kept."""

    __tablename__ = "user_session"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "user_id"],
            ["user_account.city_id", "user_account.user_id"],
            ondelete="CASCADE",
        ),
        Index("ix_user_session_user", "city_id", "user_id"),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    city_id: Mapped[SmallInt]
    user_id: Mapped[BigInt]
    created_at: Mapped[Now]
    expires_at: Mapped[Moment]
    revoked_at: Mapped[datetime | None]


class SignInAttempt(Base):
    """Failed sign-ins of one account or address, under a hash of its name."""

    __tablename__ = "sign_in_attempt"

    key_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[Moment]


class Audit(Base):
    """Append-only log; each row's hash covers the row before it. City 0 is the installation."""

    __tablename__ = "audit"

    city_id: Mapped[CityKey]
    n: Mapped[IdKey]
    at: Mapped[Moment]
    actor_id: Mapped[BigInt | None]
    actor_role: Mapped[str | None]
    action: Mapped[str]
    object: Mapped[str]
    payload: Mapped[Json]
    prev_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(Base):
    """The last link of each city's log: the row that serialises appending."""

    __tablename__ = "audit_head"

    city_id: Mapped[CityKey]
    n: Mapped[BigInt]
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AppSecret(Base):
    """Secrets of the installation; the application role cannot read them."""

    __tablename__ = "app_secret"

    name: Mapped[TextKey]
    value: Mapped[bytes] = mapped_column(LargeBinary)
