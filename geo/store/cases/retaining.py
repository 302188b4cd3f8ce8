"""How long what people gave is kept: contacts, words, photos; what is erased leaves a stone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo.errors import InvalidInputError, NotFoundError
from geo.store import audit
from geo.store.together.forgetting import forget

MOST_CONTACT_DAYS: Final = 365
"""Contacts are never kept longer than this after closing."""


@dataclass(frozen=True)
class Keep:
    """For how many days after closing (of messages: after sending) something is kept.

    A photo that no desk released goes with the contact, a released one with the words.
    """

    contact_days: int = 180
    words_days: int = 3 * 365
    message_days: int = 90


_CLOSED = (
    "(i.state IN ('closed', 'void') OR i.set_aside IS NOT NULL)"
    " AND coalesce(i.closed_at, i.reported_at)"
)
"""What is set aside lies on no desk, so nobody would ever close it."""
_OVER = f"{_CLOSED} < :before"
_CONTACTS = text(f"""
    WITH gone AS (
        DELETE FROM issue_contact AS k USING issue AS i
        WHERE k.city_id = :city AND i.city_id = k.city_id AND i.issue_id = k.issue_id
          AND (CAST(:issue AS bigint) IS NULL AND {_OVER} OR k.issue_id = :issue)
        RETURNING k.issue_id
    )
    INSERT INTO tombstone (city_id, relation, object_id, reason)
    SELECT :city, 'issue_contact', issue_id, :reason FROM gone
    ON CONFLICT (city_id, relation, object_id) DO UPDATE SET erased_at = statement_timestamp()
    RETURNING object_id
""")  # noqa: S608
_WORDS = text(f"""
    WITH own AS (
        SELECT i.issue_id FROM issue AS i
        WHERE i.city_id = :city
          AND (CAST(:issue AS bigint) IS NULL AND {_OVER}
               AND num_nonnulls(i.words, i.address, i.reporter_id) > 0 OR i.issue_id = :issue)
        UNION
        SELECT i.issue_id FROM issue_event AS e
        JOIN issue AS i ON i.city_id = e.city_id AND i.issue_id = e.issue_id
        WHERE CAST(:issue AS bigint) IS NULL AND e.city_id = :city AND e.reason IS NOT NULL
          AND e.at < :before AND {_OVER}
    ), gone AS (
        UPDATE issue AS i SET words = NULL, address = NULL, reporter_id = NULL,
            erased_at = statement_timestamp()
        FROM own WHERE i.city_id = :city AND i.issue_id = own.issue_id
    ), notes AS (
        DELETE FROM delivery_change AS d USING own
        WHERE d.city_id = :city AND d.relation = 'issue'
          AND split_part(ltrim(coalesce(d.row_after, d.row_before), '('), ',', 2)
              = own.issue_id::text
    ), reasons AS (
        UPDATE issue_event AS e SET reason = NULL FROM own
        WHERE e.city_id = :city AND e.issue_id = own.issue_id AND e.reason IS NOT NULL
    )
    INSERT INTO tombstone (city_id, relation, object_id, reason)
    SELECT :city, 'issue', issue_id, :reason FROM own
    ON CONFLICT (city_id, relation, object_id) DO UPDATE SET erased_at = statement_timestamp()
    RETURNING object_id
""")  # noqa: S608
"""Reasons are looked for by themselves: who opens an issue again may say more than at first.

What would undo an import holds the words as well: such a row is no longer undone.
"""
_PHOTOS = text(f"""
    WITH gone AS (
        DELETE FROM photo AS p USING issue AS i
        WHERE p.city_id = :city AND i.city_id = p.city_id AND i.issue_id = p.issue_id
          AND (CAST(:issue AS bigint) IS NULL
               AND ({_OVER} OR p.released_at IS NULL AND {_CLOSED} < :before_private)
               OR p.issue_id = :issue)
        RETURNING p.photo_id
    )
    INSERT INTO tombstone (city_id, relation, object_id, reason)
    SELECT :city, 'photo', photo_id, :reason FROM gone
    ON CONFLICT (city_id, relation, object_id) DO UPDATE SET erased_at = statement_timestamp()
    RETURNING object_id
