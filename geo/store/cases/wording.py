"""Answer texts of a city's desks: kept by the administrator, filled for the issue at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from geo.answers import demand_places, filled
from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError
from geo.store import audit, office, rights
from geo.store.cases.acting import LONGEST_REASON
from geo.store.cases.desk import show
from geo.store.nets import Moment
from geo.tables import AnswerText, Category, Organisation
from geo.terms import IssueAct

MOST_TEXTS: Final = 500


@dataclass(frozen=True)
class Wording:
    """A text with places to fill, as `geo.answers` reads it.

    Parameters
    ----------
    title : str
    body : str
    category : str, optional
        For this category and all below it; None for every one.
    act : str, optional
        For one act; None for every one.
    """

    title: str
    body: str
    category: str | None = None
    act: str | None = None


def texts(
    session: Session, viewer: Viewer, *, category: str | None = None, act: str | None = None
) -> list[dict[str, Any]]:
    """Return the texts of the city, of a category and an act if they are given, nearest first.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for a city.
    """
    if not viewer.staff or viewer.city_id is None:
        raise ForbiddenError("Answer texts are for staff of the city.")
    statement = select(
        AnswerText.text_id.label("text"),
        AnswerText.category,
        AnswerText.act,
        AnswerText.title,
        AnswerText.body,
    ).where(AnswerText.city_id == viewer.city_id)
    if category is not None:
        above = [category[:length] for length in range(1, len(category) + 1)]
        statement = statement.where(or_(AnswerText.category.is_(None),
                                        AnswerText.category.in_(above)))  # fmt: skip
    if act is not None:
        statement = statement.where(or_(AnswerText.act.is_(None), AnswerText.act == act))
    length = func.coalesce(func.length(AnswerText.category), 0)
    rows = session.execute(statement.order_by(length.desc(), AnswerText.title, AnswerText.text_id))
    return [dict(row._mapping) for row in rows]


def texts_for_issue(
    session: Session, viewer: Viewer, at: Moment, issue: int
) -> list[dict[str, Any]]:
    """Return the texts that fit an issue; `filled` has what is known in its places.

    Raises
    ------
    NotFoundError
        If there is no such issue, or the viewer may not know of it.
    """
    card = show(session, viewer, at, issue)
    zone = ZoneInfo(at.timezone)
    category = session.scalar(
        select(Category.name).where(
            Category.city_id == at.city_id, Category.category == card["category"]
        )
    )
    body = session.scalar(
        select(Organisation.name).where(
            Organisation.city_id == at.city_id,
            Organisation.organisation_id == card["organisation_id"],
        )
    )
    until, now = card["deadline_at"], session.scalar(select(func.clock_timestamp()))
    known = {
        "number": str(issue),
        "code": card["code"],
        "category": category,
        "grid": card["path"][-1]["name"] if card["path"] else None,
        "address": card["address"],
        "organisation": body,
        "deadline": f"{until.astimezone(zone):%Y-%m-%d %H:%M}" if until else None,
        "today": f"{now.astimezone(zone):%Y-%m-%d}" if now else None,
    }
    found = texts(session, viewer, category=card["category"])
    return [{**one, "filled": filled(one["body"], known)} for one in found]


def put_text(session: Session, viewer: Viewer, wish: Wording, *, number: int | None = None) -> int:
    """Add a text, or change one; return its number.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If there is none to change.
    InvalidInputError
        If a value cannot be used; `field` names it.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    values = _checked(session, city_id, wish)
    if number is None:
        count = select(func.count()).select_from(AnswerText).where(AnswerText.city_id == city_id)
        if (session.scalar(count) or 0) >= MOST_TEXTS:
            raise InvalidInputError(
                f"At most {MOST_TEXTS} texts.", field="title", reason="too_many", most=MOST_TEXTS
            )
        made = insert(AnswerText).values(city_id=city_id, **values).returning(AnswerText.text_id)
        number = session.execute(made).scalar_one()
    else:
        changed = session.execute(
            update(AnswerText)
            .where(AnswerText.city_id == city_id, AnswerText.text_id == number)
            .values(**values, changed_at=func.statement_timestamp())
            .returning(AnswerText.text_id)
        )
        if changed.first() is None:
            raise _none(number)
    told = {name: values[name] for name in ("title", "category", "act")}
    audit.append(session, city_id, "answer_text.put", f"answer_text/{number}", told)
    return int(number)


def _checked(session: Session, city_id: int, wish: Wording) -> dict[str, Any]:
    body = wish.body.strip()
    if not body or len(body) > LONGEST_REASON or "\x00" in body:
        raise InvalidInputError(
            f"A text has 1 to {LONGEST_REASON} characters.", field="body", reason="too_long",
            most=LONGEST_REASON,
        )  # fmt: skip
    demand_places(body)
    if wish.act is not None and wish.act not in set(IssueAct):
        raise InvalidInputError(f"There is no act '{wish.act}'.", field="act", reason="no_act")
    if wish.category is not None and not session.scalar(
        select(Category.category).where(
            Category.city_id == city_id, Category.category == wish.category
        )
    ):
        raise InvalidInputError(
            f"There is no category '{wish.category}'.", field="category", reason="no_category"
        )
    return {
        "title": office.clean(wish.title, "title", 80),
        "body": body,
        "category": wish.category,
        "act": wish.act,
    }


def drop_text(session: Session, viewer: Viewer, number: int) -> None:
    """Take a text away.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If there is none.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    gone = session.execute(
        delete(AnswerText)
        .where(AnswerText.city_id == city_id, AnswerText.text_id == number)
        .returning(AnswerText.title)
    ).first()
    if gone is None:
        raise _none(number)
    audit.append(session, city_id, "answer_text.dropped", f"answer_text/{number}",
                 {"title": gone.title})  # fmt: skip


def _none(number: int) -> NotFoundError:
    return NotFoundError(f"There is no answer text {number}.", text=number)
