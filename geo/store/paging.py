"""Keyset paging: a page begins behind the last row of the page before, wherever rows were added."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import UnaryExpression

from geo.errors import InvalidInputError

Item = TypeVar("Item")
Value = str | int | float | datetime
Statement: TypeAlias = "Select[*tuple[Any, ...]]"

CURSOR_LENGTH = 8_000
"""Longest cursor that is looked at, characters."""
TEXT_LENGTH = 1_000
"""Longest text within a cursor, characters."""


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some rows of an ordered list, and the cursor behind the last of them when there are more."""

    items: Sequence[Item]
    next: str | None = None


@dataclass(frozen=True)
class Key:
    """One column of an order: its expression, its Python type, its direction."""

    column: Any
    kind: type[str] | type[int] | type[float] | type[datetime]
    descending: bool = False

    def order(self) -> UnaryExpression[Any]:
        """Return the column as it stands in ORDER BY."""
        turned: UnaryExpression[Any] = self.column.desc() if self.descending else self.column.asc()
        return turned

    def behind(self, value: Value) -> ColumnElement[bool]:
        """Return the condition of rows that come later than `value`."""
        later: ColumnElement[bool] = self.column < value if self.descending else self.column > value
        return later


@dataclass(frozen=True)
class Order:
    """The order of a list; its last key is unique, so that every row has one place.

    Parameters
    ----------
    keys : tuple of Key
        From the first to the unique one; none of them is ever null.
    question : mapping
        What the list was narrowed by: a cursor serves the question that it was made for.
    """

    keys: tuple[Key, ...]
    question: Mapping[str, Any]

    def by(self) -> tuple[UnaryExpression[Any], ...]:
        """Return the ORDER BY columns."""
        return tuple(key.order() for key in self.keys)

    def behind(self, cursor: str | None) -> ColumnElement[bool] | None:
        """Return the condition of rows behind `cursor`; None for the first page.

        Raises
        ------
        InvalidInputError
            If the cursor is not one of ours, or was made for another question.
        """
        if cursor is None:
            return None
        values = self._values(cursor)
        steps: list[ColumnElement[bool]] = []
        for depth, key in enumerate(self.keys):
            equal = [k.column == v for k, v in zip(self.keys[:depth], values[:depth], strict=True)]
            steps.append(and_(*equal, key.behind(values[depth])))
        return or_(*steps)

    def cursor(self, values: Sequence[Value]) -> str:
        """Return the cursor behind the row with these values of the keys."""
        plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
        content = json.dumps([self._mark(), *plain], ensure_ascii=False, separators=(",", ":"))
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    def fetch(
        self, session: Session, statement: Statement, *, limit: int, after: str | None
    ) -> Page[dict[str, Any]]:
        """Return the rows behind `after` as dictionaries by the names of the columns.

        Raises
        ------
        InvalidInputError
            If the cursor is not one of ours, or was made for another question.
        """
        behind = self.behind(after)
        if behind is not None:
            statement = statement.where(behind)
        own = [f"_key_{place}" for place in range(len(self.keys))]
        sorted_by = [key.column.label(name) for key, name in zip(self.keys, own, strict=True)]
        found = statement.add_columns(*sorted_by).order_by(*self.by()).limit(limit + 1)
        rows = [dict(row) for row in session.execute(found).mappings()]
        places = [tuple(row.pop(name) for name in own) for row in rows]
        more = len(rows) > limit
        return Page(rows[:limit], self.cursor(places[limit - 1]) if more else None)

    def _mark(self) -> str:
        order = [[str(key.column), key.descending] for key in self.keys]
        content = json.dumps([order, dict(self.question)], sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def _values(self, cursor: str) -> list[Value]:
        wrong = InvalidInputError(
            "This cursor does not belong to this list; begin at its first page.", field="after"
        )
        if len(cursor) > CURSOR_LENGTH or not cursor.isascii():
            raise wrong
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError, RecursionError) as error:
            raise wrong from error
        if not isinstance(content, list) or len(content) != len(self.keys) + 1:
            raise wrong
        mark, *values = content
        fits = all(_fits(value, key.kind) for value, key in zip(values, self.keys, strict=True))
        if mark != self._mark() or not fits:
            raise wrong
        return [
            datetime.fromisoformat(value) if key.kind is datetime else value
            for value, key in zip(values, self.keys, strict=True)
        ]


def _fits(value: Any, kind: type[Any]) -> bool:
    """Say whether a value that came back may stand in a statement."""
    if kind is str:
        if not isinstance(value, str) or len(value) > TEXT_LENGTH or "\x00" in value:
            return False
        return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
    if kind is datetime:
        return isinstance(value, str) and _is_moment(value)
    if isinstance(value, bool):
        return False
    if kind is int:
        return isinstance(value, int) and abs(value) < 2**63
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) < 2.0**63


def _is_moment(text: str) -> bool:
    """Say whether a text is a moment with its offset."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
