"""Answers to errors: one table from named errors to statuses, one form (RFC 9457) for all of them.

Programs get `application/problem+json` with a stable `code`; people who asked for a page get one.
An unexpected error gives an id and nothing else; what happened stands in the log under that id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote, urlencode
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException as StarletteHTTPException

from api import i18n, rendering
from api.auth import CrossSiteError
from api.i18n import marked
from geo import errors
from geo.saying import Said, phrase

log = logging.getLogger("wangge")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
"""When to ask again while the database is away, in seconds."""
STANDARD = frozenset({"type", "title", "status", "code", "detail", "instance"})


class NoCityError(errors.CityNotFoundError):
    """The database holds no city at all."""

    code: ClassVar[str] = "no_city"


class NoNetError(errors.NetNotFoundError):
    """The city has begun and has no grids at all."""

    code: ClassVar[str] = "no_net"


class UnexpectedError(errors.WanggeError):
    """Something that nobody foresaw; only its id is told."""

    code: ClassVar[str] = "unexpected"


class RefusedRequestError(errors.WanggeError):
    """The request itself is not one that is answered here; `status` is the HTTP status."""

    code: ClassVar[str] = "refused"


@dataclass(frozen=True)
class Kind:
    """How a kind of error is told: status, headline, what to do (messages of the catalogue)."""

    status: int
    title: str
    advice: str


KINDS: Mapping[type[errors.WanggeError], Kind] = {
    errors.NotFoundError: Kind(
        404,
        marked("Nothing is there"),
        marked("The address may be wrong, or what it names is not open to this account."),
    ),
    errors.CityNotFoundError: Kind(
        404,
        marked("There is no such city"),
        marked("Choose a city from the list on the map page."),
    ),
    NoCityError: Kind(
        404,
        marked("There is no city yet"),
        marked("Begin one in the guide, or load the made-up one on the command line: wangge demo."),
    ),
    errors.NetNotFoundError: Kind(
        404,
        marked("There is no net on this date"),
        marked("Choose a later date."),
    ),
    NoNetError: Kind(
        404,
        marked("This city has no grids yet"),
        marked("Its map stands here as soon as the first file of grids has come in."),
    ),
    errors.GridNotFoundError: Kind(
        404,
        marked("The net of this date has no such grid"),
        marked("It may have begun later or ended before; choose another date or search for it."),
    ),
    errors.OutsideCityError: Kind(
        404,
        marked("This place lies outside the city"),
        marked("Choose a place inside the city's border."),
    ),
    errors.NotSignedInError: Kind(
        401,
        marked("Sign in first"),
        marked("This is for people who work for the city."),
    ),
    errors.SignInError: Kind(
        401,
        marked("Account and password do not match"),
        marked("Check both and try again; an administrator can set a new password."),
    ),
    errors.ForbiddenError: Kind(
        403,
        marked("This account may not do that"),
        marked("Ask an administrator of the city if you need it for your work."),
    ),
    CrossSiteError: Kind(
        403,
        marked("The page is out of date"),
        marked("Load the page again and repeat the last step."),
    ),
    errors.TooManyAttemptsError: Kind(
        429,
        marked("Too many attempts"),
        marked("Wait a little, then try again."),
    ),
    errors.AlarmRefusedError: Kind(
        401,
        marked("The alarm is not taken"),
        marked("Check the code, the key and the clock of the device."),
    ),
    errors.TooBusyError: Kind(
        503,
        marked("Many people are here at this moment"),
        marked("Nothing is lost; try again in a few seconds."),
    ),
    errors.TooManyReportsError: Kind(
        429,
        marked("Too many reports came from this network within an hour"),
        marked("Wait a little, then send it again; the phone keeps it meanwhile."),
    ),
    errors.ConflictError: Kind(
        409,
        marked("This contradicts what is stored"),
        marked("Load the page again and look at what changed."),
    ),
    errors.IssueActError: Kind(
        409,
        marked("This cannot be done to the issue now"),
        marked("Load it again and look what was done meanwhile."),
    ),
    errors.RebaseNeededError: Kind(
        409,
        marked("A later net was published meanwhile"),
        marked("Put the plan on the last net first; nothing of it is lost."),
    ),
    errors.RebaseConflictError: Kind(
        409,
        marked("The plan and a later net changed the same"),
        marked("Decide each place: keep what the plan says, or take what the later net says."),
    ),
    errors.PostsUnsettledError: Kind(
        409,
        marked("Posts of grids that end have no successor"),
        marked("Say where each post goes, or that it becomes vacant."),
    ),
    errors.InvalidInputError: Kind(
        422,
        marked("A value cannot be used"),
        marked("Correct the value and try again."),
    ),
    errors.DatasetError: Kind(
        422,
        marked("The data has defects"),
        marked("Correct the defects listed and try again."),
    ),
    errors.TopologyError: Kind(
        422,
        marked("These shapes cannot be worked on"),
        marked("Check the coordinate system and the shapes."),
    ),
    errors.StaleEditError: Kind(
        412,
        marked("Somebody else has changed this meanwhile"),
        marked("Look at both versions; nothing was lost. Then repeat the step on the newer one."),
    ),
    errors.GridLockedError: Kind(
        423,
        marked("Another member keeps this grid for now"),
        marked("Ask that member, or the author of the plan, to give it back."),
    ),
    errors.TooManyStreamsError: Kind(
        429,
        marked("Too many pages of this account wait for news"),
        marked("Close one of them; the others go on."),
    ),
    errors.VersionMissingError: Kind(
        428,
        marked("The edit does not say on which version it was made"),
        marked("Send the versions of the grids that it touches."),
    ),
    errors.PlanRuleError: Kind(
        422,
        marked("This edit breaks a rule of the plan"),
        marked("The places are marked; change the edit, or mark the exception with its reason."),
    ),
    errors.CodeFormatError: Kind(
        422,
        marked("This code does not follow its scheme"),
        marked("Correct the code and try again."),
    ),
    errors.CodeOverflowError: Kind(
        409,
        marked("No code is left in this scheme"),
        marked("Ask the planner for a scheme with longer numbers."),
    ),
    errors.SandboxError: Kind(
        503,
        marked("Files cannot be opened here"),
        marked("The operator's command wangge doctor says what is missing."),
    ),
    errors.DatabaseAwayError: Kind(
        503,
        marked("The database is away"),
        marked("It comes back by itself; try again in a moment."),
    ),
    errors.TookTooLongError: Kind(
        503,
        marked("This took too long"),
        marked("It was stopped so that nobody else waits; ask for less, or try again later."),
    ),
    RefusedRequestError: Kind(
        400,
        marked("This request cannot be answered"),
        marked("Check the address."),
    ),
    UnexpectedError: Kind(
        500,
        marked("Something went wrong"),
        marked("Try again; if it happens again, tell the operator the number below."),
    ),
}
"""Each named error of the subject -> how it is answered; the nearest base class counts."""

ANY_FIELD = marked("this value is not one that can stand here; leave it out or choose another.")
WRONG: Mapping[str, str] = {
    "missing": marked("this value is missing."),
    "extra_forbidden": marked("there is no such value here."),
    "bool_parsing": marked("write true or false."),
    "int_parsing": marked("write a whole number."),
    "int_type": marked("write a whole number."),
    "float_parsing": marked("write a number."),
    "float_type": marked("write a number."),
    "finite_number": marked("write a number."),
    "string_type": marked("write a text."),
    "string_too_short": marked("write at least %(min_length)s letters."),
    "string_too_long": marked("write at most %(max_length)s letters."),
    "string_pattern_mismatch": marked("the text does not have the form %(pattern)s."),
    "too_short": marked("give at least %(min_length)s of them."),
    "too_long": marked("give at most %(max_length)s of them."),
    "list_type": marked("give a list."),
    "dict_type": marked("give an object with names and values."),
    "model_attributes_type": marked("give an object with names and values."),
    "literal_error": marked("choose one of %(expected)s."),
    "enum": marked("choose one of %(expected)s."),
    "greater_than": marked("it has to be above %(gt)s."),
    "greater_than_equal": marked("it has to be at least %(ge)s."),
    "less_than": marked("it has to be below %(lt)s."),
    "less_than_equal": marked("it has to be at most %(le)s."),
    "date_from_datetime_parsing": marked("write a day of the calendar as year-month-day."),
    "date_parsing": marked("write a day of the calendar as year-month-day."),
    "datetime_parsing": marked("write a moment as ISO 8601 has it."),
    "json_invalid": marked("this is no JSON."),
}
"""Kind of a wrong value, as pydantic names it -> what is wrong with it."""
PAGE_FIELDS: Mapping[str, tuple[str, str]] = {
    "as_of": (
        marked("Date"),
        marked("write a day of the calendar as year-month-day, such as 2026-01-31."),
    ),
    "level": (
        marked("Level of grids"),
        marked("choose one of the city's levels by its number, 1 being the top."),
    ),
    "sort": (marked("Order"), marked("choose it by a click on the head of a column.")),
    "after": (
        marked("Page of the list"),
        marked("begin at the first page again; this link belongs to another list."),
    ),
    "grid": (marked("Grid"), marked("choose a grid on the map or in the table.")),
    "parent": (marked("Belongs to"), marked("choose a grid on the map or in the table.")),
    "only": (marked("Layer"), marked("choose grids, stations, buildings or streets.")),
    "city": (marked("City"), marked("choose a city from the list on the map page.")),
    "q": (marked("Name or code"), marked("write at most 200 letters.")),
}
"""Field of a page's address -> what it is called and how it is put right."""

