"""Who am I, sign in, sign out: for programs and for the pages' scripts."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api import auth
from api.auth import CrossSiteError
from api.deps import AccountDep, DatabaseDep, SettingsDep
from api.errors import responses_for
from geo.errors import SignInError, TooManyAttemptsError
from geo.signin import Account
from geo.terms import Role

router = APIRouter(prefix="/api/v1/session", tags=["session"])


class Credentials(BaseModel):
    """What somebody signs in with."""

    model_config = ConfigDict(extra="forbid")

    login: Annotated[str, Field(max_length=256)]
    password: Annotated[str, Field(max_length=1024)]


class Whoever(BaseModel):
    """Who is signed in; `csrf_token` goes into the header X-CSRF-Token of every change."""

    signed_in: bool
    city: str | None = None
    login: str | None = None
    name: str | None = None
    role: Role = Role.PUBLIC
    areas: list[int] = []
    csrf_token: str | None = None


def whoever(account: Account | None, token: str | None) -> Whoever:
    """Return what pages and programs are told about who is signed in."""
    if account is None or token is None:
        return Whoever(signed_in=False, csrf_token=token and auth.csrf_token(token))
    return Whoever(
        signed_in=True,
        city=account.city,
        login=account.login,
        name=account.display_name,
        role=Role(account.role),
        areas=list(account.areas),
        csrf_token=auth.csrf_token(token),
    )


@router.get("", responses=responses_for())
def show_session(request: Request, account: AccountDep) -> Whoever:
    """Say who is signed in."""
    return whoever(account, auth.session_token(request))


@router.post(
    "", status_code=201, responses=responses_for(SignInError, TooManyAttemptsError, CrossSiteError)
)
def open_session(
    request: Request,
    response: Response,
    credentials: Credentials,
    database: DatabaseDep,
    settings: SettingsDep,
) -> Whoever:
    """Sign in; the session comes as a cookie.

    Raises
    ------
    SignInError
        If login and password do not match an open account: 401.
    TooManyAttemptsError
        If too many sign-ins failed: 429 with Retry-After.
    """
    life = timedelta(hours=settings.session_hours)
    address = auth.client_address(request)
    token = auth.sign_in(database, credentials.login, credentials.password, address, life)
    auth.sign_out(database, auth.session_token(request))
    auth.set_cookie(response, token, settings)
    return whoever(auth.account_of(database, token), token)


@router.delete("", status_code=204, responses=responses_for(CrossSiteError))
def close_session(request: Request, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Sign out; nothing happens without a session."""
    auth.sign_out(database, auth.session_token(request))
    response = Response(status_code=204)
    auth.clear_cookie(response, settings)
    return response
