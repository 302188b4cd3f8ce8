"""A phone signs in by a link that a secretary shows: looked at first, used with one tap."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse

from api import auth, rendering
from api.deps import DatabaseDep, SettingsDep
from geo import service

router = APIRouter(include_in_schema=False)

Token = Annotated[str, Path(min_length=20, max_length=64, pattern=r"^[\w-]+$")]


@router.get("/phone/{token}")
def show_link(request: Request, database: DatabaseDep, token: Token) -> Response:
    """Say whom the link signs in; nothing is used up by looking."""
    with database.sign_in_transaction() as session:
        whose = service.desk.look_at_link(session, auth.token_hash(token))
    return _page(request, token, whose)


@router.post("/phone/{token}")
def use_link(
    request: Request, database: DatabaseDep, settings: SettingsDep, token: Token
) -> Response:
    """Sign this device in and remember it; a link that is over says so."""
    device = service.desk.device_name(request.headers.get("user-agent", ""))
    fresh = auth.sign_in_by_link(database, token, device)
    if fresh is None:
        return _page(request, token, None)
    auth.sign_out(database, auth.session_token(request))
    response = RedirectResponse("/", 303)
    auth.set_cookie(response, fresh, settings, service.desk.PHONE_LIFE)
    return response


def _page(request: Request, token: str, whose: dict[str, object] | None) -> Response:
    kept = auth.session_token(request)
    return rendering.page(
        request,
        "phone.html",
        status=200 if whose else 410,
        token=token,
        whose=whose,
        days=service.desk.PHONE_LIFE.days,
        csrf=auth.csrf_token(kept) if kept else "",
    )