_HTTP_TITLES: Mapping[int, tuple[str, str]] = {
    404: ("not_found", KINDS[errors.NotFoundError].title),
    405: ("method_not_allowed", marked("This address is not asked in this way")),
    413: ("too_large", marked("This is too large")),
}


class Problem(BaseModel):
    """An error as told to programs (RFC 9457); further members say which value or place it is."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str | None = None


def kind_of(error: type[errors.WanggeError]) -> Kind:
    """Return how a named error is answered, that of its nearest base class in `KINDS`."""
    return next((KINDS[base] for base in error.__mro__ if base in KINDS), KINDS[UnexpectedError])


def responses_for(*expected: type[errors.WanggeError]) -> dict[int | str, dict[str, Any]]:
    """Return a route's declaration of the errors it can answer with, for ``responses=``.

    Wrong values (422), an absent database (503) and the unexpected (500) belong to every route.

    Parameters
    ----------
    *expected
        Named errors besides those three.
    """
    always: tuple[type[errors.WanggeError], ...] = (
        errors.InvalidInputError,
        errors.DatabaseAwayError,
        errors.TookTooLongError,
        UnexpectedError,
    )
    codes: dict[int, list[str]] = {}
    for error in (*expected, *always):
        named = codes.setdefault(kind_of(error).status, [])
        if error.code not in named:
            named.append(error.code)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": " or ".join(f"`{code}`" for code in named), "content": content}
        for status, named in sorted(codes.items())
    }


def wants_page(request: Request) -> bool:
    """Return whether a person asked, who is answered by a page."""
    if request.url.path.startswith(("/api/", "/static/")):
        return False
    return "text/html" in request.headers.get("accept", "")


def answer(
    request: Request,
    error: errors.WanggeError,
    *,
    status: int | None = None,
    code: str | None = None,
    title: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer to an error: a page for people, a problem for programs.

    Parameters
    ----------
    request : Request
        That failed.
    error : WanggeError
        What happened; its data become members of the problem.
    status, code, title : optional
        In place of what `KINDS` says.
    headers : mapping, optional
        Further headers.
    """
    kind = kind_of(type(error))
    number = status or kind.status
    language = i18n.get_language(request)
    catalogue = i18n.translations(language)
    headline = catalogue.gettext(title or kind.title)
    sent = {**_headers(error, number), **(headers or {})}
    if wants_page(request):
        advice = _advice(error, language)
        reference = error.data.get("id")
        return rendering.page(
            request,
            "message.html",
            status=number,
            headers=sent,
            title=headline,
            message=f"{advice} ({reference})" if reference else advice,
            link=_way_on(request, error, catalogue.gettext),
        )
    name = code or error.code
    data = i18n.told(error.data, language)
    body = {
        "type": f"urn:wangge:problem:{name}",
        "title": headline,
        "status": number,
        "code": name,
        "detail": _detail(error, data, language),
        **{key: value for key, value in data.items() if key not in STANDARD},
    }
    if "id" in error.data:
        body["instance"] = f"urn:uuid:{error.data['id']}"
    return JSONResponse(body, number, headers=sent, media_type=MEDIA_TYPE)


