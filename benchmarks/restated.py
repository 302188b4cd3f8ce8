"""Issues of a whole city told on another net: stored counts, row by row, and PostGIS's join."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, text

from benchmarks import cities, stands
from benchmarks.harness import CPU, Case, DisagreementError, Measure, Outcome
from geo.db import owner_transaction
from geo.store import nets, packing, restating
from geo.store.restating import Period

SLUG = "cells-6562"
ISSUES = 2_700_000
JOIN = "PostGIS join"
ROWS = "row by row"
JOIN_GOAL, ROWS_GOAL = 10.0, 3.0

# Each issue lies well inside its cell; the second net gives every ninth cell to the grid beside it.
_PREPARE = (
    """
    INSERT INTO category (city_id, category, name, name_en, parent, root)
    SELECT c.city_id, v.code, v.code, v.code, v.parent, 'event'
    FROM city AS c CROSS JOIN (VALUES ('E01', NULL), ('E02', NULL), ('E0101', 'E01'),
        ('E0102', 'E01'), ('E0201', 'E02')) AS v (code, parent)
    WHERE c.slug = 'cells-6562' ON CONFLICT DO NOTHING
    """,
    (
        "CREATE TEMP TABLE place AS SELECT c.city_id, c.cell_id, n.grid_id,"
        " row_number() OVER () AS n, ST_PointOnSurface(c.geom) AS geom"
        " FROM cell AS c JOIN net_cell AS n USING (city_id, cell_id) JOIN city USING (city_id)"
        " WHERE slug = 'cells-6562'"
    ),
    "CREATE INDEX ON place (n)",
    """
    INSERT INTO issue (city_id, issue_id, geom, cell_id, owner_grid, category, channel, state,
        reported_at)
    SELECT p.city_id, i.n, p.geom, p.cell_id, p.grid_id,
        (ARRAY['E0101', 'E0102', 'E0201'])[1 + i.n % 3], 'worker', 'closed',
        timestamptz '2024-01-01 00:00+00' + (i.n * 7919 % (700 * 1440)) * interval '1 minute'
    FROM generate_series(1, 2700000) AS i (n)
    JOIN place AS p ON p.n = 1 + (i.n * 104729) % (SELECT count(*) FROM place)
    """,
    """
    INSERT INTO net (city_id, seq, effective_from, hash)
    SELECT city_id, 2, date '2099-01-01', hash FROM net JOIN city USING (city_id)
    WHERE slug = 'cells-6562' AND seq = 1
    """,
    """
    CREATE TEMP TABLE moved AS
    SELECT DISTINCT ON (a.cell_id) a.city_id, a.cell_id, y.grid_id
    FROM cell AS a JOIN city AS t ON t.city_id = a.city_id AND t.slug = 'cells-6562'
    JOIN net_cell AS x ON x.city_id = a.city_id AND x.cell_id = a.cell_id
    JOIN cell AS b ON b.city_id = a.city_id AND ST_Touches(a.geom, b.geom)
    JOIN net_cell AS y ON y.city_id = b.city_id AND y.cell_id = b.cell_id
        AND y.grid_id <> x.grid_id
    WHERE a.cell_id % 9 = 0 ORDER BY a.cell_id, y.grid_id
    """,
    (
        "UPDATE net_cell AS n SET to_seq = 2 FROM moved AS m"
        " WHERE n.city_id = m.city_id AND n.cell_id = m.cell_id"
    ),
    (
        "INSERT INTO net_cell (city_id, cell_id, from_seq, grid_id)"
        " SELECT city_id, cell_id, 2, grid_id FROM moved"
    ),
    """
    CREATE TABLE benchmark_net AS
    SELECT n.city_id, n.grid_id, ST_Union(c.geom) AS boundary
    FROM net_cell AS n JOIN cell AS c ON c.city_id = n.city_id AND c.cell_id = n.cell_id
    JOIN city AS t ON t.city_id = n.city_id AND t.slug = 'cells-6562'
    WHERE n.from_seq <= 2 AND n.to_seq > 2 GROUP BY 1, 2
    """,
    "CREATE INDEX ON benchmark_net USING gist (boundary)",
)
# The form that PostGIS is quickest in: polygons outside, points by their index.
_JOIN = text(
    """
    SELECT g.grid_id, p.issues FROM benchmark_net AS g
    CROSS JOIN LATERAL (
        SELECT count(*) AS issues FROM issue AS i
        WHERE i.geom && g.boundary AND ST_Contains(g.boundary, i.geom) AND i.set_aside IS NULL
    ) AS p WHERE p.issues > 0
    """
)
_BY_ROW = text(
    """
    SELECT n.grid_id, count(*) FROM issue AS i
    JOIN net_cell AS n ON n.city_id = i.city_id AND n.cell_id = i.cell_id
        AND n.from_seq <= 2 AND n.to_seq > 2
    WHERE i.city_id = :city AND i.set_aside IS NULL GROUP BY n.grid_id
    """
)
_ONE_CORE = text("SET max_parallel_workers_per_gather = 0")


def cases() -> Iterator[Case]:
    """Yield the case of all issues of the large city on its second net."""
    made_from = (*cities.MADE_FROM, "benchmarks/restated.py", "geo/store/packing.py")
    with stands.stand("restated", made_from, _datasets, _prepare) as stand:
        engine = stand.engine
        told = f"{ISSUES:,} issues on another net of 6,562 grids"
        yield Case(
            name="stored",
            title=f"{told}, from stored counts",
            ours=lambda: _ours(engine),
            peers={JOIN: lambda: _theirs(engine, _JOIN), ROWS: lambda: _theirs(engine, _BY_ROW)},
            measures=[Measure(CPU, "s", JOIN_GOAL, (JOIN,))],
            agree=_same,
            servers=stand.servers,
            note="all on one core; the join is polygons outside, points by their index",
        )
        yield Case(
            name="rows",
            title=f"{told}, row by row through the cell",
            ours=lambda: _theirs(engine, _BY_ROW),
            peers={JOIN: lambda: _theirs(engine, _JOIN)},
            measures=[Measure(CPU, "s", ROWS_GOAL, (JOIN,))],
            agree=_same,
            servers=stand.servers,
        )


def _datasets() -> Iterator[Any]:
    from benchmarks import coverages

    yield coverages.city(SLUG, cities.MADE_UP[SLUG])


def _prepare(engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in _PREPARE:
            connection.exec_driver_sql(statement)
    with owner_transaction(engine) as session:
        packing.pack(session, _city(session))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _city(session: Any) -> int:
    return int(session.scalar(text("SELECT city_id FROM city WHERE slug = :slug"), {"slug": SLUG}))


def _ours(engine: Engine) -> Outcome:
    with owner_transaction(engine) as session:
        session.execute(_ONE_CORE)
        at = nets.moment_of_net(session, _city(session), 2)
        counted, _, _ = restating.by_grid(session, at, None, Period())
    return Outcome(counted)


def _theirs(engine: Engine, statement: Any) -> Outcome:
    with owner_transaction(engine) as session:
        session.execute(_ONE_CORE)
        rows = session.execute(statement, {"city": _city(session)}).all()
    return Outcome({int(grid): int(number) for grid, number in rows})


def _same(ours: dict[int, int], theirs: dict[int, int]) -> None:
    if ours != theirs:
        differ = {
            grid for grid in ours.keys() | theirs.keys() if ours.get(grid) != theirs.get(grid)
        }
        raise DisagreementError(f"{len(differ)} of {len(ours)} grids differ")
