"""The pages to sign in and out."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from api import auth, i18n, rendering
from api.deps import AccountDep, DatabaseDep, SettingsDep
from api.errors import KINDS
from geo.errors import SignInError, TooManyAttemptsError
from geo.terms import Role

router = APIRouter(include_in_schema=False)


@router.get("/signin")
def show_sign_in(
    request: Request,
    account: AccountDep,
    wish: Annotated[str | None, Query(alias="next", max_length=2000)] = None,
) -> Response:
    """Show the form, or go on when somebody is signed in."""
    onward = rendering.own_path(wish)
    if account is not None:
        return RedirectResponse(onward, 303)
    return _form(request, onward)


@router.post("/signin")
def sign_in(
    request: Request,
    database: DatabaseDep,
    settings: SettingsDep,
    login: Annotated[str, Form(max_length=256)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    wish: Annotated[str | None, Form(alias="next", max_length=2000)] = None,
) -> Response:
    """Sign in and go on; the form again, with a sentence, when that fails."""
    onward = rendering.own_path(wish)
    life = timedelta(hours=settings.session_hours)
    try:
        token = auth.sign_in(database, login, password, auth.client_address(request), life)
    except (SignInError, TooManyAttemptsError) as error:
        return _refused(request, onward, login, error)
    auth.sign_out(database, auth.session_token(request))
    response = RedirectResponse(onward, 303)
    auth.set_cookie(response, token, settings)
    return response


@router.post("/signout")
def sign_out(request: Request, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Sign out and go back to the map."""
    auth.sign_out(database, auth.session_token(request))
    response = RedirectResponse("/net", 303)
    auth.clear_cookie(response, settings)
    return response


def _refused(
    request: Request, onward: str, login: str, error: SignInError | TooManyAttemptsError
) -> Response:
    kind = KINDS[type(error)]
    language = i18n.get_language(request)
    word = i18n.translations(language).gettext
    stop = "。" if language == "zh" else ". "
    told = f"{word(kind.title)}{stop}{word(kind.advice)}"
    response = _form(request, onward, login, told, kind.status)
    if isinstance(error, TooManyAttemptsError):
        response.headers["Retry-After"] = str(error.data["retry_after_s"])
    return response


def _form(
    request: Request, onward: str, login: str = "", error: str | None = None, status: int = 200
) -> Response:
    token = auth.session_token(request)
    word = i18n.translations(i18n.get_language(request)).gettext
    offered = [
        {**one, "role": word(rendering.ROLES[Role(one["role"])])}
        for one in request.app.state.demo_accounts
    ]
    return rendering.page(
        request,
        "signin.html",
        status=status,
        csrf=auth.csrf_token(token) if token else "",
        error=error,
        login=login,
        accounts=offered,
        next=onward,
    )
