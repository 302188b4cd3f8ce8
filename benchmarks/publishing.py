"""Plans published: 5,000 cells change hands in a city of 454 grids, and in 15 copies of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from benchmarks import editing, stands
from benchmarks.harness import CPU, Case, DisagreementError, Measure, Outcome
from geo.db import Viewer, owner_transaction
from geo.demo import generate
from geo.store import comparing, drafts, nets, publishing
from geo.store.drafts import rows
from geo.store.publishing import content
from geo.tables import City, Plan, UserAccount
from geo.terms import PlanState, Role

LIMIT_S, IMPACT_S = 2.0, 10.0
CELLS: Final = 5_000
_PAIRS: Final = text("""
    SELECT a.grid_id AS gone, b.grid_id AS stays, k.cells
    FROM net_grid AS a
    JOIN net_grid AS b ON b.city_id = a.city_id AND b.parent_id = a.parent_id
        AND b.grid_id > a.grid_id AND ST_Relate(a.boundary, b.boundary, 'FF2F11212')
    JOIN net_count AS k ON k.city_id = a.city_id AND k.seq = :seq AND k.grid_id = a.grid_id
    WHERE a.city_id = :city AND a.level = 3 AND NOT EXISTS (
        SELECT FROM net_grid AS x WHERE x.city_id = a.city_id
            AND x.parent_id IN (a.grid_id, b.grid_id))
    ORDER BY a.grid_id, b.grid_id
""")


def cases() -> Iterator[Case]:
    """Yield publications at both sizes: wall time of the transaction, and its CPU."""
    made = (lambda: iter([generate(issues=0)]), editing._copies)
    with stands.stand("editing", editing.MADE_FROM, *made) as stand:
        for slug, name in (("demo", "454"), ("large", "6810")):
            yield Case(
                name=f"cells-{name}",
                title=f"A plan in which {CELLS} cells change hands is published",
                ours=_published(stand, slug),
                peers={},
                measures=[
                    Measure("s", "s", goal=1.0, limit=LIMIT_S),
                    Measure(CPU, "s", goal=1.0, limit=LIMIT_S, row="cpu"),
                ],
                agree=_agree,
                servers=stand.servers,
                note="One transaction, derived figures included, rolled back; the full validator"
                " ran at the approval. CPU holds preparing and reading the plan as well.",
            )
            yield Case(
                name=f"impact-{name}",
                title=f"What a plan means in which {CELLS} cells change hands",
                ours=_told(stand, slug),
                peers={},
                measures=[Measure("s", "s", goal=1.0, limit=IMPACT_S)],
                agree=_agree,
                servers=stand.servers,
                note="Before and after: grids, households, balance, compactness, posts, crosswalk.",
            )


def _agree(ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise DisagreementError(f"{ours} is not {theirs}")


def _published(stand: stands.Stand, slug: str) -> Callable[[], Outcome]:
    """Return what publishes one approved plan again and again, and takes it back each time."""
    plan, viewer = _approved(stand, slug)

    def ours() -> Outcome:
        with owner_transaction(stand.engine) as session:
            day = nets.moment(session, viewer.city_id or 0).day + timedelta(days=3)
            began = time.perf_counter()
            done = publishing.publish(session, viewer, plan, day)
            session.flush()
            took = time.perf_counter() - began
            session.rollback()
        return Outcome((done.cells, done.hash), {"s": took})

    return ours


def _told(stand: stands.Stand, slug: str) -> Callable[[], Outcome]:
    """Return what reckons the impact of an approved plan."""
    plan, viewer = _approved(stand, slug)

    def ours() -> Outcome:
        began = time.perf_counter()
        with stand.database.transaction(viewer) as session:
            report = comparing.impact(session, viewer, plan)[1]
        return Outcome(report["cells_moved"], {"s": time.perf_counter() - began})

    return ours


def _approved(stand: stands.Stand, slug: str) -> tuple[int, Viewer]:
    """Return an approved plan that merges neighbours until so many cells have changed hands."""
    with owner_transaction(stand.engine) as session:
        city = session.execute(select(City.city_id).where(City.slug == slug)).scalar_one()
        user = session.scalars(
            select(UserAccount.user_id).where(
                UserAccount.city_id == city, UserAccount.role == Role.PLANNER.value
            )
        ).first()
        viewer = Viewer(Role.PLANNER, city, user)
        at = nets.moment(session, city)
        plan = drafts.open_plan(session, viewer, at, "发布")
        known = {one["grid"]: one["version"] for one in drafts.grids(session, viewer, plan)}
        used: set[int] = set()
        moved = 0
        for gone, stays, cells in session.execute(_PAIRS, {"city": city, "seq": at.seq}).all():
            if moved < CELLS and not {gone, stays} & used:
                args = {"grids": [gone, stays], "into": stays}
                known |= drafts.apply(session, viewer, plan, "merge", args, known).touched
                used |= {gone, stays}
                moved += cells
        _approve(session, viewer, plan)
    return plan, viewer


def _approve(session: Session, viewer: Viewer, plan_id: int) -> None:
    """Approve a plan as a second person would: the validator's time is not what is measured."""
    for post in publishing.posts(session, viewer, plan_id):
        publishing.settle_posts(session, viewer, plan_id, {post["post"]: post["proposed"]})
    plan = session.get_one(Plan, (viewer.city_id, plan_id))
    draft = rows.draft_of(plan)
    seen = content.content_of(session, draft)
    plan.checked = content.checked_of(session, draft, seen)
    plan.approved_hash, plan.state = seen, PlanState.APPROVED.value
    plan.publishers = [viewer.user_id or 0]
