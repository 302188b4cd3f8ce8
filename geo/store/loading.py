"""Write a whole city in one go: derive the first net from the cells, then COPY table by table."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv
import shapely
from numpy.typing import NDArray
from psycopg import sql
from pyproj import Transformer
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from geo import addresses
from geo import grids as topology
from geo.barriers import net_parts
from geo.dataset import CityDataset
from geo.errors import ConflictError
from geo.grids import AREA_COLUMNS
from geo.profiles import Profile, load_profile
from geo.seal import net_hash
from geo.store import derived, furnishing
from geo.store.cases import rules
from geo.tables import SRID, Base, Category, Cell, City, Level, Net, StationKind

Progress = Callable[[str, float], None]
"""Takes what is being done and the share of it that is done, 0 to 1."""

FIRST_SEQ = 1
ROWS_A_BLOCK = 100_000
COPY = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL '')")
IS_GUARDED = "SELECT 1 FROM pg_class WHERE oid = %s::regclass AND relforcerowsecurity"
STAGE = sql.SQL("CREATE TEMPORARY TABLE stage ON COMMIT DROP AS SELECT {} FROM {} LIMIT 0")
UNSTAGE = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM stage")
DIRECT_FRAMES = {
    "vintages": "vintage",
    "cell_values": "cell_value",
    "buildings": "building",
    "organisations": "organisation",
    "compounds": "compound",
    "compound_bodies": "compound_body",
    "barriers": "barrier",
    "station_kinds": "station_kind",
    "stations": "station",
}
"""Frames of a dataset whose columns are the table's columns."""


def load(
    session: Session,
    dataset: CityDataset,
    *,
    demo: bool = False,
    fill: bool = False,
    progress: Progress = lambda step, share: None,
) -> int:
    """Write `dataset` as a new city with its first net; return the city's id.

    Parameters
    ----------
    fill : bool
        Take a city of this short name that has no ground yet: its accounts and its log stay, all
        else is the dataset's.

    Raises
    ------
    ConflictError
        If a city of this short name exists.
    DatasetError
        If the dataset has defects; all are listed.
    """
    known = session.scalar(select(City.city_id).where(City.slug == dataset.slug))
    if known is not None and not (fill and is_empty(session, known)):
        raise ConflictError(
            f"A city '{dataset.slug}' exists already; drop it first or choose another short name.",
            slug=dataset.slug,
        )
    progress("check", 0.0)
    dataset.check()
    progress("check", 1.0)
    profile = load_profile(dataset.profile)
    net = derive_net(dataset, profile, progress)
    city_id = _put_city(session, dataset, profile, net, demo, known)
    _Loader(session, city_id, dataset, net, progress).run()
    return city_id


def derive_net(
    dataset: CityDataset, profile: Profile, progress: Progress = lambda step, share: None
) -> gpd.GeoDataFrame:
    """Return the first net's grids with boundary, ancestors and code, in the metre CRS.

    Parameters
    ----------
    dataset : CityDataset
    profile : Profile
    progress : callable

    Returns
    -------
    GeoDataFrame, shape (grids,)
        Columns of the grids frame, `area_1` .. `area_6`, `area_m2`; geometry is the union of the
        grid's cells.
    """
    progress("boundaries", 0.0)
    grids = dataset.grids
    shapes = topology.net_boundaries(dataset.cells.geometry, dataset.cells["grid_id"], grids)
    progress("boundaries", 0.6)
    paths = topology.hierarchy(grids)
    net = gpd.GeoDataFrame(
        pd.concat([grids, paths], axis=1), geometry=shapes.to_numpy(), crs=dataset.cells.crs
    )
    net["area_m2"] = topology.areas_m2(net.geometry)
    levels = list(_levels(dataset, profile)["code"])
    scheme = next(s for s in profile.schemes if s.code == profile.default_scheme)
    net["code"] = topology.allocate_codes(
        net, scheme, levels, given={"county": dataset.county_code}
    )
    progress("boundaries", 1.0)
    return net


