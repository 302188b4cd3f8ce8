"""Photos of issues: taken in, covered, released by a desk; and how many saw the same."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import SmallInteger, cast, func, insert, select, text, update
from sqlalchemy.orm import Session

from geo import photos
from geo.db import Viewer
from geo.errors import (
    ForbiddenError,
    InvalidInputError,
    IssueActError,
    NotFoundError,
    ReportTwiceError,
    TooBusyError,
)
from geo.photos import Stroke
from geo.store import audit, rights
from geo.store.cases.reporting import hash_of
from geo.tables import Issue, IssueSecond, Photo
from geo.terms import Role

__all__ = [
    "DESKS",
    "Added",
    "Stroke",
    "add_as_reporter",
    "add_as_staff",
    "cover",
    "of_issue",
    "pixels",
    "release",
    "second",
    "seconds",
    "shown",
]

MOST: Final = 4
"""Photos of one report by its reporter; the function of the database counts them."""
MOST_OF_STAFF: Final = 12
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
AT_ONCE: Final = 2
"""Photos that are decoded at the same time: a hostile one may take 300 MB."""
_PATIENCE_S: Final = 10.0
_AGAIN_S: Final = 5
_decoders: Final = threading.BoundedSemaphore(AT_ONCE)
DESKS: Final = frozenset({Role.COMMUNITY, Role.ADMINISTRATOR})
"""They cover and release photos."""


@dataclass(frozen=True)
class Added:
    """What became of a photo that was handed over."""

    width: int
    height: int
    created: bool


def add_as_reporter(session: Session, code: str, secret: str, name: str, content: bytes) -> Added:
    """Take in a photo of the own report; the same one again changes nothing.

    Parameters
    ----------
    session : Session
        Of a stranger in the city.
    code, secret : str
        Of the report.
    name : str
        The phone's own name of the photo: letters, digits, - and _.
    content : bytes
        As the phone hands it over.

    Raises
    ------
    PhotoRefusedError
        If it cannot be written anew.
    NotFoundError
        If code and secret do not belong together.
    ReportTwiceError
        If another photo came under this name.
    IssueActError
        If the report has its photos, or is over.
    """
    _check_name(name)
    _demand_own(session, code, secret)  # nobody else has anything decoded
    with _decoding():
        photo = photos.clean(content)
    became = session.scalar(
        select(
            func.add_followed_photo(
                code,
                hash_of(secret),
                name,
                hashlib.sha256(content).hexdigest(),
                photo.content,
                photo.thumbnail,
                cast(photo.width, SmallInteger),
                cast(photo.height, SmallInteger),
                photo.sha256,
            )
        )
    )
    if became == "unknown":
        raise _unknown()
    if became == "other":
        raise ReportTwiceError("Another photo came under this name before.")
    if became == "full":
        raise IssueActError(f"A report takes {MOST} photos.", act="photo", reason="full")
    if became == "over":
        raise IssueActError("The report is closed already.", act="photo", reason="state")
    return Added(photo.width, photo.height, created=became == "new")


def _demand_own(session: Session, code: str, secret: str) -> None:
    asked = {"code": code, "secret": hash_of(secret)}
    found = session.execute(text("SELECT FROM followed_issue(:code, :secret)"), asked).first()
    if found is None:
        raise _unknown()


def _unknown() -> NotFoundError:
    return NotFoundError("This code and this link do not belong together.")


@contextmanager
def _decoding() -> Iterator[None]:
    """Wait until few enough photos are decoded.

    Raises
    ------
    TooBusyError
        If that takes too long.
    """
    if not _decoders.acquire(timeout=_PATIENCE_S):
        raise TooBusyError("Too many photos at once.", retry_after_s=_AGAIN_S)
    try:
        yield
    finally:
        _decoders.release()


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInputError(
            "A photo's name has 1 to 40 letters, digits, - and _.", field="name", reason="letters"
        )


def add_as_staff(session: Session, viewer: Viewer, issue: int, name: str, content: bytes) -> Added:
    """Take in a photo of an issue that the viewer may see: of the place found, or of the work done.

    Raises
    ------
    PhotoRefusedError
        If it cannot be written anew.
    NotFoundError
        If the viewer may see no such issue.
    ReportTwiceError
        If another photo came under this name.
    IssueActError
        If the issue has its photos.
    """
    _check_name(name)
    city = _seen(session, viewer, issue)
    handed = hashlib.sha256(content).hexdigest()
    own = (Photo.city_id == city, Photo.issue_id == issue)
    row = session.execute(
        select(Photo.handed_sha256, Photo.width, Photo.height).where(*own, Photo.name == name)
    ).first()
    if row is not None:
        if row.handed_sha256 != handed:
            raise ReportTwiceError("Another photo came under this name before.")
        return Added(row.width, row.height, created=False)
    if (session.scalar(select(func.count()).select_from(Photo).where(*own)) or 0) >= MOST_OF_STAFF:
        raise IssueActError(f"An issue takes {MOST_OF_STAFF} photos.", act="photo", reason="full")
    with _decoding():
        photo = photos.clean(content)
    session.execute(
        insert(Photo).values(
            city_id=city, issue_id=issue, name=name, handed_sha256=handed, **_values(photo)
        )
    )
    audit.append(session, city, "photo.add", f"issue/{issue}", {"name": name})
    return Added(photo.width, photo.height, created=True)


def _values(photo: photos.Photo) -> dict[str, Any]:
    return {
        "content": photo.content,
        "thumbnail": photo.thumbnail,
        "width": photo.width,
        "height": photo.height,
        "sha256": photo.sha256,
    }


def _seen(session: Session, viewer: Viewer, issue: int) -> int:
    """Return the city of an issue that the viewer may see."""
    if not viewer.staff:
        raise NotFoundError(f"There is no issue {issue} in your reach.", issue=issue)
    city = session.scalar(
        select(Issue.city_id).where(
            Issue.city_id == viewer.city_id, Issue.issue_id == issue, rights.issues_seen(viewer)
        )
    )
    if city is None:
        raise NotFoundError(f"There is no issue {issue} in your reach.", issue=issue)
    return int(city)


def of_issue(session: Session, viewer: Viewer, issue: int) -> list[dict[str, Any]]:
    """Return the photos of an issue without their pixels, the first one first.

    Raises
    ------
    NotFoundError
        If the viewer may see no such issue.
    """
    city = _seen(session, viewer, issue)
    rows = session.execute(
        select(
            Photo.photo_id.label("photo"),
            Photo.width,
            Photo.height,
            Photo.added_at,
            Photo.covered_at,
            Photo.released_at,
        )
        .where(Photo.city_id == city, Photo.issue_id == issue)
        .order_by(Photo.photo_id)
    )
    return [dict(row._mapping) for row in rows]


def seconds(session: Session, viewer: Viewer, issue: int) -> int:
    """Return how many more saw the same.

    Raises
    ------
    NotFoundError
        If the viewer may see no such issue.
    """
    city = _seen(session, viewer, issue)
    mine = (IssueSecond.city_id == city, IssueSecond.issue_id == issue)
    return session.scalar(select(func.count()).select_from(IssueSecond).where(*mine)) or 0


def pixels(
    session: Session, viewer: Viewer, issue: int, photo: int, *, thumbnail: bool = False
) -> bytes:
    """Return a photo as JPEG; looking at one that is not released is a row of the log.

    Raises
    ------
    NotFoundError
        If the viewer may see no such photo.
    """
    row = _photo(session, viewer, issue, photo)
    if row.released_at is None and not thumbnail:
        audit.append(session, row.city_id, "photo.read", f"issue/{issue}", {"photo": photo})
    return bytes(row.thumbnail if thumbnail else row.content)


def _photo(session: Session, viewer: Viewer, issue: int, photo: int) -> Any:
    city = _seen(session, viewer, issue)
    row = session.execute(
        select(Photo.city_id, Photo.content, Photo.thumbnail, Photo.released_at).where(
            Photo.city_id == city, Photo.issue_id == issue, Photo.photo_id == photo
        )
    ).first()
    if row is None:
        raise NotFoundError(f"Issue {issue} has no photo {photo}.", issue=issue, photo=photo)
    return row


def cover(
    session: Session, viewer: Viewer, issue: int, photo: int, strokes: Sequence[Stroke]
) -> None:
    """Paint over faces and plates; what lies below is gone, and a release lapses.

    Raises
    ------
    NotFoundError
        If the viewer may see no such photo.
    ForbiddenError
        If it is not the desk's.
    PhotoRefusedError
        If a stroke leaves the photo.
    """
    row = _photo(session, viewer, issue, photo)
    _demand_desk(viewer)
    with _decoding():
        covered = photos.cover(bytes(row.content), strokes)
    _change(
        session,
        (row.city_id, issue, photo),
        **_values(covered),
        covered_at=func.statement_timestamp(),
        released_at=None,
        released_by=None,
    )
    audit.append(session, row.city_id, "photo.cover", f"issue/{issue}", {"photo": photo})


def release(session: Session, viewer: Viewer, issue: int, photo: int, *, shown: bool) -> None:
    """Let everybody see a photo where its kind of issue may be shown, or take that back.

    Raises
    ------
    NotFoundError
        If the viewer may see no such photo.
    ForbiddenError
        If it is not the desk's.
    """
    row = _photo(session, viewer, issue, photo)
    _demand_desk(viewer)
    if (row.released_at is not None) == shown:
        return
    _change(
        session,
        (row.city_id, issue, photo),
        released_at=func.statement_timestamp() if shown else None,
        released_by=viewer.user_id if shown else None,
    )
    audit.append(
        session,
        row.city_id,
        "photo.release" if shown else "photo.hide",
        f"issue/{issue}",
        {"photo": photo},
    )


def _demand_desk(viewer: Viewer) -> None:
    if viewer.role not in DESKS:
        raise ForbiddenError("The desk of the territory covers and releases photos.")


def _change(session: Session, key: tuple[int, int, int], **values: Any) -> None:
    city, issue, photo = key
    mine = (Photo.city_id == city, Photo.issue_id == issue, Photo.photo_id == photo)
    session.execute(update(Photo).where(*mine).values(**values))


def shown(session: Session, code: str) -> list[dict[str, Any]]:
    """Return the released photos of an issue whose kind may be shown to everybody."""
    rows = session.execute(
        text("SELECT photo_id, width, height, content, thumbnail FROM shown_photos(:code)"),
        {"code": code},
    )
    return [dict(row._mapping) for row in rows]


def second(session: Session, code: str, client_id: str) -> int:
    """Note that somebody else saw the same; return how many did.

    Parameters
    ----------
    session : Session
        Of a stranger in the city.
    code : str
        Of an issue that may be shown.
    client_id : str
        The phone's own random id for this: the same again counts once.

    Raises
    ------
    NotFoundError
        If nothing of this code may be shown.
    InvalidInputError
        If the id is too short to be random.
    """
    if not 16 <= len(client_id) <= 64:
        raise InvalidInputError("An id of 16 to 64 letters.", field="client_id", reason="letters")
    key = hashlib.sha256(f"wangge second {code} {client_id}".encode()).hexdigest()
    found: int | None = session.scalar(select(func.second_shown_issue(code, key)))
    if found is None:
        raise NotFoundError("No open issue of this code is shown.")
    return found
