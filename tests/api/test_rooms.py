"""The menu: each role is offered every room that it may open, and none that refuses it."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute

from api.app import routers
from api.rooms import ROOMS
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of

NOT_IN_THE_MENU = {
    "/signin": "before anybody is known",
    "/start": "a city begins; the administrator's page leads there",
    "/maps/net": "a map for other pages",
    "/print/net": "from the map",
    "/print/issue": "from the card of an issue",
    "/print/issues": "from the desk",
    "/staff/workers": "a part of a page",
    "/report-worker.js": "keeps the page of reports on the phone",
}
PATHS = [room.path for room in ROOMS]
LINK = re.compile(r'<li><a href="(/[^"?]*)\?city=[^"]*"[^>]*><b>')


def test_no_page_is_forgotten() -> None:
    pages = {
        route.path
        for router in routers()
        for route in router.routes
        if isinstance(route, APIRoute)
        and "GET" in route.methods
        and not (route.include_in_schema and router.include_in_schema)
        and "{" not in route.path
    }
    assert pages - set(PATHS) == set(NOT_IN_THE_MENU) & pages
    assert set(PATHS) <= pages


@pytest.mark.parametrize("role", list(Role))
def test_the_menu_leads_to_what_one_may_open_and_to_nothing_else(world: World, role: Role) -> None:
    client = world.client() if role is Role.PUBLIC else world.signed(login_of(role, HOME))
    page = client.get("/net", params={"city": HOME})
    offered = LINK.findall(page.text)
    assert len(offered) == len(set(offered)) > 5
    for path in PATHS:
        answer = client.get(path, params={"city": HOME})
        if path in offered:
            assert answer.status_code == 200, path
        else:
            assert answer.status_code in (303, 307, 401, 403), path
