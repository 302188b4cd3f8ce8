"""Sentences that can be said in another language later: each keeps its pattern and what fills it.

What is found in files is told in plain English to logs and on the command line. The outer doors
translate the pattern and fill it again, so that a page in Chinese is Chinese to the last word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_SLOT: Final = re.compile(r"%\((\w+)\)s")
_KEYS: Final = frozenset({"say", "with"})
MOST_DEEP: Final = 8
"""Sentences stand in sentences; what comes out of a jail may not do so without end."""


class Said(str):
    """A sentence in English; made by `phrase`.

    Attributes
    ----------
    pattern : str
        The message of the catalogue.
    values : dict
        What stands in its slots; texts, or sentences again.
    """

    pattern: str
    values: dict[str, str]

    def __str__(self) -> str:
        """Return the sentence itself, not a bare copy: who asks for a text keeps the pattern."""
        return self


def phrase(pattern: str, /, **values: object) -> Said:
    """Return a sentence of the catalogue with its slots filled.

    Parameters
    ----------
    pattern : str
        English; a slot is written ``%(name)s``, a percent sign is itself.
    **values
        What stands in the slots.

    Examples
    --------
    >>> phrase("%(n)s rows left out", n=3)
    '3 rows left out'
    """
    known: dict[str, str] = {name: _text(value) for name, value in values.items()}
    made = Said(_filled(pattern, known))
    made.pattern, made.values = pattern, known
    return made


def at(place: str, what: str) -> Said:
    """Return a sentence with the file, the layer or the row before it that it is about."""
    return phrase("%(place)s: %(what)s", place=place, what=what)


def both(one: str, two: str) -> Said:
    """Return two sentences, or two parts of one, as one."""
    return phrase("%(one)s %(two)s", one=one, two=two)


def _text(value: object) -> str:
    return value if isinstance(value, str) else format(value)


def _filled(pattern: str, values: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda slot: str.__str__(values.get(slot[1], "")), pattern)


def in_words(data: Any, translated: Callable[[str], str], *, deep: int = MOST_DEEP) -> Any:
    """Return plain data with its sentences, packed or not, said in another language.

    Parameters
    ----------
    data
        A sentence, or dicts and lists with sentences in them.
    translated : callable
        English pattern -> pattern of the other language; an unknown one is itself.

    Examples
    --------
    >>> in_words([phrase("%(n)s rows", n=3)], {"%(n)s rows": "%(n)s 行"}.get)
    ['3 行']
    """
    if isinstance(data, Said):
        inner = {name: in_words(value, translated) for name, value in data.values.items()}
        return _filled(translated(data.pattern), inner)
    if isinstance(data, Mapping):
        if data.keys() == _KEYS:
            return in_words(unpacked(data), translated) if deep else ""
        return {key: in_words(value, translated, deep=deep) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [in_words(value, translated, deep=deep) for value in data]
    return data


def packed(data: Any) -> Any:
    """Return plain data in which each sentence is a table of its pattern and values."""
    if isinstance(data, Said):
        return {"say": data.pattern, "with": {k: packed(v) for k, v in data.values.items()}}
    if isinstance(data, Mapping):
        return {key: packed(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [packed(value) for value in data]
    return data


def unpacked(data: Any, *, deep: int = MOST_DEEP) -> Any:
    """Return what `packed` was made of; a table that is no sentence stays one."""
    if isinstance(data, Mapping):
        if data.keys() == _KEYS and isinstance(data["with"], Mapping):
            inner = data["with"].items() if deep else ()
            return phrase(
                str(data["say"]), **{str(k): unpacked(v, deep=deep - 1) for k, v in inner}
            )
        return {key: unpacked(value, deep=deep) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [unpacked(value, deep=deep) for value in data]
    return data
