"""Photos of issues, and who saw the same.

Residents have no right to either table: functions of the owner take a photo in for whoever holds
the secret of the report, and tell a released one to everybody where its kind may be shown.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
OWN_CITY = "(city_id = (SELECT viewer_city('area')) OR city_id = (SELECT viewer_city('city')))"
ROLE = "(SELECT viewer_role())"
STAFF = f"{OWN_CITY} AND {ROLE} <> 'public'"
SEEN = (
    "EXISTS (SELECT FROM issue AS i WHERE i.city_id = photo.city_id"
    " AND i.issue_id = photo.issue_id)"
)
DESKS = f"{STAFF} AND {ROLE} IN ('community', 'administrator')"
CITY = "coalesce(viewer_city('city'), viewer_city('area'))"
MOST = 4

ADD = f"""
CREATE FUNCTION add_followed_photo(wanted text, secret bytea, photo_name text, handed text,
    pixels bytea, small bytea, wide smallint, high smallint, digest text)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    mine issue;
    before text;
BEGIN
    SELECT * INTO mine FROM issue AS i
    WHERE i.city_id = {CITY} AND i.code = wanted AND i.secret_hash = secret FOR UPDATE;
    IF NOT FOUND THEN RETURN 'unknown'; END IF;
    SELECT p.handed_sha256 INTO before FROM photo AS p
    WHERE p.city_id = mine.city_id AND p.issue_id = mine.issue_id AND p.name = photo_name;
    IF FOUND THEN RETURN CASE WHEN before = handed THEN 'same' ELSE 'other' END; END IF;
    IF mine.state IN ('closed', 'void') THEN RETURN 'over'; END IF;
    IF (SELECT count(*) FROM photo AS p
        WHERE p.city_id = mine.city_id AND p.issue_id = mine.issue_id) >= {MOST} THEN
        RETURN 'full';
    END IF;
    INSERT INTO photo (city_id, issue_id, name, content, thumbnail, width, height, sha256,
                       handed_sha256)
    VALUES (mine.city_id, mine.issue_id, photo_name, pixels, small, wide, high, digest, handed);
    RETURN 'new';
