"""Issues of a whole city told on another net: stored counts, row by row, and PostGIS's join."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, text

from benchmarks import stands
from benchmarks.harness import CPU, Case, DisagreementError, Measure, Outcome
from geo import service
from geo.db import owner_transaction
from geo.store import nets, packing, restating
from geo.store.restating import Period

SLUG = "restated"
ISSUES = 2_700_000
COLUMNS, ROWS = 772, 102
"""Squares of 100 m; twelve of them are a grid, which makes 6,562."""
CATEGORIES = ("E0101", "E0102", "E0201", "E0301", "E0401")
JOIN, BY_CELL = "PostGIS join", "row by row"
JOIN_GOAL, CELL_GOAL = 10.0, 3.0

_UNBOUND = """
    DO $$ DECLARE one record; BEGIN
        ALTER TABLE issue DISABLE TRIGGER USER;
        FOR one IN SELECT conname FROM pg_constraint
            WHERE conrelid = 'issue'::regclass AND contype = 'f' LOOP
            EXECUTE format('ALTER TABLE issue DROP CONSTRAINT %I', one.conname);
        END LOOP;
        FOR one IN SELECT indexrelid::regclass AS name FROM pg_index
            WHERE indrelid = 'issue'::regclass AND NOT indisprimary LOOP
            EXECUTE format('DROP INDEX %s', one.name);
        END LOOP;
    END $$
"""
"""Without what slows loading down; the join gets its own index, the others are not asked."""
_GROUND = """
    CREATE TEMP TABLE square AS
    SELECT 1 + x + y * :columns AS cell, 1 + x / 4 + (y / 3) * 193 AS before,
        1 + least((x + 2) / 4, 192) + (y / 3) * 193 AS after,
        500000.0 + 100 * x AS east, 4160000.0 + 100 * y AS north
    FROM generate_series(0, :columns - 1) AS x, generate_series(0, :rows - 1) AS y
"""
_FILLED = (
    """
    INSERT INTO cell (city_id, cell_id, geom, area_m2)
    SELECT :city, cell, ST_Transform(ST_MakeEnvelope(east, north, east + 100, north + 100,
        CAST(:srid AS integer)), 4326), 10000 FROM square
    """,
    "INSERT INTO grid (city_id, grid_id, level) SELECT :city, n, 1 FROM generate_series(1, 6562) n",
    """
    INSERT INTO net (city_id, seq, effective_from, hash)
    VALUES (:city, 1, '2024-01-01', '\\x01'), (:city, 2, '2026-01-01', '\\x02')
    """,
    """
    INSERT INTO net_cell (city_id, cell_id, from_seq, to_seq, grid_id)
    SELECT :city, cell, 1, CASE WHEN before = after THEN 2147483647 ELSE 2 END, before FROM square
    """,
    """
    INSERT INTO net_cell (city_id, cell_id, from_seq, grid_id)
    SELECT :city, cell, 2, after FROM square WHERE before <> after
    """,
    """
    INSERT INTO category (city_id, category, name, name_en, root)
    SELECT :city, k, k, k, 'event' FROM unnest(CAST(:categories AS text[])) AS k
    """,
    """
    INSERT INTO issue (city_id, issue_id, geom, cell_id, owner_grid, category, channel, state,
        reported_at)
    SELECT :city, n, ST_Transform(ST_SetSRID(ST_MakePoint(s.east + 10 + n * 7919 % 80,
            s.north + 10 + n * 104729 % 80), CAST(:srid AS integer)), 4326), s.cell, s.before,
        (CAST(:categories AS text[]))[1 + n % 5], 'worker', 'closed',
        timestamptz '2024-01-01 00:00+08' + (n * 48611 % (700 * 1440)) * interval '1 minute'
    FROM generate_series(1, CAST(:issues AS bigint)) AS n
    JOIN square AS s ON s.cell = 1 + n * 15485863 % (CAST(:columns AS bigint) * :rows)
    """,
    """
    CREATE TABLE benchmark_net AS
    SELECT after AS grid_id, ST_Transform(ST_Segmentize(ST_Union(ST_MakeEnvelope(east, north,
        east + 100, north + 100, CAST(:srid AS integer))), 35), 4326) AS boundary
    FROM square GROUP BY after
    """,
    "CREATE INDEX ON issue USING gist (geom)",
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
    SELECT n.grid_id, sum(i.issues) FROM (
        SELECT cell_id, count(*) AS issues FROM issue
        WHERE city_id = :city AND set_aside IS NULL GROUP BY cell_id
    ) AS i
    JOIN net_cell AS n ON n.city_id = :city AND n.cell_id = i.cell_id
        AND n.from_seq <= 2 AND n.to_seq > 2
    GROUP BY n.grid_id
    """
)
_ONE_CORE = text("SET max_parallel_workers_per_gather = 0")


def cases() -> Iterator[Case]:
    """Yield the cases of all issues of a large city on its second net."""
    made_from = (
        "benchmarks/restated.py", "geo/migrations/versions/*.py", "geo/store/packing.py",
    )  # fmt: skip
    with stands.stand("restated", made_from, lambda: iter(()), _prepare) as stand:
        engine = stand.engine
        told = f"{ISSUES:,} issues on another net of 6,562 grids"
        yield Case(
            name="stored",
            title=f"{told}, from stored counts",
            ours=lambda: _ours(engine),
            peers={
                JOIN: lambda: _theirs(engine, _JOIN),
                BY_CELL: lambda: _theirs(engine, _BY_ROW),
            },
            measures=[Measure(CPU, "s", JOIN_GOAL, (JOIN,))],
            agree=_same,
            servers=stand.servers,
            note="all on one core; the join is polygons outside, points by their index; grids of "
            "about 40 vertices on 78,744 square cells; whole years; a period that parts a year "
            "reads its months",
        )
        yield Case(
            name="by_cell",
            title=f"{told}, row by row through the cell",
            ours=lambda: _theirs(engine, _BY_ROW),
            peers={JOIN: lambda: _theirs(engine, _JOIN)},
            measures=[Measure(CPU, "s", CELL_GOAL, (JOIN,))],
            agree=_same,
            servers=stand.servers,
        )


def _prepare(engine: Engine) -> None:
    with owner_transaction(engine) as session:
        city = service.create_city(
            session, SLUG, name=SLUG, profile="cn", county_code="990101", lon=120.4, lat=37.6
        )
        srid = session.scalar(text("SELECT metre_srid FROM city"))
        session.execute(text(_UNBOUND))
        asked = {"city": city, "srid": srid, "categories": list(CATEGORIES), "issues": ISSUES}
        asked |= {"columns": COLUMNS, "rows": ROWS}
        for statement in (_GROUND, *_FILLED):
            session.execute(text(statement), asked)
        packing.pack(session, city)


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
