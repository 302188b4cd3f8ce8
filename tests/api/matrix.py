"""What is expected of every route for every role and territory, and how each is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, text

from geo.terms import Role
from tests.api.conftest import AWAY, HOME
from tests.api.conftest import DEPARTMENT as ORGANISATION

PLANNER, WORKER, COMMUNITY, DEPARTMENT, LEADER, ADMINISTRATOR, PUBLIC = Role
TERRITORIES = ("own", "sibling", "parent", "other")
"""The own area; the one beside it; the one above it; the own area's number in another city."""

DAY = "2026-06-15"
CODE = "990101001001001"
OF_A_WORKER: Mapping[str, int] = {"own": 111, "sibling": 112, "parent": 11, "other": 111}
OF_A_COMMUNITY: Mapping[str, int] = {"own": 11, "sibling": 12, "parent": 1, "other": 11}
"""Grids asked about: the worker acts in 111, the community in 11; others ask like the worker."""

Expected = Mapping[Role, str]


def all_the_same(outcome: str) -> Expected:
    """Return one outcome for everybody everywhere."""
    return dict.fromkeys(Role, f"{outcome} {outcome} {outcome} {outcome}")


def by_scope(city: str, area: str, department: str, public: str) -> Expected:
    """Return outcomes of city-wide roles, area-bound roles, departments and strangers."""
    return {
        **dict.fromkeys((PLANNER, LEADER, ADMINISTRATOR), city),
        **dict.fromkeys((WORKER, COMMUNITY), area),
        DEPARTMENT: department,
        PUBLIC: public,
    }


OPEN: Final = all_the_same("open")
PAGE: Final = all_the_same("200")


def only(*roles: Role) -> Expected:
    """Return that these roles are answered in their own city, and nobody else."""
    return {
        **all_the_same("403"),
        **dict.fromkeys(roles, "200 200 200 403"),
        PUBLIC: "401 401 401 401",
    }


KEEPERS: Final = only(ADMINISTRATOR, COMMUNITY)
POSTERS: Final = only(ADMINISTRATOR, PLANNER, COMMUNITY)
IMPORTERS: Final = only(ADMINISTRATOR, PLANNER)
NO_IMPORT: Final = {
    **all_the_same("403"),
    **dict.fromkeys((ADMINISTRATOR, PLANNER), "404 404 404 403"),
    PUBLIC: "401 401 401 401",
}
"""Who may import is told that there is no import of this number; the others are refused."""
NO_TOKEN: Final = {**all_the_same("403"), PUBLIC: "401 401 401 401"}
"""A change without the token of a page; what each may change is tried in test_office."""
NO_SECRET: Final = {**all_the_same("403"), PUBLIC: "422 422 422 422"}
"""A stranger is asked for the secret of the report, an account for the token of a page first."""
STAFF: Final = by_scope("200 200 200 403", "200 200 200 403", "200 200 200 403", "401 401 401 401")
WHOLE_CITY: Final = by_scope(
    "200 200 200 403", "403 403 403 403", "403 403 403 403", "401 401 401 401"
)
ISSUES: Final = by_scope(
    "every every every 403", "area none area 403", "cases cases cases 403", "401 401 401 401"
)
OF_ONE_ISSUE: Final = by_scope(
    "200 200 200 403", "200 404 404 403", "200 404 404 403", "401 401 401 401"
)
NOT_THERE: Final = by_scope(
    "404 404 404 403", "404 404 404 403", "404 404 404 403", "401 401 401 401"
)
"""Staff of the city are told that there is nothing of this number."""
NAMES: Final = by_scope(
    "every every every consent",
    "area area area consent",
    "consent consent consent consent",
    "consent consent consent consent",
)
HOUSEHOLDS: Final = by_scope(
    "every every every none", "area none area none", "none none none none", "none none none none"
)

