"""Pages: templates in the reader's language, with what every page gets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

import segno
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api import auth, i18n
from api.i18n import marked
from geo.signin import Account
from geo.terms import Role

ROLES: Mapping[Role, str] = {
    Role.PLANNER: marked("Planner"),
    Role.WORKER: marked("Grid worker"),
    Role.COMMUNITY: marked("Community"),
    Role.DEPARTMENT: marked("Department"),
    Role.LEADER: marked("Leader"),
    Role.ADMINISTRATOR: marked("Administrator"),
    Role.PUBLIC: marked("Public"),
}
"""What the roles of accounts are called on pages."""
OFFICE = frozenset({Role.ADMINISTRATOR, Role.PLANNER, Role.COMMUNITY})
"""They keep people and posts."""


@cache
def environment(language: str) -> Environment:
    """Return the templates of one language; everything in them is escaped."""
    made = Environment(
        loader=PackageLoader("api"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(  # type: ignore[attr-defined]
        i18n.translations(language), newstyle=True
    )
    made.globals["icon"] = icon_address()
    return made


def icon_address() -> str:
    """Return the icon as an address that holds it: no page asks for a file on its account."""
    drawn = (resources.files("api") / "static" / "img" / "icon.svg").read_text("utf-8")
    return f"data:image/svg+xml,{quote(drawn.strip())}"


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """Return a page in the reader's language.

    Parameters
    ----------
    request : Request
        It carries the nonce of the answer's Content-Security-Policy.
    template : str
        File in api/templates.
    status : int
        HTTP status.
    headers : mapping, optional
        Further headers.
    **values
        What the template names besides `request`, `lang`, `nonce` and `sign_in`.
    """
    language = i18n.get_language(request)
    text = (
        environment(language)
        .get_template(template)
        .render(
            request=request,
            lang=language,
            nonce=request.state.nonce,
            sign_in=sign_in_address(request),
            **values,
        )
    )
    response = HTMLResponse(text, status, headers=dict(headers or {}))
    response.headers["Content-Language"] = "zh-CN" if language == "zh" else language
    i18n.remember(request, response)
    return response


def shown_viewer(request: Request, account: Account | None) -> dict[str, Any]:
    """Return who is signed in, for the bar above a page, with the token of its forms."""
    token = auth.session_token(request)
    word = i18n.translations(i18n.get_language(request)).gettext
    return {
        "signed_in": account is not None,
        "name": account.display_name if account else "",
        "login": account.login if account else "",
        "city": account.city if account else None,
        "role": word(ROLES[Role(account.role) if account else Role.PUBLIC]),
        "office": account is not None and Role(account.role) in OFFICE,
        "csrf": auth.csrf_token(token) if token else "",
    }


def qr_code(address: str) -> Markup:
    """Return an address as a QR code, in SVG that scales."""
    code = segno.make(address, error="m", micro=False)
    return Markup(code.svg_inline(border=4, dark="#000", light="#fff", omitsize=True))  # noqa: S704


def own_address(request: Request) -> str:
    """Return the address under which this server was asked, without a slash at its end."""
    secure = request.app.state.settings.secure_cookies
    scheme = "https" if secure else request.url.scheme
    return f"{scheme}://{request.url.netloc}"


def sign_in_address(request: Request) -> str:
    """Return the address of the sign-in page that leads back to what was asked for.

    From the strangers' first page it leads to the own one.
    """
    if request.url.path == "/net" and not request.url.query:
        return "/signin"
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/signin?next={quote(asked, safe='')}"


def own_path(wish: str | None, otherwise: str = "/") -> str:
    """Return a path of ours to go on to; anything that could lead elsewhere is dropped.

    Examples
    --------
    >>> own_path("/net?grid=7"), own_path("//evil.example"), own_path("https://evil.example")
    ('/net?grid=7', '/', '/')
    """
    plain = wish is not None and wish.isascii() and wish.isprintable() and "\\" not in wish
    if not plain or wish is None or not wish.startswith("/") or wish.startswith("//"):
        return otherwise
    return wish
