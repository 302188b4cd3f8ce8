"""Pages of what offices hold: the desk of addresses, compounds beside grids."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api import auth
from api.routes.pages import SightDep
from api.routes.pages_figures import require_staff
from geo import service
from geo.terms import Role
from maps.views import net_frame, net_page

router = APIRouter(include_in_schema=False)

DECIDING = (Role.ADMINISTRATOR, Role.PLANNER)
"""They say what a text means."""


@router.get("/addresses")
def show_addresses(
    sight: SightDep, q: Annotated[str | None, Query(max_length=2000)] = None
) -> Response:
    """Show the desk that matches texts with addresses, to people of the city."""
    require_staff(sight)
    viewer, session = sight.access.viewer, sight.access.session
    options = sight.options(packed=sight.packed)
    token = auth.session_token(sight.request)
    page = {
        "api": net_page(sight.city, sight.net, options)["api"],
        "csrf": auth.csrf_token(token) if token else "",
        "mayDecide": viewer.role in DECIDING,
    }
    return sight.page(
        "addresses.html",
        frame=sight.frame(net_frame, options),
        page=page,
        counts=service.addresses.count(session, viewer),
        q="".join(one for one in q or "" if one.isprintable() or one == "\n"),
    )
