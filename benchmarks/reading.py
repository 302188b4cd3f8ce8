"""Lists with figures, who is responsible, tiles: ours through cells, the peer by spatial joins."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks import cities
from benchmarks.coverages import METRE_SRID
from benchmarks.harness import (
    CPU,
    WALL,
    CannotRunError,
    Case,
    DisagreementError,
    Measure,
    Outcome,
)
from benchmarks.stands import Stand
from benchmarks.tiles import Place, building_ids, buildings_in_squares, places_over
from geo import service
from geo.db import Viewer

CITIES: Mapping[str, tuple[str, int]] = {"454": (cities.DEMO, 3), "6562": ("cells-6562", 3)}
"""How a size is called -> short name of the city, level of its grids."""

ROWS_A_PAGE = 1_000
POINTS = 200
TILES = 40
Row = tuple[float | None, ...]

_LIST = text(
    """
    WITH held AS (
        SELECT a.grid_id, count(*) AS posts, count(*) FILTER (WHERE p.worker_id IS NULL) AS vacant
        FROM post AS p
        JOIN net_grid AS g ON g.city_id = p.city_id AND g.grid_id = p.grid_id
        CROSS JOIN LATERAL unnest(
            ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]
        ) AS a (grid_id)
        WHERE p.city_id = :city AND g.from_seq <= :seq AND g.to_seq > :seq
          AND p.valid_from <= :day AND (p.valid_to IS NULL OR p.valid_to > :day)
        GROUP BY a.grid_id
    )
    SELECT g.grid_id, x.cells, x.buildings, x.households, coalesce(h.posts, 0),
           coalesce(h.vacant, 0), x.stations
    FROM net_grid AS g
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE b.kind = 'cell') AS cells,
               count(*) FILTER (WHERE b.kind = 'building') AS buildings,
               coalesce(sum(b.households), 0) AS households,
               count(*) FILTER (WHERE b.kind = 'station') AS stations
        FROM benchmark_point AS b
        WHERE b.city_id = :city AND ST_Contains(g.boundary, b.place)
    ) AS x
    LEFT JOIN held AS h ON h.grid_id = g.grid_id
    WHERE g.city_id = :city AND g.level = :level AND g.from_seq <= :seq AND g.to_seq > :seq
    """
)
_GRIDS_AT = text(
    """
    SELECT g.grid_id FROM net_grid AS g
    WHERE g.city_id = :city AND g.from_seq <= :seq AND g.to_seq > :seq
      AND ST_Contains(g.boundary, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))
    ORDER BY g.level
    """
)
_POSTS_AT = text(
    """
    SELECT p.post_id, p.role, p.duty_number, w.name
    FROM post AS p LEFT JOIN worker AS w ON w.city_id = p.city_id AND w.worker_id = p.worker_id
    WHERE p.city_id = :city AND p.grid_id = ANY(:grids) AND p.valid_from <= :day
      AND (p.valid_to IS NULL OR p.valid_to > :day)
    """
)
_STATIONS_AT = text(
    """
    SELECT s.station_id, s.name, s.address, s.opening_hours,
           round(ST_Distance(s.geom::geography,
                             ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography)) AS distance_m
    FROM station AS s
    WHERE s.city_id = :city AND s.stage = 'open'
    ORDER BY distance_m, s.station_id LIMIT 5
    """
)
_TILE = text(
    """
    WITH tile AS MATERIALIZED (
        SELECT ST_TileEnvelope(:z, :x, :y) AS frame,
               ST_Transform(ST_TileEnvelope(:z, :x, :y, margin => 64.0 / 4096), 4326) AS box
    ), building_drawn AS (
        SELECT b.building_id, b.use,
               ST_AsMVTGeom(ST_Transform(b.footprint, 3857), t.frame, 4096, 64) AS geom
        FROM tile AS t JOIN building AS b ON b.footprint && t.box WHERE b.city_id = :city
    ), street_drawn AS (
        SELECT s.name, s.kind, ST_AsMVTGeom(ST_Transform(s.geom, 3857), t.frame, 4096, 64) AS geom
        FROM tile AS t JOIN street AS s ON s.geom && t.box WHERE s.city_id = :city
    ), compound_drawn AS (
        SELECT c.name, ST_AsMVTGeom(ST_Transform(c.geom, 3857), t.frame, 4096, 64) AS geom
        FROM tile AS t JOIN compound AS c ON c.geom && t.box WHERE c.city_id = :city
    ), barrier_drawn AS (
        SELECT b.kind, b.name,
               ST_AsMVTGeom(ST_Transform(b.geom, 3857), t.frame, 4096, 64) AS geom
        FROM tile AS t JOIN barrier AS b ON b.geom && t.box WHERE b.city_id = :city
    ), place_drawn AS (
        SELECT g.grid_id, g.name, g.level,
               ST_AsMVTGeom(ST_Transform(g.label_point, 3857), t.frame, 4096, 64) AS geom
        FROM tile AS t JOIN net_grid AS g ON g.label_point && t.box
        WHERE g.city_id = :city AND g.from_seq <= :seq AND g.to_seq > :seq
    )
    SELECT coalesce((SELECT ST_AsMVT(l, 'building', 4096, 'geom', 'building_id')
                     FROM building_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'street', 4096, 'geom') FROM street_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'compound', 4096, 'geom') FROM compound_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'barrier', 4096, 'geom') FROM barrier_drawn AS l), '')
        || coalesce((SELECT ST_AsMVT(l, 'place', 4096, 'geom', 'grid_id')
                     FROM place_drawn AS l), '')
    """
)


def cases() -> Iterator[Case]:
    """Yield the cases; the cities are kept in a database between runs."""
    with cities.stand() as stand:
        for name, (slug, level) in CITIES.items():
            desk = _Desk.of(stand, slug, level)
            yield desk.list(name, repeat=10 if name == "454" else 2)
            yield desk.values(name, repeat=20 if name == "454" else 4)
            yield desk.where(name)
            if slug == cities.DEMO:
                yield desk.near_tiles(15)
                yield desk.far_tiles(12)


@dataclass(frozen=True)
class _Desk:
    """Asks one city, ours and the plain way, each question in a transaction of its own."""

    stand: Stand
    slug: str
    city_id: int
    level: int
    seq: int
    day: date
    box: tuple[float, float, float, float]

    @classmethod
    def of(cls, stand: Stand, slug: str, level: int) -> _Desk:
        with stand.database.transaction(Viewer.public()) as session:
            city_id = service.city_id_of(session, slug)
            at, card = service.show_city(session, service.Asked(city_id))
        if at is None:
            raise CannotRunError(f"the city '{slug}' has no net today.")
        return cls(stand, slug, city_id, level, at.seq, at.day, tuple(card["bbox"]))

    @property
    def asked(self) -> service.Asked:
        return service.Asked(self.city_id, self.day)

    @property
    def peer_asked(self) -> dict[str, Any]:
        """What all statements of the peer take."""
        return {"city": self.city_id, "level": self.level, "seq": self.seq, "day": self.day}

    def list(self, name: str, repeat: int) -> Case:
        def ours(session: Session) -> dict[int, Row]:
            found: dict[int, Row] = {}
            after = None
            while True:
                turn = service.Turn(ROWS_A_PAGE, after)
                narrow = service.GridFilter(level=self.level)
                _, page = service.list_grids(session, self.asked, narrow, turn)
                for item in page.items:
                    found[item["grid"]] = tuple(item[key] for key in _FIGURES)
                after = page.next
                if after is None:
                    return found

        return self._case(
            f"list_{name}",
            f"All {name} grids with all figures",
            ours,
            self._joined,
            (Measure(CPU, "s", 2.0), Measure(WALL, "s", 2.0)),
            repeat=repeat,
            note=f"pages of {ROWS_A_PAGE:,} with code, path, box and label; the spatial join gives "
            "the figures alone, from points that lie ready with an index",
        )

    def values(self, name: str, repeat: int) -> Case:
        def ours(session: Session) -> dict[int, Row]:
            _, found = service.net_values(session, self.asked, self.seq, self.level)
            return {grid: tuple(row) for grid, row in found.items()}

        def theirs(session: Session) -> dict[int, Row]:
            joined = self._joined(session)
            return {grid: (row[2], row[1], *row[3:]) for grid, row in joined.items()}

        return self._case(
            f"values_{name}",
            f"The figures of all {name} grids as the map takes them",
            ours,
            theirs,
            (Measure(CPU, "s", 5.0), Measure(WALL, "s", 5.0)),
            repeat=repeat,
            note="five figures a grid, beside the same spatial join",
        )

    def _joined(self, session: Session) -> dict[int, Row]:
        rows = session.execute(_LIST, self.peer_asked)
        return {row[0]: tuple(row[1:]) for row in rows}

    def where(self, name: str) -> Case:
        shapes = cities.footprints(self.stand.engine, self.slug).geometry.to_numpy()
        chosen = np.random.default_rng(7).choice(shapes, POINTS, replace=False)
        places = [(point.x, point.y) for point in shapely.point_on_surface(chosen)]
        viewer = Viewer.public(self.city_id)

        def ours(session: Session, point: tuple[float, float]) -> Any:
            _, found = service.who_is_responsible(session, viewer, self.asked, *point)
            return (
                [grid["grid"] for grid in found["path"]],
                sorted(post["post"] for post in found["responsible"]),
                [station["station"] for station in found["nearest_stations"]],
            )

        def theirs(session: Session, point: tuple[float, float]) -> Any:
            asked = {**self.peer_asked, "lon": point[0], "lat": point[1]}
            grids = list(session.scalars(_GRIDS_AT, asked))
            posts = session.execute(_POSTS_AT, {**self.peer_asked, "grids": grids}).all()
            stations = session.execute(_STATIONS_AT, asked).all()
            return grids, sorted(post[0] for post in posts), [station[0] for station in stations]

        return self._each(
            f"where_{name}",
            f"Who is responsible at {POINTS} places",
            places,
            ours,
            theirs,
            (Measure("p50", "s", 1.0), Measure("p95", "s", 1.0), Measure(CPU, "s", 1.0)),
            note=f"path, posts and nearest stations at {POINTS} places, one transaction each; "
            "plain: the grids whose outline contains the place; cpu is that of all",
        )

    def near_tiles(self, z: int) -> Case:
        every = places_over(self.box, z)
        chosen = [every[k] for k in np.linspace(0, len(every) - 1, TILES).astype(int)]

        def agree(ours: Mapping[Place, bytes], theirs: Mapping[Place, bytes]) -> None:
            for place, tile in theirs.items():
                if building_ids(tile) != building_ids(ours[place]):
                    raise DisagreementError(f"other buildings in {place}")

        return self._tiles(z, chosen, agree, "the same buildings in each tile")

    def far_tiles(self, z: int) -> Case:
        def agree(ours: Mapping[Place, bytes], theirs: Mapping[Place, bytes]) -> None:
            squares = buildings_in_squares(ours, METRE_SRID)
            drawn = len(set().union(*(building_ids(tile) for tile in theirs.values())))
            if squares != drawn:
                raise DisagreementError(f"{squares} buildings in squares, {drawn} footprints")

        note = "ours as squares with the number of buildings, plain as footprints: the same number"
        return self._tiles(z, places_over(self.box, z), agree, note)

    def _tiles(
        self, z: int, places: Sequence[Place], agree: Callable[[Any, Any], None], note: str
    ) -> Case:
        def ours(session: Session, place: Place) -> bytes:
            return service.vector_tile(session, self.asked, self.seq, place.z, place.x, place.y)

        def theirs(session: Session, place: Place) -> bytes:
            asked = {**self.peer_asked, "z": place.z, "x": place.x, "y": place.y}
            return bytes(session.execute(_TILE, asked).scalar_one())

        return self._each(
            f"tiles_z{z}",
            f"{len(places)} tiles of zoom {z}",
            places,
            ours,
            theirs,
            (Measure("p50", "s", 1.0), Measure("p95", "s", 1.0), Measure("bytes", "B", 1.0)),
            agree=lambda one, two: agree(
                dict(zip(places, one, strict=True)), dict(zip(places, two, strict=True))
            ),
            note=f"{len(places)} tiles; {note}; bytes are those of all, not compressed",
        )

    def _case(
        self,
        name: str,
        title: str,
        ours: Callable[[Session], Any],
        theirs: Callable[[Session], Any],
        measures: Sequence[Measure],
        *,
        repeat: int,
        note: str,
    ) -> Case:
        def asked(question: Callable[[Session], Any]) -> Callable[[], Any]:
            def run() -> Any:
                with self.stand.database.transaction(Viewer.public(self.city_id)) as session:
                    return question(session)

            return run

        return Case(
            name=name,
            title=title,
            ours=asked(ours),
            peers={"spatial join": asked(theirs)},
            measures=measures,
            agree=_equal,
            repeat=repeat,
            servers=self.stand.servers,
            note=note,
        )

    def _each(
        self,
        name: str,
        title: str,
        questions: Sequence[Any],
        ours: Callable[[Session, Any], Any],
        theirs: Callable[[Session, Any], Any],
        measures: Sequence[Measure],
        *,
        agree: Callable[[Any, Any], None] | None = None,
        note: str,
    ) -> Case:
        """Return a case of many questions, each timed by itself."""

        def asked(answer: Callable[[Session, Any], Any]) -> Callable[[], Outcome]:
            def run() -> Outcome:
                answers, times = [], []
                for question in questions:
                    begin = time.perf_counter()
                    with self.stand.database.transaction(Viewer.public(self.city_id)) as session:
                        answers.append(answer(session, question))
                    times.append(time.perf_counter() - begin)
                p50, p95 = np.percentile(times, (50, 95))
                size = sum(len(one) for one in answers if isinstance(one, bytes))
                return Outcome(answers, {"p50": float(p50), "p95": float(p95), "bytes": size})

            return run

        return Case(
            name=name,
            title=title,
            ours=asked(ours),
            peers={"plain": asked(theirs)},
            measures=measures,
            agree=agree or _equal,
            servers=self.stand.servers,
            note=note,
        )


_FIGURES = ("cells", "buildings", "households", "posts", "vacant_posts", "stations")


def _equal(ours: Any, theirs: Any) -> None:
    if ours == theirs:
        return
    if isinstance(ours, dict):
        other = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
        one = other[0]
        raise DisagreementError(
            f"{len(other)} grids differ, such as {one}: {ours.get(one)} and {theirs.get(one)}"
        )
    differ = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    raise DisagreementError(f"{len(differ)} answers differ, such as {json.dumps(differ[0])}")