def insert_city(
    session: Session,
    profile: Profile,
    *,
    slug: str,
    name: str,
    name_en: str,
    timezone: str,
    metre_srid: int,
    county_code: str,
    middle: tuple[float, float],
) -> int:
    """Write a city without ground and the levels of its profile; return its id."""
    x, y = Transformer.from_crs(SRID, metre_srid, always_xy=True).transform(*middle)
    city_id: int = session.execute(
        insert(City)
        .values(
            slug=slug,
            name=name,
            name_en=name_en,
            profile=profile.code,
            timezone=timezone,
            metre_srid=metre_srid,
            origin_x=float(round(x)),
            origin_y=float(round(y)),
            county_code=county_code,
            code_scheme=profile.default_scheme,
        )
        .returning(City.city_id)
    ).scalar_one()
    levels = _profile_levels(profile, len(profile.levels)).assign(city_id=city_id)
    session.execute(insert(Level), [dict(row) for _, row in levels.iterrows()])
    return city_id


def _profile_levels(profile: Profile, depth: int) -> pd.DataFrame:
    rows = [
        (level.number, level.code, level.name.zh, level.name.en, level.zoom_min, level.zoom_max)
        for level in profile.levels[:depth]
    ]
    return pd.DataFrame(rows, columns=["level", "code", "name", "name_en", "zoom_min", "zoom_max"])


def _levels(dataset: CityDataset, profile: Profile) -> pd.DataFrame:
    """Return the city's levels: its own, or the first of its profile, as deep as its grids."""
    if len(dataset.levels):
        return dataset.levels
    return _profile_levels(profile, int(dataset.grids["level"].max()))


def is_empty(session: Session, city_id: int) -> bool:
    """Return whether a city has no ground yet."""
    return session.scalar(select(Cell.cell_id).where(Cell.city_id == city_id).limit(1)) is None


def _put_city(
    session: Session,
    dataset: CityDataset,
    profile: Profile,
    net: gpd.GeoDataFrame,
    demo: bool,
    known: int | None,
) -> int:
    """Write the city's own row, or that of a city without ground anew; return its id."""
    to_lonlat = lonlat(dataset.metre_srid)
    outline = shapely.coverage_union_all(net.loc[net["level"] == 1].geometry.to_numpy())
    min_x, min_y, max_x, max_y = dataset.cells.total_bounds
    values = {
        "slug": dataset.slug,
        "name": dataset.name,
        "name_en": dataset.name_en,
        "profile": dataset.profile,
        "timezone": dataset.timezone,
        "metre_srid": dataset.metre_srid,
        "origin_x": float(np.round((min_x + max_x) / 2)),
        "origin_y": float(np.round((min_y + max_y) / 2)),
        "county_code": dataset.county_code,
        "code_scheme": profile.default_scheme,
        "demo": demo,
        "outline": f"SRID={SRID};" + shapely.to_wkt(_multi(to_lonlat([outline])[0]), -1),
    }
    if known is not None:
        for table in (Level, StationKind, Category):
            session.execute(delete(table).where(table.city_id == known))
        session.execute(update(City).where(City.city_id == known).values(**values))
        return known
    made: int = session.execute(insert(City).values(**values).returning(City.city_id)).scalar_one()
    return made