def _detail(error: errors.WanggeError, data: Mapping[str, Any], language: str) -> str:
    """Return what happened in the reader's language.

    A sentence that keeps its pattern is translated; of others, which are for logs, a reader of
    another language than theirs is told the headline and what to do instead.
    """
    if isinstance(error, errors.DatasetError) and any(
        isinstance(one, Said) for one in error.data.get("defects", ())
    ):
        return "\n".join(data["defects"])
    if language == i18n.OF_MESSAGES or isinstance(error.message, Said):
        return str(i18n.told(error.message, language))
    if error.data.get("errors"):
        return "".join(f"{one['field']}：{one['message']}" for one in data["errors"])
    headline = i18n.translations(language).gettext(kind_of(type(error)).title)
    return f"{headline}。{_advice(error, language)}"


def told_later(error: Mapping[str, Any] | None, language: str) -> dict[str, Any] | None:
    """Return an error that the worker met and noted, its sentences in the reader's language."""
    if error is None:
        return None
    told: dict[str, Any] = i18n.told(error, language)
    kinds = {kind.code: kind for kind in KINDS}
    data = {key: value for key, value in error.items() if key not in ("code", "message")}
    met = kinds.get(str(error.get("code")), UnexpectedError)(error.get("message", ""), **data)
    return {**told, "message": _detail(met, told, language)}


