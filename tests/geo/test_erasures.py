"""What was erased is gone from every table, and an older backup does not bring it back."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image, ImageDraw
from psycopg import sql
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from geo import service
from geo.db import Viewer, owner_transaction
from geo.errors import KeepingError
from geo.keeping import backup, erasures, facts, restore
from geo.store import cases, photos
from geo.store.cases import ActWish, Contact, Report
from geo.store.cases.stones import Stone, erase_again, stones
from geo.tables import Audit, Issue, Photo
from geo.terms import IssueAct as A
from geo.terms import Role
from tests.cities import point, tiny_dataset
from tests.conftest import MigratedDatabase

pytestmark = pytest.mark.timeout(300)

WORDS, PHONE = "KANARIE-WORTE-8213", "KANARIE-13800008213"


def canaries(engine: Engine, *marks: str) -> set[str]:
    """Return the tables in a row of which a mark stands, as text or in bytes; all are looked at."""
    found = set()
    with owner_transaction(engine) as session:
        raw = session.connection().connection.dbapi_connection
        assert raw is not None
        names = facts.tables(session)
        assert {"issue", "issue_event", "outbox", "audit", "photo", "tombstone", "job"} < set(names)
        for name in names:
            asked = " OR ".join(["t::text LIKE %s"] * 2 * len(marks))
            statement = sql.SQL("SELECT EXISTS (SELECT FROM {} AS t WHERE " + asked + ")")
            likes = [f"%{one}%" for mark in marks for one in (mark, mark.encode().hex())]
            row = raw.cursor().execute(statement.format(sql.Identifier(name)), likes).fetchone()
            if row[0]:
                found.add(name)
    return found


def picture() -> bytes:
    image = Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 320, 240), fill="red")
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


class Told:
    """A report with canaries everywhere, brought to its end by a city's own people."""

    def __init__(self, city: MigratedDatabase) -> None:
        self.city = city
        with owner_transaction(city.engine) as session:
            self.city_id = service.city_id_of(session, "tiny")
        self.desk = Viewer(Role.COMMUNITY, self.city_id, 1, (11,))
        self.door = city.application()
        self.issue, self.part = self._reported()
        self.door.close()

    def _reported(self) -> tuple[int, int]:
        from geo.store.loading import lonlat

        at = lonlat(tiny_dataset().metre_srid)([point(0.5, 0.5)])[0]
        public = Viewer.public(self.city_id)
        with self.door.transaction(public) as session:
            moment = service.Asked(self.city_id).moment(session)
            told = Report(
                "E0101", float(at.x), float(at.y), words=WORDS, address=WORDS,
                contact=Contact(WORDS, PHONE, None), client_id=str(uuid4()),
            )  # fmt: skip
            made = cases.report(session, public, moment, told)
            photos.add_as_reporter(session, made.code, made.secret, "one", picture())
        for act, wish in (
            (A.ACCEPT, ActWish()),
            (A.NOTE, ActWish(reason=WORDS)),
            (A.REGISTER, ActWish()),
            (A.DISPATCH, ActWish(itself=True)),
        ):
            self.act(made.issue, act, wish)
        new = self.act(made.issue, A.SPLIT, ActWish(parts=({"words": WORDS},))).new
        self.act(made.issue, A.HANDLE, ActWish(reason=WORDS))
        self.act(made.issue, A.CHECK, ActWish())
        self.act(made.issue, A.CLOSE, ActWish())
        return made.issue, new[0]

    def act(self, issue: int, what: A, wish: ActWish) -> cases.Acted:
        with self.door.transaction(self.desk) as session:
            return cases.act(session, self.desk, issue, what, wish)


def test_no_table_keeps_what_was_erased(fresh_city: MigratedDatabase) -> None:
    told = Told(fresh_city)
    assert canaries(fresh_city.engine, PHONE) == {"issue_contact"}
    assert canaries(fresh_city.engine, WORDS) == {"issue", "issue_contact", "issue_event"}
    with owner_transaction(fresh_city.engine) as session:
        assert session.scalar(text("SELECT count(*) FROM photo")) == 1
        done = cases.erase(session, told.city_id, told.issue)
    assert (done["contacts"], done["words"], done["photos"]) == (1, 2, 1), "the part split off too"
    assert canaries(fresh_city.engine, WORDS, PHONE) == set()
    with owner_transaction(fresh_city.engine) as session:
        assert session.scalar(text("SELECT count(*) FROM photo")) == 0
        kept = session.execute(select(Issue.reporter_id, Issue.erased_at).where(
            Issue.issue_id.in_([told.issue, told.part]))).all()  # fmt: skip
        assert all(row.reporter_id is None and row.erased_at for row in kept)


def test_the_search_for_canaries_looks_into_every_table(fresh_city: MigratedDatabase) -> None:
    """A table that a later version adds is looked into without being named anywhere."""
    with fresh_city.engine.begin() as connection:
        connection.execute(text("CREATE TABLE added_later (note text, pixels bytea)"))
        connection.execute(text("INSERT INTO added_later VALUES (:mark, NULL)"), {"mark": WORDS})
        connection.execute(
            text("INSERT INTO added_later VALUES (NULL, :mark)"), {"mark": PHONE.encode()}
        )
    assert canaries(fresh_city.engine, WORDS) == {"added_later"}
    assert canaries(fresh_city.engine, PHONE) == {"added_later"}