class _Loader:
    """The rows of one city on their way into the tables."""

    def __init__(
        self,
        session: Session,
        city_id: int,
        dataset: CityDataset,
        net: gpd.GeoDataFrame,
        progress: Progress,
    ) -> None:
        self.session = session
        self.city_id = city_id
        self.dataset = dataset
        self.net = net
        self.progress = progress
        self.to_lonlat = lonlat(dataset.metre_srid)
        self.filled: set[str] = set()
        self.paths = net.set_index("grid_id")[list(AREA_COLUMNS)]

    def run(self) -> None:
        """Write all tables in an order in which every reference points back."""
        profile = load_profile(self.dataset.profile)
        self.copy("level", _levels(self.dataset, profile))
        self.copy("grid", self.net[["grid_id", "level"]])
        self._direct("vintages")
        self._cells()
        self._direct("cell_values")
        self._net()
        for name in ("buildings", "compounds", "organisations", "compound_bodies", "barriers"):
            self._direct(name)
        self._addresses()
        self._streets()
        self._people()
        for name in ("station_kinds", "stations"):
            self._direct(name)
        leads = self.dataset.category_leads
        self.copy("category", self.dataset.categories.merge(leads, on="category", how="left"))
        rules.settle_shown(self.session, self.city_id, profile)
        self._issues()
        self._source_nets()
        self.progress("analyse", 0.0)
        self.session.execute(text("ANALYZE " + ", ".join(sorted(self.filled))))
        self.progress("analyse", 1.0)
        self.progress("figures for maps", 0.0)
        derived.refresh(self.session, self.city_id, self.dataset.metre_srid)
        self.progress("figures for maps", 1.0)
        self.filled.clear()
        furnishing.furnish(self.session, self.city_id, self.dataset, self.paths, self.copy)
        if self.filled:
            self.session.execute(text("ANALYZE " + ", ".join(sorted(self.filled))))

    def copy(self, table: str, frame: pd.DataFrame) -> None:
        """COPY `frame` into `table`, geometry turned to EPSG:4326 vertex by vertex."""
        self.filled.add(table)
        copy_frame(
            self.session,
            self.city_id,
            table,
            frame,
            self.to_lonlat,
            lambda share: self.progress(f"load {table}", share),
        )

    def _direct(self, name: str) -> None:
        self.copy(DIRECT_FRAMES[name], getattr(self.dataset, name))

    def _cells(self) -> None:
        cells = self.dataset.cells
        frame = gpd.GeoDataFrame(
            {"cell_id": cells["cell_id"], "area_m2": topology.areas_m2(cells.geometry)},
            geometry=cells.geometry,
        )
        self.copy("cell", frame)

    def _net(self) -> None:
        owners = self.dataset.cells[["cell_id", "grid_id"]]
        self.session.execute(
            insert(Net).values(
                city_id=self.city_id,
                seq=FIRST_SEQ,
                effective_from=self.dataset.effective_from,
                hash=net_hash(pd.DataFrame(owners), pd.DataFrame(self.net)),
            )
        )
        self.copy("net_cell", pd.DataFrame(owners).assign(from_seq=FIRST_SEQ))
        rows = self.net.rename_geometry("boundary").assign(from_seq=FIRST_SEQ)
        rows["boundary"] = [_multi(shape) for shape in rows["boundary"]]
        rows["label_point"] = topology.label_points(self.net.geometry)
        self.copy("net_grid", rows)
        coded = self.net.loc[self.net["code"].notna(), ["grid_id", "code"]]
        scheme = load_profile(self.dataset.profile).default_scheme
        self.copy("grid_code", pd.DataFrame(coded).assign(scheme=scheme, from_seq=FIRST_SEQ))
        dataset = self.dataset
        parts = net_parts(
            dataset.cells.geometry,
            self.paths.loc[dataset.cells["grid_id"]].reset_index(drop=True),
            dataset.barriers.geometry,
            dataset.streets.geometry,
        )
        torn = parts[parts > 1].sort_index().reset_index()
        torn = torn.assign(from_seq=FIRST_SEQ, reason="inherited")
        self.copy("net_exception", torn)

    def _addresses(self) -> None:
        """Write what may be kept of the addresses; those that say nothing are left out."""
        upper = self.net.loc[self.net["level"] <= 2, "name"]
        within = (self.dataset.name, *sorted(set(upper)))
        frame = self.dataset.addresses
        read = [addresses.read(one, within=within) for one in frame["text"]]
        kept = [one.known for one in read]
        frame = frame.assign(text=[one.text for one in read], key=[one.key for one in read])
        self.copy("address", frame[kept].assign(alias=False))

    def _streets(self) -> None:
        streets = self.dataset.streets
        self.copy("street", streets.assign(length_m=streets.geometry.length))

    def _people(self) -> None:
        workers = self.dataset.workers
        self.copy("worker", workers.drop(columns="duty_number").assign(areas="{}"))
        duty = workers.set_index("worker_id")["duty_number"]
        posts = self.dataset.posts
        posts = posts.assign(duty_number=posts["worker_id"].map(duty))
        self.copy("post", self._with_areas(posts, posts["grid_id"]))
        refresh_worker_areas(self.session, self.city_id)

    def _issues(self) -> None:
        issues = self.dataset.issues
        owner_of = self.dataset.cells.set_index("cell_id")["grid_id"]
        owner = owner_of.loc[issues["cell_id"]].to_numpy()
        rows = issues.assign(owner_grid=owner)
        lives = self.dataset.issue_lives
        if len(lives):
            together = rows.merge(lives, on="issue_id", how="left", validate="one_to_one")
            rows = gpd.GeoDataFrame(together, geometry="geometry", crs=issues.crs)
        rows = furnishing.beside(self.dataset, rows)
        self.copy("issue", self._with_areas(rows, owner))
        self.copy("issue_event", self.dataset.issue_events)

    def _with_areas(self, frame: pd.DataFrame, grids: Iterable[int]) -> pd.DataFrame:
        paths = self.paths.loc[np.asarray(grids)]
        return frame.assign(**{column: paths[column].array for column in AREA_COLUMNS})

    def _source_nets(self) -> None:
        self.copy("source_net", self.dataset.source_nets)
        outlines = self.dataset.source_grids
        self.copy(
            "source_grid", outlines.set_geometry([_multi(shape) for shape in outlines.geometry])
        )


