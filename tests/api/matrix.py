"""How every route is asked for every role and territory, and what is true; see `expected`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, text

from geo.terms import Role
from tests.api.conftest import AWAY, HOME
from tests.api.conftest import DEPARTMENT as ORGANISATION
from tests.api.expected import COMMUNITY, DEPARTMENT, TABLE, TERRITORIES

DAY = "2026-06-15"
CODE = "990101001001001"
OF_A_WORKER: Mapping[str, int] = {"own": 111, "sibling": 112, "parent": 11, "other": 111}
OF_A_COMMUNITY: Mapping[str, int] = {"own": 11, "sibling": 12, "parent": 1, "other": 11}
"""Grids asked about: the worker acts in 111, the community in 11; others ask like the worker."""

QUERIES: Final[Mapping[str, Mapping[str, str]]] = {
    "/api/v1/cities/{city}/grids": {"as_of": DAY, "parent": "{grid}"},
    "/api/v1/cities/{city}/grids/{grid}": {"as_of": DAY, "geometry": "true"},
    "/api/v1/cities/{city}/where": {"as_of": DAY, "lon": "{lon}", "lat": "{lat}"},
    "/api/v1/cities/{city}/posts": {"as_of": DAY, "grid": "{grid}"},
    "/api/v1/cities/{city}/buildings": {"as_of": DAY, "grid": "{grid}"},
    "/api/v1/cities/{city}/workers": {"as_of": DAY},
    "/api/v1/cities/{city}/issues": {"as_of": DAY, "grid": "{grid}", "limit": "1000"},
    "/api/v1/cities/{city}/issues/{issue}": {"as_of": DAY},
    "/api/v1/cities/{city}/issues/{issue}/case": {"as_of": DAY},
    "/api/v1/cities/{city}/desk": {"as_of": DAY},
    "/api/v1/cities/{city}/desk/counts": {"as_of": DAY},
    "/api/v1/cities/{city}/rates": {"as_of": DAY},
    "/api/v1/cities/{city}/routing": {
        "as_of": DAY,
        "category": "E0101",
        "lon": "{lon}",
        "lat": "{lat}",
    },
    "/api/v1/cities/{city}/rules": {"as_of": DAY},
    "/issues/rules": {"city": "{city}"},
    "/issues/devices": {"city": "{city}"},
    "/meetings": {"city": "{city}"},
    "/campaigns": {"city": "{city}"},
    "/campaigns/{campaign}/bulletin": {"city": "{city}"},
    "/projects": {"city": "{city}"},
    "/api/v1/cities/{city}/meetings": {"as_of": DAY},
    "/api/v1/cities/{city}/meetings/{meeting}": {"as_of": DAY},
    "/api/v1/cities/{city}/campaigns": {"as_of": DAY},
    "/api/v1/cities/{city}/campaigns/{campaign}": {"as_of": DAY},
    "/api/v1/cities/{city}/campaigns/{campaign}/bulletin": {"as_of": DAY},
    "/api/v1/cities/{city}/campaigns/{campaign}/bulletin.xlsx": {"as_of": DAY},
    "/api/v1/cities/{city}/campaigns/{campaign}/lists": {"as_of": DAY},
    "/api/v1/cities/{city}/projects": {"as_of": DAY},
    "/api/v1/cities/{city}/projects/{project}": {"as_of": DAY},
    "/print/issue": {"city": "{city}", "issue": "{issue}", "as_of": DAY},
    "/firms": {"city": "{city}"},
    "/shops": {"city": "{city}"},
    "/inspections": {"city": "{city}"},
    "/points": {"city": "{city}"},
    "/print/issues": {"city": "{city}", "as_of": DAY},
    "/api/v1/cities/{city}/stations": {"as_of": DAY, "grid": "{grid}"},
    "/api/v1/cities/{city}/search": {"q": "第一"},
    "/api/v1/cities/{city}/events": {"follow": "false"},
    "/api/v1/cities/{city}/desk/events": {"follow": "false", "as_of": DAY},
    "/api/v1/cities/{city}/issues/{issue}/answer-texts": {"as_of": DAY},
    "/api/v1/cities/{city}/exports/{name}": {"as_of": DAY},
    "/api/v1/cities/{city}/rating-rules": {"as_of": DAY},
    "/api/v1/cities/{city}/firm-ratings": {"as_of": DAY},
    "/api/v1/cities/{city}/firm-ratings/{rating}": {"as_of": DAY},
    "/api/v1/cities/{city}/shops": {"as_of": DAY},
    "/api/v1/cities/{city}/shops/{shop_code}": {"as_of": DAY},
    "/api/v1/cities/{city}/inspections": {"as_of": DAY},
    "/api/v1/cities/{city}/service-points": {"as_of": DAY},
    "/api/v1/cities/{city}/compare": {"old": "net:1", "new": DAY},
    "/heat": {"city": "{city}"},
    "/stations": {"city": "{city}"},
    "/stations/density": {"city": "{city}"},
    "/staff/map": {"city": "{city}"},
    "/patrol": {"city": "{city}"},
    "/api/v1/cities/{city}/audit": {"limit": "1000"},
    "/api/v1/cities/{city}/notices": {"as_of": DAY},
    "/addresses": {"city": "{city}"},
    "/staff": {"city": "{city}"},
    "/staff/workers": {"city": "{city}", "worker": "第"},
    "/admin": {"city": "{city}"},
    "/import": {"city": "{city}"},
    "/issues": {"city": "{city}"},
    "/rates": {"city": "{city}"},
    "/report": {"city": "{city}"},
    "/report/{code}": {"city": "{city}"},
    "/api/v1/cities/{city}/nearby": {"lon": "{lon}", "lat": "{lat}"},
    "/door/{code}": {"city": "{city}"},
    "/door/{code}/sheet": {"city": "{city}"},
    "/net": {"city": "{city}", "grid": "{grid}"},
    "/compounds": {"city": "{city}"},
    "/net/table": {"city": "{city}", "parent": "{grid}"},
    "/maps/net": {"city": "{city}"},
    "/print/net": {"city": "{city}", "grid": "{grid}", "as_of": DAY},
}


# ---- what the owner knows ------------------------------------------------------------------------

_AREAS = "array_remove(ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6], NULL)"
_CITY = "g.city_id = (SELECT city_id FROM city WHERE slug = :slug)"
_QUESTIONS: Final = {
    "issues": f"SELECT issue_id, {_AREAS}, organisation_id FROM issue AS g WHERE {_CITY}",
    "workers": f"SELECT worker_id, name, name_consent, areas FROM worker AS g WHERE {_CITY}",
    "posts": f"SELECT post_id, worker_id, grid_id FROM post AS g WHERE {_CITY}"
    " AND valid_from <= CAST(:day AS date) AND (valid_to IS NULL OR valid_to > CAST(:day AS date))",
    "buildings": f"SELECT building_id, {_AREAS} FROM building"
    " JOIN net_cell USING (city_id, cell_id)"
    f" JOIN net_grid AS g USING (city_id, grid_id) WHERE {_CITY}",
    "points": "SELECT grid_id, ST_X(label_point), ST_Y(label_point)"
    f" FROM net_grid AS g WHERE {_CITY}",
    "audit": f"SELECT n FROM audit AS g WHERE {_CITY}",
}


@dataclass(frozen=True)
class Person:
    """A worker as the owner knows it."""

    name: str
    consents: bool
    areas: tuple[int, ...]


@dataclass(frozen=True)
class Facts:
    """What is true in one city: asked by the owner, past policies and `visible`."""

    issues: Mapping[int, tuple[tuple[int, ...], int | None]]
    workers: Mapping[int, Person]
    posts: Mapping[int, tuple[int | None, int]]
    buildings: Mapping[int, tuple[int, ...]]
    points: Mapping[int, tuple[float, float]]
    audit: frozenset[int]


def learn(engine: Engine, slug: str) -> Facts:
    """Return what is true in a city."""
    with engine.connect() as connection:
        rows = {
            name: connection.execute(text(question), {"slug": slug, "day": DAY}).all()
            for name, question in _QUESTIONS.items()
        }
    return Facts(
        {row[0]: (tuple(row[1]), row[2]) for row in rows["issues"]},
        {row[0]: Person(row[1], row[2], tuple(row[3])) for row in rows["workers"]},
        {row[0]: (row[1], row[2]) for row in rows["posts"]},
        {row[0]: tuple(row[1]) for row in rows["buildings"]},
        {row[0]: (row[1], row[2]) for row in rows["points"]},
        frozenset(row[0] for row in rows["audit"]),
    )


# ---- how each is asked ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One row of the table, asked by one role about one territory."""

    entry: str
    role: Role
    territory: str

    @property
    def route(self) -> str:
        """Method and path as the application knows them."""
        return self.entry.partition(" ?")[0]

    @property
    def path(self) -> str:
        """Path with its gaps."""
        return self.route.partition(" ")[2]

    @property
    def form(self) -> str:
        """Format that is asked for; empty for the usual one."""
        return self.entry.partition(" ?f=")[2]

    @property
    def city(self) -> str:
        """Short name of the city asked about."""
        return AWAY if self.territory == "other" else HOME

    @property
    def ground(self) -> Mapping[str, int]:
        """Grids of all territories, as seen by the role."""
        return OF_A_COMMUNITY if self.role is COMMUNITY else OF_A_WORKER

    @property
    def grid(self) -> int:
        """Grid asked about."""
        return self.ground[self.territory]

    @property
    def outcome(self) -> str:
        """What the table says."""
        return TABLE[self.entry][self.role].split()[TERRITORIES.index(self.territory)]

    def request(self, facts: Facts, **changed: Any) -> tuple[str, str, dict[str, Any]]:
        """Return method, path and further arguments of the question."""
        lon, lat = facts.points[self.grid]
        gaps = {"city": self.city, "grid": self.grid, "issue": self.issue(facts), "seq": 1}
        gaps |= {"user": 1, "number": 1, "worker": 1, "post": 1, "notice": 1, "kind": "centre"}
        gaps |= {
            "delivery": 999,
            "part": "shapes",
            "plan": 1,
            "photo": 999,
            "task": 1,
            "proposal": 1,
            "text": 1,
            "name": "city_management",
            "rating": 999,
            "rule": 999,
            "shop": 999,
            "shop_code": "ABCDEFGHJ",
            "inspection": 999,
            "point": 999,
            "month": "2026-05",
            "comment": 1,
        }
        gaps |= {"step": "handle", "day": DAY, "n": 7, "device": 999, "meeting": 999}
        gaps |= {"campaign": 999, "project": 999}
        gaps |= {"address": 1, "compound": 1, "category": "A0101", "code": CODE, "token": "x" * 43}
        gaps |= {"level": "leaf", "z": 14, "x": 13660, "y": 6340, "lon": lon, "lat": lat} | changed
        asked = QUERIES.get(self.path, {}) if self.route.startswith("GET ") else {}
        query = {key: value.format(**gaps) for key, value in asked.items()}
        more: dict[str, Any] = {"params": query | ({"f": self.form} if self.form else {})}
        if self.route == "POST /signin":
            more["headers"] = {"Origin": "https://evil.example"}
        if self.route == "POST /api/v1/session":
            more["json"] = {"login": "x"}
        return self.route.partition(" ")[0], self.path.format(**gaps), more

    def issue(self, facts: Facts) -> int:
        """Return an issue of the territory: no department's, save the department's own one."""
        for number, (areas, organisation) in facts.issues.items():
            if self.role is DEPARTMENT:
                if (organisation == ORGANISATION) == (self.territory in ("own", "other")):
                    return number
            elif organisation is None and self._holds(areas):
                return number
        raise AssertionError(f"no issue for {self}")

    def _holds(self, areas: tuple[int, ...]) -> bool:
        """Return whether a leaf's ancestors lie in the territory; the parent's is what is left."""
        if self.territory != "parent":
            return self.grid in areas
        others = {self.ground["own"], self.ground["sibling"], 11, 111, 112}
        return not others & set(areas)

    def may(self, areas: tuple[int, ...]) -> bool:
        """Return whether the outcome tells of something that lies in these grids."""
        if self.outcome == "every":
            return True
        return self.outcome == "area" and self.ground["own"] in areas


def truth(case: Case, facts: Facts, listed: frozenset[Any]) -> frozenset[Any]:
    """Return the rows that an answer has to tell, no more and no less.

    Parameters
    ----------
    case : Case
    facts : Facts
        Of the city asked about.
    listed : frozenset
        Numbers of the open rows of the answer (posts, buildings) of which a part is told.
    """
    subject = case.path.rpartition("{city}/")[2]
    if subject == "plans":
        return frozenset()
    if subject == "audit":
        return facts.audit
    if subject == "workers":
        return frozenset(
            (number, person.name)
            for number, person in facts.workers.items()
            if case.may(person.areas)
        )
    if subject == "buildings":
        return frozenset(one for one in listed if case.may(facts.buildings[one]))
    if subject.startswith("issues"):
        return frozenset(
            number
            for number, (areas, organisation) in facts.issues.items()
            if (number == case.issue(facts) if "{issue}" in subject else case.grid in areas)
            and (case.may(areas) or (case.outcome == "cases" and organisation == ORGANISATION))
        )
    return frozenset(
        facts.workers[worker].name
        for worker, _ in (facts.posts[post] for post in listed)
        if worker is not None
        and (facts.workers[worker].consents or case.may(facts.workers[worker].areas))
    )
