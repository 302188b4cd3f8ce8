"""Languages: catalogues read once from the .po files, and which of them a reader gets.

Message ids are English, so English needs no translations; what stands in its catalogue are wordings
that differ from their id.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from fastapi import Request, Response

from geo.saying import in_words

LANGUAGES = ("zh", "en")
OF_MESSAGES = "en"
"""Language in which messages stand in the code, and errors in logs and on the command line."""
COOKIE = "wangge_lang"
PARAMETER = "lang"
YEAR_S = 365 * 24 * 3600
_WEIGHTED = re.compile(r"\s*([a-zA-Z*]{1,8})(?:-[\w-]*)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*$")


def catalogue(language: str) -> Catalog:
    """Return the messages of a language as its translators wrote them.

    Raises
    ------
    KeyError
        If the language has none.
    """
    if language not in LANGUAGES:
        raise KeyError(language)
    path = resources.files("api") / "locale" / language / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return read_po(file, locale=language)


@cache
def translations(language: str) -> Translations:
    """Return what translates into a language: `gettext`, `ngettext` and their like."""
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    return Translations(compiled)


def told(data: Any, language: str) -> Any:
    """Return plain data with the sentences in it (`geo.saying`) in a language."""
    gettext = translations(language).gettext
    return in_words(data, lambda pattern: gettext(pattern) if pattern else "")


def marked(message: str) -> str:
    """Mark a message for the catalogue and return it untranslated."""
    return message


def language_of(
    query: Mapping[str, str], cookies: Mapping[str, str], accepted: str | None, default: str
) -> str:
    """Return the reader's language: asked for, remembered, accepted, else the default.

    Parameters
    ----------
    query, cookies : mapping
        Of the request.
    accepted : str, optional
        Its Accept-Language.
    default : str
        Where nothing is said, or nothing that we have.

    Examples
    --------
    >>> language_of({}, {}, "fr, en-GB;q=0.8, zh;q=0.5", "zh")
    'en'
    """
    for wish in (query.get(PARAMETER), cookies.get(COOKIE)):
        if wish in LANGUAGES:
            return str(wish)
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate((accepted or "").split(",")[:20]):
        found = _WEIGHTED.match(part)
        if found and found[1].lower() in LANGUAGES:
            ranked.append((-float(found[2] or 1), place, found[1].lower()))
    ranked = [entry for entry in ranked if entry[0] < 0]
    return min(ranked)[2] if ranked else default


def get_language(request: Request) -> str:
    """Return the language of a request."""
    return language_of(
        request.query_params,
        request.cookies,
        request.headers.get("accept-language"),
        request.app.state.settings.default_language,
    )


def remember(request: Request, response: Response) -> None:
    """Keep a language that was asked for in the address for the next pages."""
    wish = request.query_params.get(PARAMETER)
    if wish in LANGUAGES and request.cookies.get(COOKIE) != wish:
        secure = request.app.state.settings.secure_cookies
        response.set_cookie(
            COOKIE, str(wish), max_age=YEAR_S, path="/", secure=secure, samesite="lax"
        )