def refresh_worker_areas(session: Session, city_id: int) -> None:
    """Set each worker's areas to the grids of the open posts and all their ancestors."""
    session.execute(
        text(
            "UPDATE worker AS w SET areas = coalesce((SELECT array_agg(DISTINCT a.id)"
            " FROM post AS p, unnest(ARRAY[p.area_1, p.area_2, p.area_3, p.area_4, p.area_5,"
            " p.area_6]) AS a (id)"
            " WHERE p.city_id = w.city_id AND p.worker_id = w.worker_id AND a.id IS NOT NULL"
            " AND (p.valid_to IS NULL OR p.valid_to > current_date)), '{}')"
            " WHERE w.city_id = :city"
        ),
        {"city": city_id},
    )


@dataclass(frozen=True)
class DemoPlace:
    """Where the demo's accounts act; None where the city has no such thing."""

    worker: int | None = None
    grid: int | None = None
    community: int | None = None
    department: int | None = None
    firm: int | None = None


def demo_place(session: Session, city_id: int) -> DemoPlace:
    """Return a full-time worker of one grid, the grid above it, and bodies with cases.

    The department has most cases; the property firm has most ratings near the worker.
    """
    row = session.execute(
        text(
            "SELECT min(p.worker_id) AS worker_id, p.grid_id, g.parent_id FROM post AS p"
            " JOIN net_grid AS g ON g.city_id = p.city_id AND g.grid_id = p.grid_id"
            " JOIN (SELECT grid, count(*) AS cases FROM issue,"
            "       unnest(ARRAY[area_1, area_2, area_3, area_4, area_5, area_6]) AS grid"
            "       WHERE city_id = :city GROUP BY grid) AS i ON i.grid = p.grid_id"
            " WHERE p.city_id = :city AND p.role = 'worker' AND NOT p.part_time"
            " AND p.valid_to IS NULL AND p.worker_id IN (SELECT worker_id FROM post"
            " WHERE city_id = :city GROUP BY worker_id HAVING count(*) = 1)"
            " GROUP BY p.grid_id, g.parent_id, i.cases ORDER BY i.cases DESC, p.grid_id LIMIT 1"
        ),
        {"city": city_id},
    ).first()
    department = session.scalar(
        text(
            "SELECT organisation_id FROM issue WHERE city_id = :city"
            " AND organisation_id IN (SELECT o.organisation_id FROM organisation AS o"
            " WHERE o.city_id = :city AND o.kind <> 'property_firm') GROUP BY organisation_id"
            " ORDER BY count(*) DESC, organisation_id LIMIT 1"
        ),
        {"city": city_id},
    )
    firm = session.scalar(
        text(
            "SELECT organisation_id FROM firm_rating WHERE city_id = :city"
            " GROUP BY organisation_id"
            " ORDER BY count(*) FILTER (WHERE area_2 = :near) DESC, count(*) DESC, 1 LIMIT 1"
        ),
        {"city": city_id, "near": row.parent_id if row else None},
    )
    if row is None:
        return DemoPlace(department=department, firm=firm)
    return DemoPlace(row.worker_id, row.grid_id, row.parent_id, department, firm)