END $$;
"""
FOLLOWED = f"""
CREATE FUNCTION followed_photos(wanted text, secret bytea)
RETURNS TABLE (name text, width smallint, height smallint, thumbnail bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.name, p.width, p.height, p.thumbnail FROM issue AS i
    JOIN photo AS p ON p.city_id = i.city_id AND p.issue_id = i.issue_id
    WHERE i.city_id = {CITY} AND i.code = wanted AND i.secret_hash = secret
    ORDER BY p.photo_id
$$;
"""
SHOWN = f"""
CREATE FUNCTION shown_photos(wanted text)
RETURNS TABLE (photo_id bigint, width smallint, height smallint, content bytea, thumbnail bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.photo_id, p.width, p.height, p.content, p.thumbnail FROM issue AS i
    JOIN photo AS p ON p.city_id = i.city_id AND p.issue_id = i.issue_id
    JOIN category AS k ON k.city_id = i.city_id AND k.category = i.category
    LEFT JOIN category AS u ON u.city_id = k.city_id AND u.category = k.parent
    WHERE i.city_id = {CITY} AND i.code = wanted AND p.released_at IS NOT NULL
      AND i.state NOT IN ('reported', 'void') AND i.set_aside IS NULL
      AND coalesce(k.shown, u.shown, 'never') = 'exact'
    ORDER BY p.photo_id
$$;
"""
SECOND = f"""
CREATE FUNCTION second_shown_issue(wanted text, key text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    mine issue;
BEGIN
    SELECT i.* INTO mine FROM issue AS i
    JOIN category AS k ON k.city_id = i.city_id AND k.category = i.category
    LEFT JOIN category AS u ON u.city_id = k.city_id AND u.category = k.parent
    WHERE i.city_id = {CITY} AND i.code = wanted AND i.set_aside IS NULL
      AND i.state NOT IN ('reported', 'closed', 'void')
      AND coalesce(k.shown, u.shown, 'never') = 'exact';
    IF NOT FOUND THEN RETURN NULL; END IF;
    INSERT INTO issue_second (city_id, issue_id, client_key)
    VALUES (mine.city_id, mine.issue_id, key) ON CONFLICT DO NOTHING;
    RETURN (SELECT count(*) FROM issue_second AS s
            WHERE s.city_id = mine.city_id AND s.issue_id = mine.issue_id);
END $$;
"""
FUNCTIONS = (
    "add_followed_photo(text, bytea, text, text, bytea, bytea, smallint, smallint, text)",
    "followed_photos(text, bytea)", "shown_photos(text)", "second_shown_issue(text, text)",
)  # fmt: skip
POLICIES = (
    ("photo", "with_its_issue", "SELECT", BOTH, f"USING ({STAFF} AND {SEEN})"),
    ("photo", "with_its_issue_adds", "INSERT", BOTH, f"WITH CHECK ({STAFF} AND {SEEN})"),
    ("photo", "desk_changes", "UPDATE", BOTH, f"USING ({DESKS} AND {SEEN})"),
    ("issue_second", "with_its_issue", "SELECT", BOTH,
     f"USING ({STAFF} AND {SEEN.replace('photo.', 'issue_second.')})"),
)  # fmt: skip
GRANTS = (
    ("SELECT", "photo"),
    ("INSERT (city_id, issue_id, name, content, thumbnail, width, height, sha256, handed_sha256)",
     "photo"),
    (("UPDATE (content, thumbnail, width, height, sha256, covered_at, released_at, released_by)"),
     "photo"),
    ("SELECT", "issue_second"),
)  # fmt: skip


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    _tables()
    for table in ("photo", "issue_second"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
            " EXECUTE FUNCTION note_change()"
        )
    for table, name, command, roles, condition in POLICIES:
        op.execute(f"CREATE POLICY {name} ON {table} FOR {command} TO {roles} {condition}")
    for rights, table in GRANTS:
        op.execute(f"GRANT {rights} ON {table} TO {BOTH}")
    for statement in (ADD, FOLLOWED, SHOWN, SECOND):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM public")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {BOTH}")


def _city() -> sa.Column:
    return sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False)


def _moment(name: str, *, now: bool = False) -> sa.Column:
    default = sa.text("statement_timestamp()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not now)


def _of_issue(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["city_id", "issue_id"],
        ["issue.city_id", "issue.issue_id"],
        name=f"fk_{table}_city_id_issue_id_issue",
    )


def _tables() -> None:
    op.create_table(
        "photo",
        _city(),
        sa.Column("photo_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("issue_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("thumbnail", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.SmallInteger(), nullable=False),
        sa.Column("height", sa.SmallInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("handed_sha256", sa.Text(), nullable=False),
        _moment("added_at", now=True),
        _moment("covered_at"),
        _moment("released_at"),
        sa.Column("released_by", sa.BigInteger()),
        sa.CheckConstraint("octet_length(content) <= 4000000", name=op.f("ck_photo_size")),
        _of_issue("photo"),
        sa.ForeignKeyConstraint(
            ["city_id", "released_by"],
            ["user_account.city_id", "user_account.user_id"],
            name="fk_photo_city_id_released_by_user_account",
        ),
        sa.PrimaryKeyConstraint("city_id", "photo_id", name="pk_photo"),
        sa.UniqueConstraint("city_id", "issue_id", "name", name="uq_photo_name"),
    )
    op.create_table(
        "issue_second",
        _city(),
        sa.Column("issue_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("client_key", sa.Text(), nullable=False),
        _moment("at", now=True),
        _of_issue("issue_second"),
        sa.PrimaryKeyConstraint("city_id", "issue_id", "client_key", name="pk_issue_second"),
    )
    op.create_index("ix_issue_second_at", "issue_second", ["city_id", "at"])


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    for table in ("issue_second", "photo"):
        op.execute(f"DROP TABLE {table}")
