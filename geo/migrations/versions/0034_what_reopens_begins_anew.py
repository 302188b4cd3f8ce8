"""An issue that its reporter opens again begins anew; reasons are found by their age.

It is warned of anew and lies on a desk again, whatever it was set aside for. A stranger writes the
line of a report and nothing else into a history. Issues of meetings and things are followed by
nobody: their links could be reckoned by who knew the meeting.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
OWN_CITY = "(city_id = (SELECT viewer_city('area')) OR city_id = (SELECT viewer_city('city')))"
ROLE = "(SELECT viewer_role())"
OWN_NAME = (
    f"{OWN_CITY} AND actor_role = {ROLE} AND actor_id IS NOT DISTINCT FROM (SELECT viewer_user())"
)
REPORTED = f"{OWN_CITY} AND state = 'reported'"
NOTHING_MORE = (
    f"{ROLE} <> 'public' OR (reporter_id IS NULL AND organisation_id IS NULL"
    " AND set_aside IS NULL AND external IS NULL AND split_from IS NULL)"
)
ANSWER = """
CREATE OR REPLACE FUNCTION answer_followed(wanted text, secret bytea, said text, content boolean,
    why text)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    own issue;
    moment timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO own FROM issue AS i
    WHERE i.city_id = coalesce(viewer_city('city'), viewer_city('area'))
      AND i.code = wanted AND i.secret_hash = secret FOR UPDATE;
    IF NOT FOUND OR own.state <> 'closed' OR said NOT IN ('answer', 'reopen') THEN
        RETURN NULL;
    END IF;
    UPDATE issue AS i SET
        satisfied = content,
        state = CASE WHEN said = 'reopen' THEN 'accepted' ELSE i.state END,
        reopens = i.reopens + (said = 'reopen')::integer,
        closed_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.closed_at END,
        handled_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.handled_at END,
        dispatched_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.dispatched_at END,
        deadline_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.deadline_at END,
        on_the_spot = i.on_the_spot AND said <> 'reopen',{anew}
        due_at = CASE WHEN said = 'reopen' THEN moment ELSE i.due_at END,
        version = i.version + 1
    WHERE i.city_id = own.city_id AND i.issue_id = own.issue_id;
    INSERT INTO issue_event (city_id, issue_id, at, act, state, actor_role, reason, details)
    VALUES (own.city_id, own.issue_id, moment, said,
            CASE WHEN said = 'reopen' THEN 'accepted' ELSE own.state END, 'public', why,
            jsonb_build_object('satisfied', content));
    RETURN CASE WHEN said = 'reopen' THEN 'accepted' ELSE own.state END;
END $$;
"""
ANEW = """
        warned_at = CASE WHEN said = 'reopen' THEN NULL ELSE i.warned_at END,
        set_aside = CASE WHEN said = 'reopen' THEN NULL ELSE i.set_aside END,
        duplicate_of = CASE WHEN said = 'reopen' THEN NULL ELSE i.duplicate_of END,"""


def _policies(event: str, issue: str) -> None:
    for name, table, condition in (
        ("all_note", "issue_event", event),
        ("all_report", "issue", issue),
    ):
        op.execute(f"DROP POLICY {name} ON {table}")
        op.execute(f"CREATE POLICY {name} ON {table} FOR INSERT TO {BOTH} WITH CHECK ({condition})")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(ANSWER.replace("{anew}", ANEW))
    _policies(
        f"{OWN_NAME} AND ({ROLE} <> 'public' OR act = 'report')",
        f"{REPORTED} AND ({NOTHING_MORE})",
    )
    op.create_index(
        "ix_issue_event_reason", "issue_event", ["city_id", "at"],
        postgresql_where=sa.text("reason IS NOT NULL"),
    )  # fmt: skip
    op.execute("UPDATE issue SET secret_hash = NULL WHERE channel IN ('meeting', 'device')")


def downgrade() -> None:
    op.drop_index("ix_issue_event_reason", "issue_event")
    _policies(OWN_NAME, REPORTED)
    op.execute(ANSWER.replace("{anew}", ""))
