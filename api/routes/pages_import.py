"""The page of files: dropped, understood, seen on the map, mapped, confirmed, taken back."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Response

from api import auth
from api.office_desk import Desk, desk_for
from api.routes.importing import MIB, most_bytes
from geo import service
from geo.profiles import load_profile
from geo.terms import Role

router = APIRouter(include_in_schema=False)

ImportDeskDep = Annotated[
    Desk, Depends(desk_for(Role.ADMINISTRATOR, Role.PLANNER), scope="function")
]


@router.get("/import")
def show_import_page(desk: ImportDeskDep) -> Response:
    """Show the files of a city on their way in, to planners and administrators."""
    settings = desk.request.app.state.settings
    token = auth.session_token(desk.request)
    limit_mib = most_bytes(settings, desk.access.viewer.role) // MIB
    page = {
        "api": f"/api/v1/cities/{quote(desk.city['slug'])}",
        "city": desk.city["slug"],
        "csrf": auth.csrf_token(token) if token else "",
        "mostMib": limit_mib,
        "kinds": {
            kind.value: {"needed": list(needed), "allowed": list(allowed)}
            for kind, (needed, allowed) in service.importing.COLUMNS.items()
        },
        "hasNet": desk.moment is not None,
        "bbox": desk.city.get("bbox"),
        "centre": desk.city.get("centre"),
        "levels": _levels(desk),
        "words": _words(desk),
    }
    return desk.page("import.html", page=page, limit_mib=limit_mib)


def _levels(desk: Desk) -> list[dict[str, Any]]:
    names = ("level", "name", "name_en")
    return [{name: one[name] for name in names} for one in desk.city["levels"]]


def _words(desk: Desk) -> dict[str, list[dict[str, str]]]:
    """Return the codes that texts of a file may stand for, with their names."""
    profile = load_profile(desk.city["profile"])
    roles = [
        {"code": one.code, "name": one.name.zh, "name_en": one.name.en} for one in profile.roles
    ]
    kinds = [
        {"code": one["kind"], "name": one["name"], "name_en": one["name_en"]}
        for one in desk.city["station_kinds"]
    ]
    categories = [
        {"code": one["category"], "name": one["name"], "name_en": one["name_en"]}
        for one in service.kinds.categories(desk.access.session, int(desk.access.city_id or 0))
    ]
    return {"stations.kind": kinds, "posts.role": roles, "issues.category": categories}