TABLE: Final[Mapping[str, Expected]] = {
    # ---- operation and session -------------------------------------------------------------------
    "GET /healthz": OPEN,
    "GET /api/v1/session": PAGE,
    "POST /api/v1/session": all_the_same("422"),  # without a password
    "DELETE /api/v1/session": {**all_the_same("403"), PUBLIC: "204 204 204 204"},  # without token
    "GET /signin": {**all_the_same("303"), PUBLIC: "200 200 200 200"},
    "POST /signin": all_the_same("403"),  # from another site
    "POST /signout": {**all_the_same("403"), PUBLIC: "303 303 303 303"},  # without token
    # ---- the net, open to everybody --------------------------------------------------------------
    "GET /api/v1/cities": OPEN,
    "GET /api/v1/cities/{city}": OPEN,
    "GET /api/v1/cities/{city}/nets": OPEN,
    "GET /api/v1/cities/{city}/grids": OPEN,
    "GET /api/v1/cities/{city}/grids ?f=csv": OPEN,
    "GET /api/v1/cities/{city}/grids ?f=geojson": OPEN,
    "GET /api/v1/cities/{city}/nets/{seq}/levels/{level}.topojson": OPEN,
    "GET /api/v1/cities/{city}/nets/{seq}/levels/{level}/values": OPEN,
    "GET /api/v1/cities/{city}/nets/{seq}/tiles/{z}/{x}/{y}.mvt": OPEN,
    "GET /api/v1/cities/{city}/stations": OPEN,
    "GET /api/v1/cities/{city}/stations ?f=csv": OPEN,
    "GET /api/v1/cities/{city}/stations ?f=geojson": OPEN,
    "GET /api/v1/cities/{city}/stations.xlsx": PAGE,
    "GET /api/v1/cities/{city}/streets": OPEN,
    "GET /api/v1/cities/{city}/streets ?f=geojson": OPEN,
    "GET /api/v1/cities/{city}/compounds": PAGE,  # households for staff: test_compounds
    "GET /api/v1/cities/{city}/compounds ?f=csv": PAGE,
    "GET /api/v1/cities/{city}/compounds ?f=geojson": PAGE,
    "GET /api/v1/cities/{city}/compounds/{compound}": PAGE,
    "GET /api/v1/cities/{city}/organisations": OPEN,
    "GET /api/v1/cities/{city}/search": OPEN,
    # ---- names of workers, households of buildings -----------------------------------------------
    "GET /api/v1/cities/{city}/grids/{grid}": NAMES,
    "GET /api/v1/cities/{city}/where": NAMES,
    "GET /api/v1/cities/{city}/posts": NAMES,
    "GET /api/v1/cities/{city}/buildings": HOUSEHOLDS,
    "GET /api/v1/cities/{city}/buildings ?f=csv": HOUSEHOLDS,
    "GET /api/v1/cities/{city}/buildings ?f=geojson": HOUSEHOLDS,
    "GET /api/v1/cities/{city}/workers": by_scope(
        "every every every 403", "area area area 403", "none none none 403", "401 401 401 401"
    ),
    # ---- issues ----------------------------------------------------------------------------------
    "GET /api/v1/cities/{city}/issues": ISSUES,
    "GET /api/v1/cities/{city}/issues ?f=csv": ISSUES,
    "GET /api/v1/cities/{city}/issues ?f=geojson": ISSUES,
    "GET /api/v1/cities/{city}/issues/{issue}": by_scope(
        "every every every 403", "area 404 404 403", "cases 404 404 403", "401 401 401 401"
    ),
    "GET /api/v1/cities/{city}/issues/{issue}/case": OF_ONE_ISSUE,
    "GET /api/v1/cities/{city}/issues/{issue}/history": OF_ONE_ISSUE,
    "GET /api/v1/cities/{city}/issues/{issue}/contact": {
        **all_the_same("403"),
        COMMUNITY: "404 404 404 403",  # nobody left one
        PUBLIC: "401 401 401 401",
    },
    "POST /api/v1/cities/{city}/issues/{issue}/acts": NO_TOKEN,
    "POST /api/v1/cities/{city}/issues/acts": NO_TOKEN,
    "GET /api/v1/cities/{city}/desk": STAFF,  # whose rows: test_cases of the store
    "GET /api/v1/cities/{city}/desk ?f=csv": STAFF,
    "GET /api/v1/cities/{city}/desk ?f=geojson": STAFF,
    "GET /api/v1/cities/{city}/desk/counts": STAFF,
    "GET /api/v1/cities/{city}/desk/events": STAFF,
    "GET /api/v1/cities/{city}/answer-texts": STAFF,
    "GET /api/v1/cities/{city}/issues/{issue}/answer-texts": OF_ONE_ISSUE,
    "POST /api/v1/cities/{city}/answer-texts": NO_TOKEN,
    "PUT /api/v1/cities/{city}/answer-texts/{text}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/answer-texts/{text}": NO_TOKEN,
    "GET /api/v1/cities/{city}/exports": STAFF,
    "GET /api/v1/cities/{city}/exports/{name}": STAFF,
    "GET /api/v1/cities/{city}/exports/{name} ?f=csv": STAFF,
    "PUT /api/v1/cities/{city}/exports/{name}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/exports/{name}": NO_TOKEN,
    "GET /api/v1/cities/{city}/rates": STAFF,
    "GET /api/v1/cities/{city}/routing": STAFF,
    "GET /api/v1/cities/{city}/rules": STAFF,
    "PUT /api/v1/cities/{city}/rules/limits/{category}/{step}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/rules/limits/{category}/{step}": NO_TOKEN,
    "PUT /api/v1/cities/{city}/rules/days/{day}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/rules/days/{day}": NO_TOKEN,
    "PUT /api/v1/cities/{city}/rules/routing/{n}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/rules/routing/{n}": NO_TOKEN,
    "PUT /api/v1/cities/{city}/rules/categories/{category}": NO_TOKEN,
    "GET /api/v1/cities/{city}/devices": STAFF,  # whose rows: test_devices
    "GET /api/v1/cities/{city}/devices/{device}/alarms": NOT_THERE,
    "POST /api/v1/cities/{city}/devices": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/devices/{device}": NO_TOKEN,
    "POST /api/v1/cities/{city}/alarms/{code}": NO_SECRET,
    "GET /api/v1/cities/{city}/issues/{issue}/links": OF_ONE_ISSUE,
    "GET /api/v1/cities/{city}/meetings": STAFF,  # whose rows: test_meetings
    "POST /api/v1/cities/{city}/meetings": NO_TOKEN,
    "GET /api/v1/cities/{city}/meetings/{meeting}": NOT_THERE,
    "PATCH /api/v1/cities/{city}/meetings/{meeting}": NO_TOKEN,
    "POST /api/v1/cities/{city}/meetings/{meeting}/topics": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/meetings/{meeting}/topics/{n}": NO_TOKEN,
    "POST /api/v1/cities/{city}/meetings/{meeting}/topics/{n}/issue": NO_TOKEN,
    "GET /api/v1/cities/{city}/campaigns": STAFF,  # whose lines: test_campaigns
    "POST /api/v1/cities/{city}/campaigns": NO_TOKEN,
    "GET /api/v1/cities/{city}/campaigns/{campaign}": NOT_THERE,
    "PATCH /api/v1/cities/{city}/campaigns/{campaign}": NO_TOKEN,
    "POST /api/v1/cities/{city}/campaigns/{campaign}/lines": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/campaigns/{campaign}/lines/{n}": NO_TOKEN,
    "GET /api/v1/cities/{city}/campaigns/{campaign}/bulletin": NOT_THERE,
    "GET /api/v1/cities/{city}/projects": STAFF,
    "POST /api/v1/cities/{city}/projects": NO_TOKEN,
    "GET /api/v1/cities/{city}/projects/{project}": NOT_THERE,
    "POST /api/v1/cities/{city}/projects/{project}/acts": NO_TOKEN,
    "GET /meetings": STAFF,
    "POST /meetings": NO_TOKEN,
    "GET /campaigns": STAFF,
    "POST /campaigns": NO_TOKEN,
    "GET /campaigns/{campaign}/bulletin": NOT_THERE,
    "GET /projects": STAFF,
    "POST /projects": NO_TOKEN,
    "GET /issues/devices": STAFF,
    "POST /issues/devices": NO_TOKEN,
    "GET /issues/rules": STAFF,
    "POST /issues/rules": NO_TOKEN,
    "POST /api/v1/cities/{city}/reports": {
        **all_the_same("403"),
        PUBLIC: "422 422 422 422",
    },
    "GET /api/v1/cities/{city}/reports/{code}": all_the_same("422"),
    "POST /api/v1/cities/{city}/reports/{code}": {
        **all_the_same("403"),
        PUBLIC: "422 422 422 422",
    },
    # ---- figures of maps -------------------------------------------------------------------------
    "GET /api/v1/cities/{city}/figures/patrol": OPEN,
    "GET /api/v1/cities/{city}/figures/patrol ?f=csv": OPEN,
    "GET /api/v1/cities/{city}/figures/stations": OPEN,
    "GET /api/v1/cities/{city}/figures/stations ?f=csv": OPEN,
    "GET /api/v1/cities/{city}/figures/coverage": STAFF,
    "GET /api/v1/cities/{city}/figures/coverage ?f=csv": STAFF,
    "GET /api/v1/cities/{city}/figures/coverage/squares": WHOLE_CITY,
    "GET /api/v1/cities/{city}/figures/requests": WHOLE_CITY,
    "GET /api/v1/cities/{city}/figures/requests ?f=csv": WHOLE_CITY,
    "GET /heat": WHOLE_CITY,
    "GET /stations": STAFF,
    "GET /stations/density": STAFF,
    "GET /staff/map": STAFF,
    "GET /patrol": by_scope(
        "307 307 307 403", "200 200 200 403", "307 307 307 403", "401 401 401 401"
    ),
    # ---- members and administrators --------------------------------------------------------------
    "GET /api/v1/cities/{city}/plans": all_the_same("none"),
    "POST /api/v1/cities/{city}/plans": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}": all_the_same("404"),
    "PATCH /api/v1/cities/{city}/plans/{plan}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/plans/{plan}": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}/grids": all_the_same("404"),
    "GET /api/v1/cities/{city}/plans/{plan}/cells": all_the_same("404"),
    "GET /api/v1/cities/{city}/plans/{plan}/check": all_the_same("404"),
    "GET /api/v1/cities/{city}/plans/{plan}/edits": all_the_same("404"),
    "GET /api/v1/cities/{city}/plans/{plan}/tasks/{task}": all_the_same("404"),
    "POST /api/v1/cities/{city}/plans/{plan}/tasks/{task}/cancel": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}/proposals": all_the_same("404"),
    "POST /api/v1/cities/{city}/plans/{plan}/proposals/division": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/proposals/net": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}/proposals/{proposal}": all_the_same("404"),
    "GET /api/v1/cities/{city}/plans/{plan}/proposals/{proposal}/shapes": all_the_same("404"),
    "GET /api/v1/cities/{city}/plans/{plan}/proposals/{proposal}/crosswalk": all_the_same("404"),
    "POST /api/v1/cities/{city}/plans/{plan}/proposals/{proposal}/adopt": NO_TOKEN,
    "POST /api/v1/cities/{city}/assign": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/edits": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/undo": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/return": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}/standing": all_the_same("404"),
    "POST /api/v1/cities/{city}/plans/{plan}/submit": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/approve": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/withdraw": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/rebase": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}/posts": all_the_same("404"),
    "PUT /api/v1/cities/{city}/plans/{plan}/posts": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/publish": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/cancel": NO_TOKEN,
    "GET /api/v1/cities/{city}/nets/{seq}/errata": OPEN,
    "POST /api/v1/cities/{city}/nets/{seq}/errata": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}/impact": all_the_same("404"),
    "GET /api/v1/cities/{city}/figures/restated": WHOLE_CITY,
    "GET /api/v1/cities/{city}/figures/restated ?f=csv": WHOLE_CITY,
    "GET /api/v1/cities/{city}/plans/{plan}/dossier": all_the_same("404"),
    "GET /api/v1/cities/{city}/compare": STAFF,
    "GET /api/v1/cities/{city}/compare ?f=csv": STAFF,
    "GET /api/v1/cities/{city}/plans/{plan}/comments": all_the_same("404"),
    "POST /api/v1/cities/{city}/plans/{plan}/comments": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/plans/{plan}/comments/{comment}": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}/locks": all_the_same("404"),
    "POST /api/v1/cities/{city}/plans/{plan}/locks": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/unlock": NO_TOKEN,
    "POST /api/v1/cities/{city}/plans/{plan}/pick": NO_TOKEN,
    "GET /api/v1/cities/{city}/plans/{plan}/events": by_scope(
        "404 404 404 403", "404 404 404 403", "404 404 404 403", "401 401 401 401"
    ),
    "GET /api/v1/cities/{city}/events": STAFF,
    "GET /api/v1/cities/{city}/audit": {
        **all_the_same("403"),
        ADMINISTRATOR: "every every every 403",
        PUBLIC: "401 401 401 401",
    },
    # ---- the office ------------------------------------------------------------------------------
    "GET /api/v1/cities/{city}/accounts": KEEPERS,
    "GET /api/v1/cities/{city}/sessions": KEEPERS,
    "GET /api/v1/cities/{city}/posts.xlsx": POSTERS,
    "GET /api/v1/cities/{city}/levels": OPEN,
    "GET /api/v1/cities/{city}/station-kinds": OPEN,
    "GET /api/v1/cities/{city}/categories": OPEN,
    "GET /api/v1/cities/{city}/notices": PAGE,
    "GET /api/v1/cities/{city}/delivered-nets": IMPORTERS,
    "GET /api/v1/cities/{city}/imports": IMPORTERS,
    "GET /api/v1/cities/{city}/imports/limits": IMPORTERS,
    "GET /api/v1/cities/{city}/imports/{delivery}": NO_IMPORT,
    "GET /api/v1/cities/{city}/imports/{delivery}/{part}": NO_IMPORT,
    "POST /api/v1/cities/{city}/imports": NO_TOKEN,
    "POST /api/v1/cities/{city}/imports/{delivery}/parts": NO_TOKEN,
    "PUT /api/v1/cities/{city}/imports/{delivery}/wish": NO_TOKEN,
    "POST /api/v1/cities/{city}/imports/{delivery}/confirm": NO_TOKEN,
    "POST /api/v1/cities/{city}/imports/{delivery}/cancel": NO_TOKEN,
    "POST /api/v1/cities/{city}/imports/{delivery}/undo": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/imports/{delivery}": NO_TOKEN,
    "POST /api/v1/cities/{city}/accounts": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/accounts/{user}": NO_TOKEN,
    "POST /api/v1/cities/{city}/accounts/{user}/phone-link": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/sessions/{number}": NO_TOKEN,
    "POST /api/v1/cities/{city}/workers": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/workers/{worker}": NO_TOKEN,
    "POST /api/v1/cities/{city}/posts": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/posts/{post}": NO_TOKEN,
    "POST /api/v1/cities/{city}/posts/import": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/levels/{level}": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/station-kinds/{kind}": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/categories/{category}": NO_TOKEN,
    "POST /api/v1/cities/{city}/notices": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/notices/{notice}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/notices/{notice}": NO_TOKEN,
    "POST /staff": NO_TOKEN,
    "POST /admin": NO_TOKEN,
    "GET /api/v1/cities/{city}/addresses": STAFF,
    "GET /api/v1/cities/{city}/addresses ?f=csv": STAFF,
    "GET /api/v1/cities/{city}/addresses ?f=geojson": STAFF,
    "POST /api/v1/cities/{city}/addresses/match": NO_TOKEN,
    "POST /api/v1/cities/{city}/addresses": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/addresses/{address}": NO_TOKEN,
    "GET /addresses": STAFF,
    "GET /staff": POSTERS,
    "GET /staff/workers": POSTERS,
    "GET /admin": only(ADMINISTRATOR),
    "GET /import": IMPORTERS,
    "GET /start": PAGE,
    "POST /start": {**all_the_same("403"), PUBLIC: "422 422 422 422"},  # nothing filled in
    "GET /door/{code}": PAGE,
    "GET /door/{code}/sheet": PAGE,
    "GET /phone/{token}": all_the_same("410"),
    "POST /phone/{token}": {**all_the_same("403"), PUBLIC: "410 410 410 410"},  # without token
    # ---- reports and their photos ----------------------------------------------------------------
    "GET /issues": STAFF,
    "GET /print/issue": OF_ONE_ISSUE,
    "GET /print/issues": STAFF,
    "GET /rates": STAFF,
    "GET /report": PAGE,
    "GET /report/{code}": PAGE,
    "GET /api/v1/cities/{city}/nearby": OPEN,
    "POST /api/v1/cities/{city}/reports/{code}/photos": NO_SECRET,
    "GET /api/v1/cities/{city}/reports/{code}/photos": OPEN,
    "GET /api/v1/cities/{city}/reports/{code}/photos/{photo}": all_the_same("404"),
    "POST /api/v1/cities/{city}/reports/{code}/seconds": NO_SECRET,
    "POST /api/v1/cities/{city}/issues/{issue}/photos": NO_TOKEN,
    "GET /api/v1/cities/{city}/issues/{issue}/photos": by_scope(
        "200 200 200 403", "200 404 404 403", "200 404 404 403", "401 401 401 401"
    ),
    "GET /api/v1/cities/{city}/issues/{issue}/photos/{photo}": by_scope(
        "404 404 404 403", "404 404 404 403", "404 404 404 403", "401 401 401 401"
    ),
    "PATCH /api/v1/cities/{city}/issues/{issue}/photos/{photo}": NO_TOKEN,
    # ---- firms, shops, service points; whose rows: test_firms, test_shops -----------------------
    "GET /api/v1/cities/{city}/rating-rules": OPEN,
    "GET /api/v1/cities/{city}/firm-ratings": PAGE,
    "GET /api/v1/cities/{city}/firm-ratings/{rating}": all_the_same("404"),
    "GET /api/v1/cities/{city}/shops": PAGE,
    "GET /api/v1/cities/{city}/shops ?f=csv": PAGE,
    "GET /api/v1/cities/{city}/shops ?f=geojson": PAGE,
    "GET /api/v1/cities/{city}/shops/{shop_code}": all_the_same("404"),
    "GET /api/v1/cities/{city}/inspections": PAGE,
    "GET /api/v1/cities/{city}/service-points": OPEN,
    "POST /api/v1/cities/{city}/rating-rules": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/rating-rules/{rule}": NO_TOKEN,
    "POST /api/v1/cities/{city}/firm-ratings": NO_TOKEN,
    "POST /api/v1/cities/{city}/firm-ratings/reckoned": NO_TOKEN,
    "POST /api/v1/cities/{city}/firm-ratings/{rating}/acts": NO_TOKEN,
    "POST /api/v1/cities/{city}/shops": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/shops/{shop}": NO_TOKEN,
    "POST /api/v1/cities/{city}/inspections": NO_TOKEN,
    "POST /api/v1/cities/{city}/inspections/{inspection}/acts": NO_TOKEN,
    "POST /api/v1/cities/{city}/service-points": NO_TOKEN,
    "PUT /api/v1/cities/{city}/service-points/{point}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/service-points/{point}": NO_TOKEN,
    "PUT /api/v1/cities/{city}/service-points/{point}/months/{month}": NO_TOKEN,
    # ---- pages -----------------------------------------------------------------------------------
    "GET /": {
        **all_the_same("200"),
        WORKER: "307 307 307 307",
        PUBLIC: "307 307 307 307",
    },
    "GET /net": PAGE,
    "GET /net/table": PAGE,
    "GET /firms": PAGE,
    "GET /shops": PAGE,
    "GET /points": PAGE,
    "POST /firms": NO_TOKEN,
    "POST /shops": NO_TOKEN,
    "POST /points": NO_TOKEN,
    "GET /compounds": PAGE,
    "GET /maps/net": PAGE,
    "GET /print/net": NAMES,
}
"""Outcomes in the order of `TERRITORIES`. A number is the status. `open`: 200, and not a byte more
than a stranger is told. The others are 200 and the rows told: `every` row of the ground asked
about, those of the own `area`, the own `cases`, those with `consent`, `none`. A form of an answer
beside the usual one stands behind the path.
"""


def sensitive(entry: str) -> bool:
    """Return whether a route tells different people different things."""
    return any(
        word not in ("open", "200") for line in TABLE[entry].values() for word in line.split()
    )


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
    "/api/v1/cities/{city}/projects": {"as_of": DAY},
    "/api/v1/cities/{city}/projects/{project}": {"as_of": DAY},
    "/print/issue": {"city": "{city}", "issue": "{issue}", "as_of": DAY},
    "/firms": {"city": "{city}"},
    "/shops": {"city": "{city}"},
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