""")  # noqa: S608
_SECONDS = text(f"""
    DELETE FROM issue_second AS s USING issue AS i
    WHERE s.city_id = :city AND i.city_id = s.city_id AND i.issue_id = s.issue_id
      AND (CAST(:issue AS bigint) IS NULL AND {_OVER} OR s.issue_id = :issue)
    RETURNING s.issue_id
""")  # noqa: S608
_MESSAGES = text("""
    DELETE FROM outbox WHERE city_id = :city
      AND (CAST(:issue AS bigint) IS NULL AND state <> 'waiting' AND created_at < :before
           OR issue_id = :issue)
    RETURNING message_id
""")
_OFFSPRING = text("""
    WITH RECURSIVE own (issue_id) AS (
        SELECT CAST(:issue AS bigint)
        UNION SELECT i.issue_id FROM issue AS i JOIN own ON i.split_from = own.issue_id
        WHERE i.city_id = :city
    )
    SELECT issue_id FROM own
""")
STATEMENTS: Final = {
    "contacts": (_CONTACTS, "contacts"),
    "photos": (_PHOTOS, "words"),
    "words": (_WORDS, "words"),
    "seconds": (_SECONDS, "words"),
    "messages": (_MESSAGES, "messages"),
}
"""What erases each thing, and by whose term."""


def retain(
    session: Session,
    city_id: int,
    now: datetime,
    keep: Keep | None = None,
    *,
    dry_run: bool = True,
) -> dict[str, int]:
    """Erase what is older than it may be; for the owner. A dry run changes nothing.

    Returns
    -------
    dict
        How many contacts, issues' words, photos, notes of who saw the same, and messages are, or
        would be, erased.

    Raises
    ------
    InvalidInputError
        If contacts were to be kept longer than a year.
    """
    keep = keep or Keep()
    if keep.contact_days > MOST_CONTACT_DAYS:
        raise InvalidInputError(
            f"Contacts are kept {MOST_CONTACT_DAYS} days at most.", field="contact_days",
            reason="too_long", most=MOST_CONTACT_DAYS,
        )  # fmt: skip
    before = {
        "contacts": now - timedelta(days=keep.contact_days),
        "words": now - timedelta(days=keep.words_days),
        "messages": now - timedelta(days=keep.message_days),
    }
    done = _erased(session, city_id, before, None, "age", dry_run=dry_run)
    if not dry_run and any(done.values()):
        audit.append(session, city_id, "issue.retain", "issues", done)
    return done


def erase(session: Session, city_id: int, issue: int) -> dict[str, int]:
    """Erase all that people gave to one issue, at the wish of its reporter; for the owner.

    Its photos go whether a desk released them or not, and so do the words of the issues that were
    split off from it, and of the topic or the alarm that it came of.

    Raises
    ------
    NotFoundError
        If there is no such issue.
    """
    known = session.scalar(
        text("SELECT 1 FROM issue WHERE city_id = :city AND issue_id = :issue"),
        {"city": city_id, "issue": issue},
    )
    if known is None:
        raise NotFoundError(f"There is no issue {issue}.", issue=issue)
    done: dict[str, int] = {}
    for one in session.scalars(_OFFSPRING, {"city": city_id, "issue": issue}).all():
        for name, number in _erased(session, city_id, {}, one, "wish", dry_run=False).items():
            done[name] = done.get(name, 0) + number
    done["beside"] = forget(session, city_id)
    audit.append(session, city_id, "issue.erase", f"issue/{issue}", done)
    return done


def _erased(
    session: Session,
    city_id: int,
    before: dict[str, datetime],
    issue: int | None,
    reason: str,
    *,
    dry_run: bool,
) -> dict[str, int]:
    done: dict[str, int] = {}
    point = session.begin_nested()
    session.execute(text("SELECT set_config('wangge.erasing', 'on', true)"))
    for name, (statement, term) in STATEMENTS.items():
        asked: dict[str, Any] = {"city": city_id, "issue": issue, "before": before.get(term)}
        wanted = {"reason": reason, "before_private": before.get("contacts")}
        asked |= {key: wanted[key] for key in wanted if key in statement.compile().params}
        done[name] = len(session.execute(statement, asked).all())
    session.execute(text("SELECT set_config('wangge.erasing', '', true)"))
    if dry_run:
        point.rollback()
    else:
        point.commit()
    return done
