"""Numbers of a campaign's lines: whoever adds one may not see all the others."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

NUMBER = """
CREATE FUNCTION next_campaign_line(wanted bigint) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    own smallint := coalesce(viewer_city('city'), viewer_city('area'));
BEGIN
    PERFORM pg_advisory_xact_lock(7205, own::integer * 1000 + (wanted % 1000)::integer);
    RETURN coalesce((SELECT max(i.n) FROM campaign_item AS i
                     WHERE i.city_id = own AND i.campaign_id = wanted), 0) + 1;
END $$;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(NUMBER)
    op.execute("REVOKE ALL ON FUNCTION next_campaign_line(bigint) FROM public")
    op.execute("GRANT EXECUTE ON FUNCTION next_campaign_line(bigint) TO wangge_area, wangge_city")


def downgrade() -> None:
    op.execute("DROP FUNCTION next_campaign_line(bigint)")