def lock(session: Session, slug: str) -> None:
    """Let one transaction at a time load the city of this short name; ends with it."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"load {slug}", 0))))


def drop(session: Session, slug: str) -> bool:
    """Delete a city with everything in it; return whether there was one. The log stays."""
    city_id = session.scalar(select(City.city_id).where(City.slug == slug))
    if city_id is None:
        return False
    session.execute(update(Net).where(Net.city_id == city_id).values(plan_id=None))
    kept = {"audit", "audit_head", "city"}
    for table in reversed(Base.metadata.sorted_tables):
        if "city_id" in table.columns and table.name not in kept:
            session.execute(delete(table).where(table.c.city_id == city_id))
    session.execute(delete(City).where(City.city_id == city_id))
    return True


def lonlat(srid: int) -> Callable[[Any], NDArray[np.object_]]:
    """Return a function that turns geometries of EPSG `srid` to EPSG:4326, vertex by vertex.

    Equal vertices stay equal, so that a coverage stays one.
    """
    transformer = Transformer.from_crs(srid, SRID, always_xy=True)

    def turn(geometries: Any) -> NDArray[np.object_]:
        shapes = np.asarray(geometries, dtype=object)
        turned = shapely.transform(shapes, transformer.transform, interleaved=False)
        return cast("NDArray[np.object_]", turned)

    return turn


def _multi(shape: Any) -> Any:
    return shape if shape.geom_type.startswith("Multi") else shapely.MultiPolygon([shape])


def _columns(frame: pd.DataFrame, to_lonlat: Callable[[Any], Any]) -> dict[str, pa.Array]:
    """Return `frame` as arrow columns; geometry as hexadecimal EWKB in EPSG:4326."""
    columns: dict[str, pa.Array] = {}
    for name in frame.columns:
        values = frame[name]
        if isinstance(values, gpd.GeoSeries):
            shapes = shapely.set_srid(to_lonlat(values.to_numpy()), SRID)
            columns[name] = pa.array(shapely.to_wkb(shapes, hex=True, include_srid=True))
        else:
            columns[name] = pa.Array.from_pandas(values)
    return columns


def copy_frame(
    session: Session,
    city_id: int,
    table: str,
    frame: pd.DataFrame,
    to_lonlat: Callable[[Any], Any],
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """COPY a frame in metres into a city's table, geometry turned by `to_lonlat`."""
    columns = _columns(frame, to_lonlat)
    columns["city_id"] = pa.repeat(pa.scalar(city_id, pa.int16()), len(frame))
    copy_rows(session, table, pa.table(columns), progress)


def copy_rows(
    session: Session, table: str, rows: pa.Table, progress: Callable[[float], None]
) -> None:
    """COPY arrow rows into `table` on the session's own connection and transaction.

    Columns that the table does not have are left out; a column named `geometry` goes to the
    table's one geometry column. PostgreSQL does not COPY into a table with row-level security:
    there the rows pass through a temporary one.
    """
    target = Base.metadata.tables[table]
    shape = next((c.name for c in target.columns if hasattr(c.type, "geometry_type")), "geometry")
    rows = rows.rename_columns([shape if n == "geometry" else n for n in rows.column_names])
    rows = rows.select([name for name in rows.column_names if name in target.columns])
    if not rows.num_rows:
        return
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    driver = cast("psycopg.Connection[Any]", session.connection().connection.dbapi_connection)
    progress(0.0)
    with driver.cursor() as cursor:
        guarded = cursor.execute(IS_GUARDED, (table,)).fetchone()
        into = "stage" if guarded else table
        if guarded:
            cursor.execute(STAGE.format(columns, sql.Identifier(table)))
        with cursor.copy(COPY.format(sql.Identifier(into), columns)) as copy:
            for start in range(0, rows.num_rows, ROWS_A_BLOCK):
                block = io.BytesIO()
                pyarrow.csv.write_csv(
                    rows.slice(start, ROWS_A_BLOCK),
                    block,
                    pyarrow.csv.WriteOptions(include_header=False),
                )
                copy.write(block.getvalue())
                progress(min(1.0, (start + ROWS_A_BLOCK) / rows.num_rows))
        if guarded:
            cursor.execute(UNSTAGE.format(sql.Identifier(table), columns, columns))
            cursor.execute("DROP TABLE stage")


def counts(session: Session, city_id: int) -> dict[str, int]:
    """Return how many rows of each table the city has; empty tables are left out."""
    found: dict[str, int] = {}
    for table in Base.metadata.sorted_tables:
        if "city_id" in table.columns and table.name not in ("city", "audit", "audit_head"):
            number = session.scalar(
                select(func.count()).select_from(table).where(table.c.city_id == city_id)
            )
            if number:
                found[table.name] = number
    return found
