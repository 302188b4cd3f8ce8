"""Drafts opened and redrawn with commit: in a city of 454 grids, and in 15 copies of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from benchmarks import stands
from benchmarks.harness import Case, DisagreementError, Measure, Outcome
from geo import service
from geo.dataset import CityDataset
from geo.db import Viewer, owner_transaction
from geo.demo import generate
from geo.errors import WanggeError
from geo.store import drafts, nets
from geo.tables import City, UserAccount
from geo.terms import Role

COPIES: Final = 15
SMALL_MS, LARGE_MS_A_CELL, OPEN_MS = 100.0, 0.2, 300.0
EDITS_A_ROUND: Final = 40
AWAY: Final = 10_000_000
"""What is added to the numbers of each copy."""
COPIED: Final = (
    "level", "vintage", "grid", "cell", "cell_value", "net", "grid_code", "net_grid", "net_cell",
    "net_exception", "net_count", "net_value", "street", "barrier",
)  # fmt: skip
SHIFTED: Final = (
    "grid_id", "parent_id", "cell_id", "street_id", "barrier_id", "area_1", "area_2", "area_3",
    "area_4", "area_5", "area_6",
)  # fmt: skip
ONCE: Final = ("level", "vintage", "net")
MADE_FROM: Final = (
    "benchmarks/editing.py",
    "geo/dataset.py",
    "geo/demo/*.py",
    "geo/migrations/versions/*.py",
    "geo/store/loading.py",
)


@dataclass
class Desk:
    """A city, its planner, and a plan."""

    stand: stands.Stand
    city: int
    planner: Viewer
    plan: int = 0

    def do(self, work: Callable[[Session], Any]) -> tuple[float, Any]:
        """Return how long a transaction took with its commit, in milliseconds, and its answer."""
        began = time.perf_counter()
        with self.stand.database.transaction(self.planner) as session:
            answer = work(session)
        return (time.perf_counter() - began) * 1e3, answer

    def open(self) -> tuple[float, int]:
        """Open a plan of the live net."""
        return self.do(
            lambda session: drafts.open_plan(
                session, self.planner, nets.moment(session, self.city), "方案"
            )
        )

    def edit(self, op: str, **args: Any) -> tuple[float, Any]:
        """Redraw the plan on the versions of now."""
        known = {one["grid"]: one["version"] for one in self.grids()}
        return self.do(
            lambda session: drafts.apply(session, self.planner, self.plan, op, args, known)
        )

    def grids(self) -> list[dict[str, Any]]:
        """Return the grids of the plan."""
        return list(self.do(lambda s: drafts.grids(s, self.planner, self.plan))[1])


def cases() -> Iterator[Case]:
    """Yield openings, small and large edits at both sizes."""
    with stands.stand("editing", MADE_FROM, lambda: iter([_demo()]), _copies) as stand:
        for slug, name in (("demo", "454"), ("large", "6810")):
            desk = _desk(stand, slug)
            yield _case(f"open-{name}", "A draft of the live net is opened", _opened(desk), OPEN_MS)
            yield _case(
                f"small-{name}",
                "Edits of at most 4 grids and 1,000 cells, p95 with commit",
                _small(desk),
                SMALL_MS,
            )
            yield _case(
                f"large-{name}",
                "What an edit of thousands of cells takes more, for each cell",
                _large(desk),
                LARGE_MS_A_CELL,
            )


def _demo() -> CityDataset:
    return generate(issues=0)


def _case(name: str, title: str, ours: Callable[[], Outcome], limit_ms: float) -> Case:
    return Case(
        name=name,
        title=title,
        ours=ours,
        peers={},
        measures=[Measure("ms", "ms", goal=1.0, limit=limit_ms)],
        agree=_agree,
        note="The database of benchmarks does not wait for the disk.",
    )


def _agree(ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise DisagreementError(f"{ours} is not {theirs}")


def _desk(stand: stands.Stand, slug: str) -> Desk:
    with owner_transaction(stand.engine) as session:
        city = session.execute(select(City.city_id).where(City.slug == slug)).scalar_one()
        user = session.execute(
            select(UserAccount.user_id).where(
                UserAccount.city_id == city, UserAccount.role == Role.PLANNER.value
            )
        ).scalars().first()  # fmt: skip
    return Desk(stand, city, Viewer(Role.PLANNER, city, user))


def _opened(desk: Desk) -> Callable[[], Outcome]:
    def ours() -> Outcome:
        took, plan = desk.open()
        desk.do(lambda session: drafts.delete(session, desk.planner, plan))
        return Outcome(None, {"ms": took})

    return ours


def _small(desk: Desk) -> Callable[[], Outcome]:
    """Move, part and merge at random places, and take each edit back."""
    rng = np.random.default_rng(1)

    def ours() -> Outcome:
        desk.plan = desk.open()[1]
        pairs = _beside(desk)
        took: list[float] = []
        refused = 0
        while len(took) < EDITS_A_ROUND:
            one, two, cells, own = pairs[int(rng.integers(len(pairs)))]
            wish: tuple[str, dict[str, Any]] = [
                ("move", {"cells": cells[: int(rng.integers(1, 4))], "into": two}),
                ("merge", {"grids": sorted([one, two]), "into": two}),
                ("rename", {"grid": one, "name": "新名"}),
                ("split", {"grid": one, "parts": [own[: len(own) // 2]]}),
            ][int(rng.integers(4))]
            try:
                took.append(desk.edit(wish[0], **wish[1])[0])
            except WanggeError:
                refused += 1
                continue
            with suppress(WanggeError):
                took.append(desk.do(lambda s: drafts.undo(s, desk.planner, desk.plan))[0])
        desk.do(lambda session: drafts.delete(session, desk.planner, desk.plan))
        return Outcome(None, {"ms": float(np.quantile(took, 0.95))})

    return ours


def _large(desk: Desk) -> Callable[[], Outcome]:
    """Merge all grids of a community of a few thousand cells."""

    def ours() -> Outcome:
        desk.plan = desk.open()[1]
        grids, kept = _community(desk)
        took, done = desk.edit("merge", grids=grids, into=kept)
        desk.do(lambda session: drafts.delete(session, desk.planner, desk.plan))
        return Outcome(None, {"ms": max(took - SMALL_MS, 0.001) / done.cells})

    return ours


def _beside(desk: Desk) -> list[tuple[int, int, list[int], list[int]]]:
    """Return pairs of leaf grids of one parent, border cells of the first one, all its cells."""
    asked = text("""
        WITH few AS (
            SELECT g.grid_id, g.parent_id, g.level FROM net_grid AS g
            JOIN net_count AS n ON n.city_id = g.city_id AND n.grid_id = g.grid_id AND n.seq = 1
            WHERE g.city_id = :city AND n.cells BETWEEN 20 AND 400 AND EXISTS (
                SELECT FROM net_cell AS c WHERE c.city_id = g.city_id AND c.grid_id = g.grid_id)
            ORDER BY g.grid_id LIMIT 60)
        SELECT few.grid_id, y.grid_id, array_agg(DISTINCT a.cell_id)
        FROM few
        JOIN net_cell AS x ON x.city_id = :city AND x.grid_id = few.grid_id
        JOIN cell AS a ON a.city_id = :city AND a.cell_id = x.cell_id
        JOIN cell AS b ON b.city_id = :city AND b.geom && a.geom
        JOIN net_cell AS y ON y.city_id = :city AND y.cell_id = b.cell_id
        JOIN net_grid AS h ON h.city_id = :city AND h.grid_id = y.grid_id
        WHERE y.grid_id <> few.grid_id AND h.parent_id = few.parent_id AND h.level = few.level
        GROUP BY 1, 2
    """)
    with owner_transaction(desk.stand.engine) as session:
        rows = session.execute(asked, {"city": desk.city}).all()
        own = text("SELECT cell_id FROM net_cell WHERE city_id = :city AND grid_id = :grid")
        return [
            (
                int(one),
                int(two),
                sorted(cells),
                sorted(session.scalars(own, {"city": desk.city, "grid": one})),
            )
            for one, two, cells in rows
        ]


def _community(desk: Desk) -> tuple[list[int], int]:
    """Return the leaf grids of the parent with most cells, and the one that keeps them."""
    asked = text("""
        SELECT array_agg(g.grid_id ORDER BY g.grid_id) FROM net_grid AS g
        JOIN net_count AS n ON n.city_id = g.city_id AND n.grid_id = g.grid_id AND n.seq = 1
        WHERE g.city_id = :city AND g.parent_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM net_grid AS b WHERE b.city_id = g.city_id AND b.parent_id = g.grid_id)
        GROUP BY g.parent_id, g.level HAVING count(*) > 1 ORDER BY sum(n.cells) DESC LIMIT 1
    """)
    with owner_transaction(desk.stand.engine) as session:
        grids = [int(one) for one in session.execute(asked, {"city": desk.city}).scalar_one()]
    return grids, grids[0]


# ---- a large city --------------------------------------------------------------------------------


def _copies(engine: Engine) -> None:
    """Make a city of copies of the demo city beside each other, whole in itself."""
    with owner_transaction(engine) as session:
        source = session.execute(select(City.city_id).where(City.slug == "demo")).scalar_one()
        service.create_demo_accounts(session, "demo")
        city = _like(session, source)
        box = text(
            "SELECT ST_XMax(box) - ST_XMin(box), ST_YMax(box) - ST_YMin(box)"
            " FROM (SELECT ST_Extent(geom) AS box FROM cell WHERE city_id = :city) AS extent"
        )
        width, height = session.execute(box, {"city": source}).one()
        for number in range(COPIES):
            step = (number % 4 * width * 1.02, number // 4 * height * 1.02)
            for table in COPIED:
                if number == 0 or table not in ONCE:
                    _copied(session, table, source, city, number, step)
        service.create_demo_accounts(session, "large")


def _like(session: Session, source: int) -> int:
    columns = ", ".join(_columns(session, "city", leave=("city_id", "slug")))
    statement = f"INSERT INTO city (slug, {columns}) SELECT 'large', {columns} FROM city"
    found = session.execute(text(f"{statement} WHERE city_id = :city RETURNING city_id"),
                            {"city": source})  # fmt: skip
    return int(found.scalar_one())


def _columns(session: Session, table: str, leave: tuple[str, ...] = ()) -> list[str]:
    asked = text(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name = :table AND is_generated = 'NEVER' ORDER BY ordinal_position"
    )
    return [name for name in session.scalars(asked, {"table": table}) if name not in leave]


def _copied(
    session: Session, table: str, source: int, city: int, number: int, step: tuple[float, float]
) -> None:
    told = []
    columns = _columns(session, table)
    for name in columns:
        value = name
        if name == "city_id":
            value = ":city"
        elif name in SHIFTED:
            value = f"{name} + :away"
        elif name in ("geom", "boundary"):
            value = f"ST_Translate({name}, :east, :north)"
        elif name == "code" and table in ("net_grid", "grid_code"):
            value = "code || '-' || :number"
        told.append(value)
    session.execute(
        text(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(told)} FROM {table}"
            " WHERE city_id = :source"
        ),
        {
            "city": city, "source": source, "away": number * AWAY, "east": step[0],
            "north": step[1], "number": str(number),
        },
    )  # fmt: skip