def test_an_older_backup_does_not_bring_it_back(
    fresh_city: MigratedDatabase, tmp_path: Path
) -> None:
    told = Told(fresh_city)
    old = backup.make(fresh_city.engine, tmp_path / "wangge-old.tar")
    assert not (tmp_path / erasures.FILE).exists()
    with owner_transaction(fresh_city.engine) as session:
        cases.erase(session, told.city_id, told.issue)
        known = stones(session)
    assert {one.relation for one in known} == {"issue", "issue_contact", "photo"}
    backup.make(fresh_city.engine, tmp_path / "wangge-new.tar")
    assert sorted(erasures.read(tmp_path / erasures.FILE)) == sorted(known)
    url = fresh_city.engine.url
    fresh_city.engine.dispose()

    tried = restore.restore(url, old.path, work=tmp_path, dry_run=True)
    assert tried.dry_run
    assert tried.erased == {"contacts": 1, "photos": 1, "words": 2, "seconds": 0,
                            "messages": tried.erased["messages"], "beside": 0}  # fmt: skip
    assert tried.replaced is None

    done = restore.restore(url, old.path, work=tmp_path, force=True)
    assert done.erased == tried.erased
    assert canaries(fresh_city.engine, WORDS, PHONE) == set()
    with owner_transaction(fresh_city.engine) as session:
        assert session.scalar(text("SELECT count(*) FROM photo")) == 0
        assert stones(session) == known, "a third backup finds them too"
        said = session.scalar(
            select(Audit.payload).where(Audit.action == "issue.erased_again").order_by(Audit.n)
        )
        assert said["words"] == 2
        assert session.scalar(text("SELECT count(*) FROM audit_faults(CAST(:c AS smallint))"),
                              {"c": told.city_id}) == 0  # fmt: skip
    fresh_city.engine.dispose()


def test_the_list_beside_the_backups_is_enough(
    fresh_city: MigratedDatabase, tmp_path: Path
) -> None:
    """The database is lost altogether: what is known outside of it counts."""
    told = Told(fresh_city)
    old = backup.make(fresh_city.engine, tmp_path / "wangge-old.tar")
    with owner_transaction(fresh_city.engine) as session:
        cases.erase(session, told.city_id, told.issue)
    assert erasures.keep(fresh_city.engine, tmp_path) == 4
    listed = (tmp_path / erasures.FILE).read_text("utf-8")
    assert WORDS not in listed
    assert PHONE not in listed
    with owner_transaction(fresh_city.engine) as session:
        service.drop_city(session, "tiny")
    url = fresh_city.engine.url
    fresh_city.engine.dispose()
    known = erasures.read(tmp_path / erasures.FILE)
    done = restore.restore(url, old.path, work=tmp_path, force=True, erased=known)
    assert done.erased["words"] == 2
    assert canaries(fresh_city.engine, WORDS, PHONE) == set()
    fresh_city.engine.dispose()


NO_ZONE = (
    '{"city": "a", "relation": "issue", "object_id": 1, "erased_at": "2026-01-01T00:00:00",'
    ' "reason": "wish"}'
)


@pytest.mark.parametrize("line", ["{}", "x", NO_ZONE])
def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / erasures.FILE).write_text(line + "\n", "utf-8")
    with pytest.raises(KeepingError, match="line 1"):
        erasures.read(tmp_path / erasures.FILE)


def _report(session: Session, city_id: int, issue: int, moment: datetime) -> None:
    session.execute(
        text(
            "UPDATE issue SET words = 'x', reported_at = :at WHERE city_id = :c AND issue_id = :i"
        ),
        {"at": moment, "c": city_id, "i": issue},
    )
    session.execute(
        text("DELETE FROM issue_event WHERE city_id = :c AND issue_id = :i"),
        {"c": city_id, "i": issue},
    )


@pytest.mark.parametrize(("days", "words"), [(-1, None), (1, "x")])
def test_a_number_that_was_given_anew_is_another_issue(
    city_template: str, new_database: Callable[[str], Any], days: int, words: str | None
) -> None:
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    city = new_database(city_template)
    with owner_transaction(city.engine) as session:
        city_id = service.city_id_of(session, "tiny")
        session.execute(text("SELECT set_config('wangge.erasing', 'on', true)"))
        _report(session, city_id, 1, moment + timedelta(days=days))
        stone = Stone("tiny", "issue", 1, moment, "wish")
        done = erase_again(session, [stone, Stone("nowhere", "issue", 1, moment, "wish")])
        assert done["words"] == (words is None)
        assert session.scalar(select(Issue.words).where(Issue.issue_id == 1)) == words
        assert stones(session) == [stone]
        assert session.scalar(select(Photo.photo_id)) is None
