"""Answer texts with places to fill: what a desk says again and again, in checked words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from geo.errors import InvalidInputError

__all__ = ["PLACES", "demand_places", "filled", "places_of"]

PLACES: Final = (
    "number", "code", "category", "grid", "address", "organisation", "deadline", "today",
)  # fmt: skip
"""Places that the desk fills by itself; every other one is left for whoever writes."""
_PLACE: Final = re.compile(r"\{([^{}\n]{1,40})\}")
_LOOSE: Final = re.compile(r"[{}]")


def places_of(text: str) -> list[str]:
    """Return the places of a text in their order, each once.

    Examples
    --------
    >>> places_of("{category}由{organisation}于{几日}内处置,{category}。")
    ['category', 'organisation', '几日']
    """
    return list(dict.fromkeys(_PLACE.findall(text)))


def demand_places(text: str) -> None:
    """Make sure that each brace belongs to a place.

    Raises
    ------
    InvalidInputError
        If one does not.
    """
    if _LOOSE.search(_PLACE.sub("", text)):
        raise InvalidInputError(
            "A brace is open: a place is written {category} or {a word of one's own}.",
            field="body", reason="braces",
        )  # fmt: skip


def filled(text: str, known: Mapping[str, str | None]) -> str:
    """Return a text with what is known put into its places; the others stand as 【…】.

    Examples
    --------
    >>> filled("{category}由{organisation}处置,预计{几日}完成。", {"category": "暴露垃圾"})
    '暴露垃圾由【organisation】处置,预计【几日】完成。'
    """

    def put(found: re.Match[str]) -> str:
        return known.get(found.group(1)) or f"【{found.group(1)}】"

    return _PLACE.sub(put, text)
