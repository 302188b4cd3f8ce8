"""What is expected of every route for every role and territory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from geo.terms import Role

PLANNER, WORKER, COMMUNITY, DEPARTMENT, LEADER, ADMINISTRATOR, PUBLIC = Role
TERRITORIES = ("own", "sibling", "parent", "other")
"""The own area; the one beside it; the one above it; the own area's number in another city."""

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
    "POST /api/v1/cities/{city}/issues/foreseen": NO_TOKEN,
    "GET /api/v1/cities/{city}/desk/events": STAFF,
    "GET /api/v1/cities/{city}/answer-texts": STAFF,
    "GET /api/v1/cities/{city}/issues/{issue}/answer-texts": OF_ONE_ISSUE,
    "POST /api/v1/cities/{city}/answer-texts": NO_TOKEN,
    "PUT /api/v1/cities/{city}/answer-texts/{text}": NO_TOKEN,
    "DELETE /api/v1/cities/{city}/answer-texts/{text}": NO_TOKEN,
    "GET /api/v1/cities/{city}/exports": STAFF,
    "GET /api/v1/cities/{city}/exports/{name}": STAFF,
    "GET /api/v1/cities/{city}/exports/{name} ?f=csv": STAFF,
    "GET /api/v1/cities/{city}/exports/{name} ?f=xlsx": STAFF,
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
    "GET /api/v1/cities/{city}/meetings": STAFF,  # whose rows: test_together
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
    "GET /api/v1/cities/{city}/campaigns/{campaign}/bulletin.xlsx": NOT_THERE,
    "GET /api/v1/cities/{city}/campaigns/{campaign}/lists": NOT_THERE,
    "GET /api/v1/cities/{city}/campaigns/{campaign}/lists ?f=csv": NOT_THERE,
    "GET /api/v1/cities/{city}/campaigns/{campaign}/lists ?f=xlsx": NOT_THERE,
    "POST /api/v1/cities/{city}/campaigns/{campaign}/lists": NO_TOKEN,
    "GET /api/v1/cities/{city}/projects": STAFF,
    "POST /api/v1/cities/{city}/projects": NO_TOKEN,
    "GET /api/v1/cities/{city}/projects/{project}": NOT_THERE,
    "PATCH /api/v1/cities/{city}/projects/{project}": NO_TOKEN,
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
    "GET /report-worker.js": OPEN,
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
    "POST /api/v1/cities/{city}/rating-rules/tried": NO_TOKEN,
    "PATCH /api/v1/cities/{city}/rating-rules/{rule}": NO_TOKEN,
    "POST /api/v1/cities/{city}/firm-ratings": NO_TOKEN,
    "POST /api/v1/cities/{city}/firm-ratings/reckoned": NO_TOKEN,
    "POST /api/v1/cities/{city}/firm-ratings/{rating}/acts": NO_TOKEN,
    "POST /api/v1/cities/{city}/shops": NO_TOKEN,
    "PUT /api/v1/cities/{city}/shops/{shop}": NO_TOKEN,
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
    "GET /inspections": STAFF,
    "GET /points": PAGE,
    "POST /firms": NO_TOKEN,
    "POST /firms/tried": NO_TOKEN,
    "POST /inspections": NO_TOKEN,
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
