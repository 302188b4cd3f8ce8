"""Organisations of the made-up city, its workers, and the posts they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geo.dataset import shaped
from geo.demo import names
from geo.demo.days import Days
from geo.demo.division import shared_out
from geo.demo.ground import METRE_SRID
from geo.demo.hierarchy import Net
from geo.demo.places import Compounds, Labels
from geo.terms import CompoundRole

Ints = NDArray[np.int64]
Array = NDArray[Any]
Rng = np.random.Generator

WORKERS_PER_GRID: Final = 800 / 454
HIRED_FROM: Final = date(2023, 3, 1)
SWITCH: Final = date(2026, 4, 1)
"""Day on which a few posts, and a few compounds, passed to a successor."""
MANAGED_FROM: Final = date(2020, 1, 1)
CHANGED_FIRM: Final = 0.06


@dataclass
class Organisations:
    """The tree as rows, and who is who in it."""

    rows: list[tuple[str, str, int | None, int | None, int | None]] = field(default_factory=list)
    departments: list[int] = field(default_factory=list)
    of_row: dict[int, int] = field(default_factory=dict)
    firms: list[int] = field(default_factory=list)
    committee_of: dict[int, int] = field(default_factory=dict)

    def add(
        self,
        name: str,
        kind: str,
        parent: int | None = None,
        grid: int | None = None,
        compound: int | None = None,
    ) -> int:
        """Add an organisation and return its id."""
        self.rows.append((name, kind, parent, grid, compound))
        return len(self.rows)

    def frame(self) -> pd.DataFrame:
        """Return the organisations of the dataset."""
        return shaped(
            "organisations",
            {
                "organisation_id": np.arange(1, len(self.rows) + 1),
                "name": [row[0] for row in self.rows],
                "kind": [row[1] for row in self.rows],
                "parent_id": pd.array([row[2] for row in self.rows], dtype="Int64"),
                "grid_id": pd.array([row[3] for row in self.rows], dtype="Int64"),
                "compound_id": pd.array([row[4] for row in self.rows], dtype="Int64"),
                "building_id": [pd.NA] * len(self.rows),
                "station_id": [pd.NA] * len(self.rows),
            },
            METRE_SRID,
        )


def found_organisations(
    city: str, net: Net, labels: Labels, compounds: Compounds, compound_row: Ints, rng: Rng
) -> Organisations:
    """Found offices, departments, committees, party branches, firms and owners' committees.

    Parameters
    ----------
    city : str
        Name of the city.
    net : Net
    labels : Labels
    compounds : Compounds
    compound_row : ndarray of int, shape (compounds,)
        Row of the net (grid) in which most of each compound lies.
    rng : numpy.random.Generator
    """
    made = Organisations()
    root = made.add(f"{city}网格化服务管理中心", "city_office")
    made.departments = [
        made.add(f"{city}{name}", "department", root) for name, _ in names.DEPARTMENTS
    ]
    police = made.departments[2]
    for row, (level, above) in enumerate(zip(net.level, net.parent, strict=True)):
        name = labels.grid[row]
        if level == 1:
            made.of_row[row] = made.add(f"{name}办事处", "subdistrict_office", root, row + 1)
            made.add(f"{name.removesuffix('街道')}派出所", "police_station", police, row + 1)
        elif level == 2:
            kind = "村民委员会" if name.endswith("村") else "居民委员会"
            own = made.add(f"{name}{kind}", "community_committee", made.of_row[above], row + 1)
            made.of_row[row] = own
            made.add(f"{name}志愿服务队", "volunteer_team", own, row + 1)
        elif level == 3:
            full = f"{labels.grid[above]}{name}"
            made.of_row[row] = made.add(
                f"{full}党支部", "party_branch", made.of_row[above], row + 1
            )
        else:
            full = f"{labels.grid[net.parent[above]]}{labels.grid[above]}{name}"
            made.of_row[row] = made.add(f"{full}党小组", "party_group", made.of_row[above], row + 1)
    _property(made, net, compounds, compound_row, rng)
    return made


def _property(
    made: Organisations, net: Net, compounds: Compounds, compound_row: Ints, rng: Rng
) -> None:
    """Firms that run compounds, and owners' committees in most of the newer ones."""
    fresh = names.unique(rng, names.FIRST, names.SECOND, ())
    count = max(3, len(compounds.name) // 7)
    made.firms = [made.add(f"{next(fresh)}物业服务有限公司", "property_firm") for _ in range(count)]
    for i, (name, kind) in enumerate(zip(compounds.name, compounds.type, strict=True)):
        if rng.random() < (0.25 if kind == "old" else 0.62):
            row = int(compound_row[i])
            above = made.of_row[int(net.parent[row]) if net.level[row] == 3 else row]
            made.committee_of[i] = made.add(
                f"{name}业主委员会", "owners_committee", above, compound=i + 1
            )


def firms_of(made: Organisations, compounds: Compounds, rng: Rng) -> list[int | None]:
    """Firm of each compound; large firms have many, some old compounds have none."""
    share = 1.0 / np.arange(1, len(made.firms) + 1) ** 0.7
    picked = rng.choice(np.array(made.firms), len(compounds.name), p=share / share.sum())
    without = np.array([0.55 if kind == "old" else 0.09 for kind in compounds.type])
    none = rng.random(len(picked)) < without
    return [None if gone else int(firm) for firm, gone in zip(picked, none, strict=True)]


def bodies_frame(
    made: Organisations, firms: list[int | None], days: Days, rng: Rng
) -> pd.DataFrame:
    """Return firms and owners' committees of the compounds, dated; a few firms began on `SWITCH`.

    Parameters
    ----------
    made : Organisations
    firms : list of int or None
        Firm of each compound today.
    days : Days
    rng : numpy.random.Generator
    """
    rows: list[tuple[int, str, int, date, date | None]] = []
    first, switch = days.on(MANAGED_FROM), days.on(SWITCH)
    for i, firm in enumerate(firms):
        since = first + timedelta(days=int(rng.integers(0, 2000)))
        before = int(rng.choice(np.array(made.firms)))
        changed = rng.random() < CHANGED_FIRM
        if firm is not None and changed and before != firm:
            rows.append((i + 1, CompoundRole.FIRM, before, since, switch))
            since = switch
        if firm is not None:
            rows.append((i + 1, CompoundRole.FIRM, firm, since, None))
        elected = first + timedelta(days=int(rng.integers(0, 2000)))
        if i in made.committee_of:
            rows.append((i + 1, CompoundRole.COMMITTEE, made.committee_of[i], elected, None))
    names_of = ("compound_id", "role", "organisation_id", "valid_from", "valid_to")
    columns: dict[str, Any] = {name: [row[k] for row in rows] for k, name in enumerate(names_of)}
    columns["role"] = [str(role) for role in columns["role"]]
    columns["valid_from"] = pd.to_datetime(columns["valid_from"])
    columns["valid_to"] = pd.to_datetime(columns["valid_to"])
    return shaped("compound_bodies", columns, METRE_SRID)


@dataclass
class Staff:
    """Workers and posts as they are hired."""

    rng: Rng
    days: Days
    workers: int = 0
    posts: list[tuple[int | None, int, str, date, date | None, bool]] = field(default_factory=list)

    def hire(self) -> int:
        """Return the id of a new worker."""
        self.workers += 1
        return self.workers

    def post(self, worker: int | None, row: int, role: str, *, part_time: bool = False) -> None:
        """Add a post in a grid; a few passed from a predecessor on `SWITCH`."""
        switch = self.days.on(SWITCH)
        start = self.days.on(HIRED_FROM) + timedelta(days=int(self.rng.integers(0, 1000)))
        if worker is not None and role == "worker" and self.rng.random() < 0.03:
            self.posts.append((self.hire(), row + 1, role, start, switch, part_time))
            start = switch
        self.posts.append((worker, row + 1, role, start, None, part_time))


def staff_the_net(net: Net, days: Days, rng: Rng) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hire workers and give them posts; return the frames of workers and posts.

    Every grid has a team: a head (one for several grids), a full-time worker (some have several
    grids, some posts are vacant), the community's police officer, and part-time assistants while
    the number of workers lasts (about `WORKERS_PER_GRID` for each grid). Units have heads.
    """
    staff = Staff(rng, days)
    grids = np.flatnonzero(net.level == 3)
    wanted = round(len(grids) * WORKERS_PER_GRID)
    for row in np.flatnonzero(net.level == 1):
        staff.post(staff.hire(), int(row), "contact_leader", part_time=True)
    leader = 0
    for turn, row in enumerate(np.flatnonzero(net.level == 2)):
        if turn % 2 == 0:
            leader = staff.hire()
        staff.post(leader, int(row), "contact_leader", part_time=True)
        _community_team(staff, net, int(row))
    _unit_heads(staff, net, wanted)
    _assistants(staff, grids, max(0, wanted - staff.workers))
    return _worker_frame(staff, rng), _post_frame(staff)


def _community_team(staff: Staff, net: Net, community: int) -> None:
    """Heads, police officer and full-time workers of one community."""
    rng = staff.rng
    grids = np.flatnonzero((net.parent == community) & (net.level == 3))
    police, secretary = staff.hire(), staff.hire()
    staff.post(police, community, "police")
    staff.post(secretary, community, "head")
    heads = [secretary, *(staff.hire() for _ in range(max(1, round(len(grids) / 4.5)) - 1))]
    several = max(1, round(len(grids) * 0.07)) if len(grids) > 3 else 0
    worker, left = 0, 0
    for turn, row in enumerate(grids):
        staff.post(heads[turn * len(heads) // len(grids)], int(row), "head")
        staff.post(police, int(row), "police")
        if rng.random() < 0.025:
            staff.post(None, int(row), "worker")
            continue
        if left == 0:
            worker = staff.hire()
            left = int(rng.integers(2, 4)) if several > 0 and rng.random() < 0.12 else 1
            several -= left > 1
        staff.post(worker, int(row), "worker")
        left -= 1


def _unit_heads(staff: Staff, net: Net, wanted: int) -> None:
    """Let a resident head each unit, part time; one in fifteen posts is vacant."""
    units = np.flatnonzero(net.level == 4)
    vacant = staff.rng.random(len(units)) < 0.066
    room = max(wanted - staff.workers - (net.level == 3).sum() // 8, len(units) // 2)
    held = units[~vacant]
    persons = [staff.hire() for _ in range(min(len(held), room))]
    for turn, row in enumerate(held):
        person = persons[turn * len(persons) // len(held)]
        staff.post(person, int(row), "unit_head", part_time=True)
    for row in units[vacant]:
        staff.post(None, int(row), "unit_head", part_time=True)


def _assistants(staff: Staff, grids: Ints, persons: int) -> None:
    """Couriers, property staff and volunteers help part time, each in one to three grids."""
    if persons == 0:
        return
    share = shared_out(np.ones(persons), max(persons, len(grids)))
    first, second = staff.rng.permutation(grids), staff.rng.permutation(grids)
    places = np.concatenate([np.sort(first[: round(0.8 * len(grids))]), second])
    at = 0
    for count in share:
        person = staff.hire()
        for _ in range(int(count)):
            staff.post(person, int(places[at % len(places)]), "assistant", part_time=True)
            at += 1


def _worker_frame(staff: Staff, rng: Rng) -> pd.DataFrame:
    count = staff.workers
    return shaped(
        "workers",
        {
            "worker_id": np.arange(1, count + 1),
            "duty_number": [f"89{i:06d}" for i in range(1, count + 1)],
            "name": names.people(count, rng),
            "name_consent": rng.random(count) < 0.3,
        },
        METRE_SRID,
    )


def _post_frame(staff: Staff) -> pd.DataFrame:
    posts = staff.posts
    return shaped(
        "posts",
        {
            "post_id": np.arange(1, len(posts) + 1),
            "worker_id": pd.array([p[0] for p in posts], dtype="Int64"),
            "grid_id": [p[1] for p in posts],
            "role": [p[2] for p in posts],
            "valid_from": np.array([p[3] for p in posts], dtype="datetime64[s]"),
            "valid_to": np.array([p[4] for p in posts], dtype="datetime64[s]"),
            "part_time": [p[5] for p in posts],
        },
        METRE_SRID,
    )
