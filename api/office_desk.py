"""What the office's pages share: the city that is kept, forms as sent, and what went wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData, UploadFile

from api import i18n, office_words, rendering
from api.deps import Access, open_page
from api.rooms import ways_of
from geo import service
from geo.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NetNotFoundError,
    NotFoundError,
    NotSignedInError,
    WanggeError,
)
from geo.terms import Role

MOST_ID = 2**63 - 1
REFUSALS = (InvalidInputError, ConflictError, NotFoundError)
"""Errors that are told in place, beside the form they came from."""


@dataclass(frozen=True)
class Sent:
    """A form as it was sent."""

    data: FormData
    values: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a field without blanks around it; empty when it is not there."""
        return self.values.get(name, "").strip()

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [one for one in self.data.getlist(name) if isinstance(one, str) and one]

    def number(self, name: str) -> int:
        """Return a field as a whole number.

        Raises
        ------
        InvalidInputError
            If it is none.
        """
        text = self.text(name)
        if not (text.isascii() and text.isdecimal() and int(text[:19]) <= MOST_ID):
            raise InvalidInputError(
                f"{name} is no number.", field=name, reason="no_number", value=text[:40]
            )
        return int(text)

    def real(self, name: str) -> float:
        """Return a field as a number.

        Raises
        ------
        InvalidInputError
            If it is none.
        """
        text = self.text(name)
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if found != found or abs(found) > 1e12:
            raise InvalidInputError(
                f"{name} is no number.", field=name, reason="no_number", value=text[:40]
            )
        return found

    def ticked(self, name: str) -> bool:
        """Return whether a box is ticked."""
        return bool(self.text(name))

    def day(self, name: str) -> date | None:
        """Return a field as a date, None for an empty one.

        Raises
        ------
        InvalidInputError
            If it is no date.
        """
        text = self.text(name)
        try:
            return date.fromisoformat(text) if text else None
        except ValueError:
            raise _no_date(name, text) from None

    def needed_day(self, name: str) -> date:
        """Return a field as a date.

        Raises
        ------
        InvalidInputError
            If it is empty or no date.
        """
        found = self.day(name)
        if found is None:
            raise InvalidInputError(f"{name} is empty.", field=name, reason="empty")
        return found

    def moment(self, name: str, zone: str) -> datetime | None:
        """Return a field as a moment in a time zone, None for an empty one.

        Raises
        ------
        InvalidInputError
            If it is no moment.
        """
        text = self.text(name)
        try:
            found = datetime.fromisoformat(text) if text else None
        except ValueError:
            raise _no_date(name, text) from None
        return found.replace(tzinfo=ZoneInfo(zone)) if found else None

    def file(self, name: str) -> bytes:
        """Return a file that was sent.

        Raises
        ------
        InvalidInputError
            If there is none.
        """
        found = self.data.get(name)
        content = found.file.read() if isinstance(found, UploadFile) else b""
        if not content:
            raise InvalidInputError("No file was sent.", field=name, reason="no_file")
        return content


def _no_date(name: str, text: str) -> InvalidInputError:
    return InvalidInputError(f"{name} is no date.", field=name, reason="no_date", value=text[:40])


async def get_sent(request: Request) -> AsyncIterator[Sent]:
    """Return the form of a request; control characters are taken out of its fields."""
    data = await request.form()
    values = {}
    for name, value in data.items():
        if isinstance(value, str):
            kept = "".join(one for one in value if one in "\n\r" or one.isprintable())
            values[name] = kept
    try:
        yield Sent(data, values)
    finally:
        await request.close()


SentDep = Annotated[Sent, Depends(get_sent)]


@dataclass(frozen=True)
class Failed:
    """What went wrong in a form: which one, at which field, in a sentence; and what was typed."""

    do: str
    key: str
    field: str
    sentence: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Desk:
    """A city that is kept, and by whom."""

    request: Request
    access: Access
    cities: list[dict[str, Any]]
    city: dict[str, Any]
    moment: service.Moment | None

    @property
    def at(self) -> service.Moment:
        """The day's net.

        Raises
        ------
        NetNotFoundError
            If the city has none yet.
        """
        if self.moment is None:
            raise NetNotFoundError("The city has no net yet.", city=self.city["slug"])
        return self.moment

    @property
    def lang(self) -> str:
        """The reader's language, ``zh`` or ``en``."""
        return i18n.get_language(self.request)

    @property
    def word(self) -> Callable[[str], str]:
        """What translates into the reader's language."""
        return i18n.translations(i18n.get_language(self.request)).gettext

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Return a page of the office."""
        return rendering.page(
            self.request,
            template,
            status=status,
            city=self.city,
            cities=self.cities,
            net=self.city["net"],
            role=self.access.viewer.role.value,
            today=self.moment.day if self.moment else date.today(),  # noqa: DTZ011 - shown alone
            viewer=rendering.shown_viewer(self.request, self.access.account),
            ways=ways_of(self.access.viewer),
            **values,
        )

    def failed(self, sent: Sent, error: WanggeError) -> Failed:
        """Return an error as it is told beside its form."""
        return Failed(
            do=sent.text("do"),
            key=sent.text("key"),
            field=str(error.data.get("field", "")),
            sentence=office_words.told(self.word, error),
            values=sent.values,
        )


def desk_for(*roles: Role) -> Callable[..., Iterator[Desk]]:
    """Return a dependency that opens a city for these roles of it.

    Raises
    ------
    NotSignedInError
        If nobody is signed in.
    ForbiddenError
        If somebody is, and may not.
    """

    def get_desk(request: Request, city: str | None = None) -> Iterator[Desk]:
        with open_page(request, city or None) as (access, cities):
            if access.viewer.role not in roles:
                if access.account is None:
                    raise NotSignedInError("Sign in first.")
                raise ForbiddenError("This account may not do that here.")
            asked = service.Asked(int(access.city_id or 0))
            at, card = service.show_city(access.session, asked)
            yield Desk(request, access, cities, card, at)

    return get_desk