def _advice(error: errors.WanggeError, language: str) -> str:
    """Return what to do about an error, as exactly as it is known."""
    word = i18n.translations(language).gettext
    advice = word(kind_of(type(error)).advice)
    return _pointed(error, language, word) or _dated(error, word) or advice


def _wrong(one: Mapping[str, Any]) -> str:
    """Return in a sentence of the catalogue what is wrong with a value that was sent."""
    pattern = WRONG.get(str(one["type"]))
    if pattern is None:
        return str(one["msg"])
    return phrase(pattern, **(one.get("ctx") or {}))


def _pointed(error: errors.WanggeError, language: str, word: Callable[[str], str]) -> str:
    """Return which values of a page's address are wrong and how to put them right, else nothing."""
    if kind_of(type(error)) is not KINDS[errors.InvalidInputError]:
        return ""
    listed = error.data.get("errors") or [error.data]
    fields = dict.fromkeys(str(one["field"]) for one in listed if one.get("field"))
    told = []
    for field in fields:
        known = PAGE_FIELDS.get(field)
        name, advice = (word(known[0]), known[1]) if known else (field, ANY_FIELD)
        colon = "：" if language == "zh" else ": "
        told.append(f"{name}{colon}{word(advice)}")
    return " ".join(told)


def _dated(error: errors.WanggeError, word: Callable[[str], str]) -> str:
    """Return from when on a city has a net, if that is what is wrong with a page's date."""
    if not isinstance(error, errors.NetNotFoundError) or not error.data.get("first"):
        return ""
    told = word(marked("No net was in force on %(day)s; the first one is from %(first)s on."))
    return told % {"day": error.data["as_of"], "first": error.data["first"]}


def _headers(error: errors.WanggeError, status: int) -> dict[str, str]:
    sent = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language, Cookie"}
    if status in (429, 503):
        sent["Retry-After"] = str(error.data.get("retry_after_s", RETRY_AFTER_S))
    return sent


def _way_on(request: Request, error: errors.WanggeError, translated: Any) -> dict[str, str] | None:
    if isinstance(error, errors.NotSignedInError):
        return {"href": rendering.sign_in_address(request), "word": translated(marked("Sign in"))}
    if isinstance(error, NoCityError):
        return {"href": "/start", "word": translated(marked("Begin a city"))}
    if isinstance(error, NoNetError):
        city = quote(str(error.data.get("city", "")))
        word = translated(marked("How the first file comes in"))
        return {"href": f"/start?city={city}", "word": word}
    if isinstance(error, errors.NetNotFoundError) and request.query_params.get("as_of"):
        asked = {"city": error.data.get("city"), "as_of": error.data.get("first")}
        asked["lang"] = request.query_params.get("lang")
        query = urlencode({name: value for name, value in asked.items() if value})
        return {"href": f"/net?{query}", "word": translated(marked("To the map"))}
    return None


def unexpected(request: Request, error: Exception) -> Response:
    """Log an error that nobody foresaw under a new id and answer with the id alone."""
    reference = str(uuid4())
    log.error("unexpected error %s", reference, exc_info=error)
    return answer(request, UnexpectedError("Something went wrong.", id=reference))


def install(app: FastAPI) -> None:
    """Let the application answer its errors in this way."""

    def on_named(request: Request, error: errors.WanggeError) -> Response:
        if kind_of(type(error)) is KINDS[UnexpectedError]:
            return unexpected(request, error)
        return answer(request, error)

    def on_invalid(request: Request, error: RequestValidationError) -> Response:
        listed = [
            {
                "field": ".".join(str(step) for step in one["loc"][1:]) or str(one["loc"][0]),
                "in": str(one["loc"][0]),
                "message": _wrong(one),
            }
            for one in error.errors()
        ]
        named = "; ".join(f"{one['field']}: {one['message'].rstrip('.')}" for one in listed)
        return answer(request, errors.InvalidInputError(f"{named}.", errors=listed))

    def on_http(request: Request, error: StarletteHTTPException) -> Response:
        code, title = _HTTP_TITLES.get(
            error.status_code, ("refused", KINDS[RefusedRequestError].title)
        )
        return answer(
            request,
            RefusedRequestError(str(error.detail)),
            status=error.status_code,
            code=code,
            title=title,
            headers=error.headers,
        )

    handlers: dict[type[Exception], Any] = {
        errors.WanggeError: on_named,
        RequestValidationError: on_invalid,
        StarletteHTTPException: on_http,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
