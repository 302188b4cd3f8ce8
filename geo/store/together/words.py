"""Words that are kept: cleaned, bounded, and without numbers by which somebody is found."""

from __future__ import annotations

from typing import Final

from geo.errors import InvalidInputError
from geo.files import guard
from geo.issues import about_persons
from geo.store import office
from geo.tables.base import Areas

LONGEST: Final = 1_000
FOUND: Final = frozenset({guard.IDENTITY, guard.PHONE, guard.EMAIL})


def plain(said: str | None, field: str, longest: int = LONGEST) -> str:
    """Return words without blanks around them, which may have several lines.

    Raises
    ------
    InvalidInputError
        If nothing is left, they are too long, or hold a number of an identity paper, a telephone
        number or a mail address (`reason` "personal").
    """
    kept = (said or "").replace("\r\n", "\n").strip()
    if not kept:
        raise InvalidInputError(f"The field {field} is empty.", field=field, reason="empty")
    if len(kept) > longest or any(not one.isprintable() and one != "\n" for one in kept):
        told = f"The field {field} takes at most {longest} characters."
        raise InvalidInputError(told, field=field, reason="too_long", most=longest)
    _demand_nobody(kept, field)
    return kept


def perhaps(said: str | None, field: str, longest: int = LONGEST) -> str | None:
    """Return words as `plain`, None for empty ones."""
    return plain(said, field, longest) if (said or "").strip() else None


def title(said: str | None, field: str, longest: int = office.LONGEST_NAME) -> str:
    """Return a name in one line, which is not about persons.

    Raises
    ------
    InvalidInputError
        As `plain`; and if it names persons (`reason` "about_persons").
    """
    kept = office.clean(said, field, longest)
    _demand_nobody(kept, field)
    word = about_persons(kept)
    if word is not None:
        told = f"This is of things and places; '{word}' is about persons."
        raise InvalidInputError(told, field=field, reason="about_persons", value=word)
    return kept


def _demand_nobody(kept: str, field: str) -> None:
    if guard.by_content([kept]) in FOUND:
        raise InvalidInputError(
            "Telephone numbers, mail addresses and numbers of identity papers are not kept here.",
            field=field,
            reason="personal",
        )


def areas_of(row: object) -> dict[str, int | None]:
    """Return the ancestors of a row that has them."""
    return {name: getattr(row, name) for name in Areas.__annotations__}
