"""A tiny city with three people at two plans, for the tests of publications."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo import service
from geo.db import Database, Viewer, owner_transaction
from geo.store import drafts, nets, publishing
from geo.store.publishing.writing import Published
from geo.tables import City, UserAccount
from geo.terms import Role
from tests.cities import cell_at
from tests.conftest import MigratedDatabase


def at(*places: tuple[int, int]) -> list[int]:
    """Return the cells at places of the lattice."""
    return [cell_at(*place) for place in places]


@dataclass
class Office:
    """The tiny city: a planner, a second person, and what they do one after the other."""

    migrated: MigratedDatabase
    door: Database
    city: int = 0
    planner: Viewer = field(default_factory=Viewer)
    second: Viewer = field(default_factory=Viewer)

    @classmethod
    def of(cls, migrated: MigratedDatabase) -> Office:
        """Return the office of a city that was just copied."""
        office = cls(migrated, migrated.application())
        with migrated.engine.connect() as connection:
            office.city = int(connection.scalar(select(City.city_id)) or 0)
            users = {
                row[0]: row[1]
                for row in connection.execute(select(UserAccount.role, UserAccount.user_id))
            }
        office.planner = Viewer(Role.PLANNER, office.city, users["planner"])
        office.second = Viewer(Role.ADMINISTRATOR, office.city, users["administrator"])
        return office

    @contextmanager
    def at_work(self, viewer: Viewer | None = None) -> Iterator[Session]:
        """One transaction of a member, as the application makes them."""
        with self.door.transaction(viewer or self.planner) as session:
            yield session

    @contextmanager
    def owner(self) -> Iterator[Session]:
        """One transaction of the owner."""
        with owner_transaction(self.migrated.engine) as session:
            yield session

    @property
    def today(self) -> date:
        """Today in the city's zone."""
        with self.owner() as session:
            return nets.moment(session, self.city).day

    def day(self, later: int) -> date:
        """Return a day from today on."""
        return self.today + timedelta(days=later)

    def open(self, name: str = "方案甲", **how: Any) -> int:
        """Open a plan of the planner's with the second person as a member who publishes."""
        with self.at_work() as session:
            plan = drafts.open_plan(
                session, self.planner, nets.moment(session, self.city), name, **how
            )
            members = {self.second.user_id or 0: ["publish", "draw"]}
            drafts.set_members(session, self.planner, plan, members)
        return plan

    def edit(self, plan: int, op: str, viewer: Viewer | None = None, **args: Any) -> drafts.Applied:
        """Redraw a plan on the versions of now."""
        who = viewer or self.planner
        with self.at_work(who) as session:
            known = {one["grid"]: one["version"] for one in drafts.grids(session, who, plan)}
        with self.at_work(who) as session:
            return drafts.apply(session, who, plan, op, args, known)

    def card(self, plan: int) -> dict[str, Any]:
        """Return where a plan stands."""
        with self.at_work() as session:
            return publishing.card(session, self.planner, plan)

    def submit(self, plan: int) -> str:
        """Hand a plan in; return the hash of what it says."""
        with self.at_work() as session:
            return str(publishing.submit(session, self.planner, plan)["content"])

    def approve(self, plan: int) -> None:
        """Hand a plan in and approve it as the second person."""
        content = self.submit(plan)
        with self.at_work(self.second) as session:
            publishing.approve(session, self.second, plan, content)

    def publish(self, plan: int, on: date) -> Published:
        """Publish an approved plan, as the owner does it for the second person."""
        with self.owner() as session:
            return publishing.publish(session, self.second, plan, on)

    def rebase(self, plan: int, choices: dict[str, str] | None = None) -> publishing.Rebasing:
        """Put a plan on the last net."""
        with self.at_work() as session:
            return publishing.rebase(session, self.planner, plan, choices or {})

    def faults(self) -> list[dict[str, Any]]:
        """Return what the validator of the whole city finds."""
        with self.owner() as session:
            slug = session.scalar(select(City.slug)) or ""
            return list(service.check_city(session, slug)["faults"])

    def leaf(self, place: tuple[int, int], seq: int) -> int:
        """Return the leaf grid of a cell on a net."""
        with self.owner() as session:
            asked = text(
                "SELECT grid_id FROM net_cell WHERE cell_id = :cell AND from_seq <= :seq"
                " AND :seq < to_seq"
            )
            return int(session.scalar(asked, {"cell": cell_at(*place), "seq": seq}) or 0)

    def run(self, grid: int, seq: int) -> Any:
        """Return the run of a grid on a net; None where it has no such grid."""
        with self.owner() as session:
            return session.execute(
                text(
                    "SELECT name, parent_id, code, kind, from_seq, area_2,"
                    " ST_AsBinary(boundary) AS boundary FROM net_grid"
                    " WHERE grid_id = :grid AND from_seq <= :seq AND :seq < to_seq"
                ),
                {"grid": grid, "seq": seq},
            ).one_or_none()
