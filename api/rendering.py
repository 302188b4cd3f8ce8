"""Pages: templates in the reader's language, with what every page gets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from api import i18n


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
    return made


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
        What the template names besides `request`, `lang` and `nonce`.
    """
    language = i18n.get_language(request)
    text = (
        environment(language)
        .get_template(template)
        .render(request=request, lang=language, nonce=request.state.nonce, **values)
    )
    response = HTMLResponse(text, status, headers=dict(headers or {}))
    response.headers["Content-Language"] = "zh-CN" if language == "zh" else language
    i18n.remember(request, response)
    return response


def sign_in_address(request: Request) -> str:
    """Return the address of the sign-in page that leads back to what was asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/signin?next={quote(asked, safe='')}"


def own_path(wish: str | None, otherwise: str = "/net") -> str:
    """Return a path of ours to go on to; anything that could lead elsewhere is dropped.

    Examples
    --------
    >>> own_path("/net?grid=7"), own_path("//evil.example"), own_path("https://evil.example")
    ('/net?grid=7', '/net', '/net')
    """
    plain = wish is not None and wish.isascii() and wish.isprintable() and "\\" not in wish
    if not plain or wish is None or not wish.startswith("/") or wish.startswith("//"):
        return otherwise
    return wish
