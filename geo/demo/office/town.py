"""The town as those see it who make up its office: territories, issues by place, who signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.dataset import CityDataset, shaped
from geo.demo.ground import METRE_SRID
from geo.terms import CompoundRole, Role

Array = NDArray[Any]
Rng = np.random.Generator

UTC_OFFSET: Final = np.timedelta64(8, "h")
GRIDS_OF_A_TOWN: Final = 454
LETTERS: Final = np.array(list("23456789ABCDEFGHJKMNPQRSTUVWXYZ"))
DAY: Final = np.timedelta64(1, "D")


@dataclass
class Accounts:
    """Those who signed: two desks of each sub-district, the city's office, a leader.

    They are shut when the city is loaded: the demo's own accounts are then others, who may agree,
    approve and decide.
    """

    rows: list[tuple[str, str, str, int | None]] = field(default_factory=list)
    office: int = 0
    leader: int = 0
    desks: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, login: str, name: str, role: Role, grid: int | None = None) -> int:
        """Add an account and return its id."""
        self.rows.append((login, name, role.value, grid))
        return len(self.rows)

    def role(self, account: int) -> str:
        """Return the role of an account."""
        return self.rows[account - 1][2]

    def frame(self) -> pd.DataFrame:
        """Return the accounts of the dataset."""
        login, name, role, grid = (list(column) for column in zip(*self.rows, strict=True))
        return shaped(
            "accounts",
            {
                "account_id": np.arange(1, len(self.rows) + 1),
                "login": login,
                "display_name": name,
                "role": role,
                "grid_id": pd.array(grid, dtype="Int64"),
                "organisation_id": pd.array([None] * len(self.rows), dtype="Int64"),
            },
            METRE_SRID,
        )


@dataclass(frozen=True)
class Town:
    """A made-up city, and what its office looks up again and again.

    Attributes
    ----------
    city : CityDataset
    seed : int
    end : datetime64
        First day after the year of requests.
    accounts : Accounts
    issues : DataFrame
        Issues with their lives, `x`, `y` (metres), `leaf`, `grid` (level 3), `community` and
        `subdistrict`.
    """

    city: CityDataset
    seed: int
    end: np.datetime64
    accounts: Accounts
    issues: pd.DataFrame
    taken: set[int] = field(default_factory=set)
    """Issues that came of something already."""

    @classmethod
    def of(cls, city: CityDataset, seed: int, end: np.datetime64) -> Town:
        """Look at a city."""
        accounts = Accounts()
        accounts.office = accounts.add(
            f"office.{city.slug}", f"{city.name}网格中心", Role.ADMINISTRATOR
        )
        accounts.leader = accounts.add(f"signing.{city.slug}", "分管领导", Role.LEADER)
        top = city.grids.loc[city.grids["level"] == 1]
        for n, (grid, name) in enumerate(zip(top["grid_id"], top["name"], strict=True), start=1):
            accounts.desks[int(grid)] = (
                accounts.add(f"street{n}a.{city.slug}", f"{name}综合岗", Role.COMMUNITY, int(grid)),
                accounts.add(f"street{n}b.{city.slug}", f"{name}审核岗", Role.COMMUNITY, int(grid)),
            )
        issues = pd.DataFrame(city.issues.drop(columns="geometry")).merge(
            city.issue_lives, on="issue_id"
        )
        points = city.issues.geometry.to_numpy()
        issues["x"], issues["y"] = shapely.get_x(points), shapely.get_y(points)
        lines = lines_of(city.grids)
        leaf = city.cells.set_index("cell_id")["grid_id"].reindex(issues["cell_id"]).to_numpy()
        issues["leaf"] = leaf
        for name, level in (("subdistrict", 1), ("community", 2), ("grid", 3)):
            issues[name] = lines.loc[leaf, level].to_numpy()
        return cls(city, seed, end, accounts, issues)

    def rng(self, subject: int) -> Rng:
        """Return the chance of one subject, which no other subject disturbs."""
        return np.random.default_rng([self.seed, 40 + subject])

    def many(self, of_a_town: float, least: int = 1) -> int:
        """Return how many there are here of what a town of 454 grids has `of_a_town` of."""
        grids = int((self.city.grids["level"] == 3).sum())
        return max(least, round(of_a_town * grids / GRIDS_OF_A_TOWN))

    def moment(self, days: float, hour: int = 9, minute: int = 0) -> np.datetime64:
        """Return a moment (UTC): days after the end (negative: before), hour in the city's zone."""
        day = self.end + int(np.floor(days)) * DAY
        second = np.timedelta64(hour * 3600 + minute * 60, "s")
        moment: np.datetime64 = day.astype("datetime64[s]") + second - UTC_OFFSET
        return moment

    def day(self, days: float) -> np.datetime64:
        """Return the day so many days after the end."""
        day: np.datetime64 = (self.end + int(np.floor(days)) * DAY).astype("datetime64[s]")
        return day

    @property
    def now(self) -> np.datetime64:
        """Return the end of the year as a moment (UTC)."""
        return self.moment(0, 0)

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of grids."""
        return {
            int(key): str(name)
            for key, name in zip(self.city.grids["grid_id"], self.city.grids["name"], strict=True)
        }

    @cached_property
    def lines(self) -> pd.DataFrame:
        """Return each grid's ancestors: columns are levels, 0 below the grid's own."""
        return lines_of(self.city.grids)

    @cached_property
    def communities(self) -> Array:
        """Return the grids of level 2, busiest first."""
        held = self.issues["community"].value_counts(sort=True)
        return np.array([int(grid) for grid in held.index])

    @cached_property
    def residential(self) -> pd.DataFrame:
        """Cells with homes: `cell_id`, `x`, `y` of a point inside, `community`, `subdistrict`."""
        homes = self.city.buildings.loc[self.city.buildings["households"] > 0]
        cells = self.city.cells.loc[self.city.cells["cell_id"].isin(homes["cell_id"])]
        points = shapely.point_on_surface(cells.geometry.to_numpy())
        frame = pd.DataFrame({"cell_id": cells["cell_id"].to_numpy()})
        frame["x"] = np.round(shapely.get_x(points), 2)
        frame["y"] = np.round(shapely.get_y(points), 2)
        inside = shapely.contains_xy(cells.geometry.to_numpy(), frame["x"], frame["y"])
        leaf = cells["grid_id"].to_numpy()
        for name, level in (("subdistrict", 1), ("community", 2)):
            frame[name] = self.lines.loc[leaf, level].to_numpy()
        held: pd.DataFrame = frame.loc[inside].reset_index(drop=True)
        return held

    @cached_property
    def address_of(self) -> dict[int, str]:
        """Address of each cell that has a building."""
        rows = self.city.addresses.drop_duplicates("cell_id")
        return dict(zip(rows["cell_id"].tolist(), rows["text"].tolist(), strict=True))

    def department(self, word: str) -> int | None:
        """Return the department whose name ends with a word."""
        found = self.city.organisations
        own = found["name"].str.endswith(word) & (found["kind"] == "department")
        return int(found.loc[own, "organisation_id"].iloc[0]) if own.any() else None

    def leads(self) -> dict[str, int]:
        """Return the department that takes each category."""
        frame = self.city.category_leads
        return dict(zip(frame["category"].tolist(), frame["lead_id"].tolist(), strict=True))

    def firm_on(self, compound: pd.Series[Any], day: pd.Series[Any]) -> pd.Series[Any]:
        """Return the firm that managed each compound on a day, NA for none; indexed alike."""
        bodies = self.city.compound_bodies
        firms = bodies.loc[bodies["role"] == CompoundRole.FIRM.value]
        asked = pd.DataFrame({"compound_id": compound, "day": day, "row": np.arange(len(day))})
        both = asked.merge(firms, on="compound_id")
        holds = (both["valid_from"] <= both["day"]) & ~(both["valid_to"] <= both["day"])
        found = both.loc[holds].set_index("row")["organisation_id"]
        firm = found.reindex(np.arange(len(day))).astype("Int64")
        return pd.Series(firm.array, index=compound.index)

    def desk(self, grid: int) -> tuple[int, int]:
        """Return the two desks of the sub-district that a grid lies in."""
        return self.accounts.desks[self.above(grid, 1)]

    def above(self, grid: int, level: int) -> int:
        """Return the grid of a level that a grid lies in."""
        return int(self.lines[level].to_numpy()[self.lines.index.get_loc(grid)])

    def found(
        self,
        categories: Sequence[str],
        since: np.datetime64,
        until: np.datetime64,
        rng: Rng,
        most: int,
        within: tuple[str, int] | None = None,
    ) -> pd.DataFrame:
        """Return issues that came of nothing else yet, in a drawn order; they are taken then.

        Parameters
        ----------
        categories : sequence of str
            Beginnings of codes.
        since, until : datetime64
            Moments (UTC) between which they were reported.
        rng : numpy.random.Generator
        most : int
        within : (str, int), optional
            Column of a territory and its grid.
        """
        row, at, kind = self._fit
        first, last = np.searchsorted(at, np.array([since, until], dtype="datetime64[s]"))
        wanted = [n for n, code in enumerate(self._kinds) if code.startswith(tuple(categories))]
        own = row[first:last][np.isin(kind[first:last], wanted)]
        if within is not None:
            own = own[self.issues[within[0]].to_numpy()[own] == within[1]]
        able = np.array([i for i in own.tolist() if i not in self.taken], dtype=np.int64)
        chosen = rng.permutation(able)[:most]
        self.taken.update(chosen.tolist())
        return self.issues.iloc[chosen]

    @cached_property
    def _fit(self) -> tuple[Array, Array, Array]:
        """Rows of issues that may have come of something, in order of time; when, and what."""
        rows = self.issues
        fits = rows["set_aside"].isna() & ~rows["on_the_spot"] & (rows["channel"] != "worker")
        at = rows["reported_at"].dt.tz_localize(None).to_numpy().astype("datetime64[s]")
        own = np.flatnonzero(fits.to_numpy())
        own = own[np.argsort(at[own], kind="stable")]
        kind = np.searchsorted(self._kinds, rows["category"].to_numpy().astype(str)[own])
        return own, at[own], kind

    @cached_property
    def _kinds(self) -> list[str]:
        """Categories that occur, in order."""
        return sorted(self.issues["category"].unique().tolist())


def lines_of(grids: pd.DataFrame) -> pd.DataFrame:
    """Return the ancestors of each grid, itself included: columns are levels, 0 for none.

    Parameters
    ----------
    grids : DataFrame
        The frame `grids` of a dataset.

    Returns
    -------
    DataFrame, shape (grids, levels), indexed by grid
    """
    parent = grids.set_index("grid_id")["parent_id"].fillna(0).astype("int64")
    level = grids.set_index("grid_id")["level"]
    deepest = int(level.max())
    lines = pd.DataFrame(0, index=parent.index, columns=range(1, max(deepest, 3) + 1))
    at = pd.Series(parent.index, index=parent.index)
    for _ in range(deepest):
        for depth in range(1, deepest + 1):
            own = (at.map(level) == depth).to_numpy()
            lines.loc[own, depth] = at[own]
        at = at.map(parent).fillna(0).astype("int64")
    return lines


def code_of(rng: Rng, letters: int) -> str:
    """Draw a code of letters that are not taken for others."""
    return "".join(LETTERS[rng.integers(0, len(LETTERS), letters)])


def points_in(shapes: Array, rng: Rng) -> Array:
    """Draw a point inside each shape, to the centimetre.

    Parameters
    ----------
    shapes : ndarray of polygons
        Metres.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of Point
    """
    middle = shapely.point_on_surface(shapes)
    rings = shapely.boundary(shapes)
    edge = shapely.line_interpolate_point(rings, rng.random(len(shapes)), normalized=True)
    part = 0.8 * rng.random(len(shapes))
    x = np.round(shapely.get_x(middle) * (1 - part) + shapely.get_x(edge) * part, 2)
    y = np.round(shapely.get_y(middle) * (1 - part) + shapely.get_y(edge) * part, 2)
    held = shapely.contains_xy(shapes, x, y)
    rounded = shapely.transform(middle, lambda xy: np.round(xy, 2))
    return np.asarray(np.where(held, shapely.points(x, y), rounded))
