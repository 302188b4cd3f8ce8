"""What the office enters together comes in once; topics have versions; projects can be mended.

A line of a campaign of one territory lies in that territory, in the database as well.
"""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
ONCE = ("meeting", "meeting_topic", "campaign", "campaign_item", "small_project")
PLACE = "grid_id, area_1, area_2, area_3, area_4, area_5, area_6"
MENDED = f"name, words, geom, campaign_id, {PLACE}"
IN_OWN_AREA = " OR ".join(
    f"area_{n} = ANY ((SELECT viewer_areas())::bigint[])" for n in range(1, 7)
)
DESK = (
    "city_id = (SELECT viewer_city('area')) AND (SELECT viewer_role()) = 'community'"
    f" AND ({IN_OWN_AREA})"
)
INSIDE = (
    "EXISTS (SELECT FROM campaign AS a WHERE a.city_id = campaign_item.city_id"
    " AND a.campaign_id = campaign_item.campaign_id AND (a.grid_id IS NULL OR a.grid_id IN ("
    + ", ".join(f"campaign_item.area_{n}" for n in range(1, 7))
    + ")))"
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    for table in ONCE:
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN client_id UUID, ADD COLUMN content_hash BYTEA,"
            f" ADD CONSTRAINT uq_{table}_city_id_client_id UNIQUE (city_id, client_id)"
        )
    op.execute("ALTER TABLE meeting_topic ADD COLUMN version INTEGER DEFAULT 0 NOT NULL")
    op.execute(f"GRANT UPDATE (version) ON meeting_topic TO {BOTH}")
    op.execute(f"GRANT UPDATE ({MENDED}) ON small_project TO {BOTH}")
    op.execute("DROP POLICY desk_adds ON campaign_item")
    op.execute(
        "CREATE POLICY desk_adds ON campaign_item FOR INSERT TO wangge_area"
        f" WITH CHECK ({DESK} AND {INSIDE})"
    )


def downgrade() -> None:
    op.execute("DROP POLICY desk_adds ON campaign_item")
    op.execute(
        f"CREATE POLICY desk_adds ON campaign_item FOR INSERT TO wangge_area WITH CHECK ({DESK})"
    )
    op.execute(f"REVOKE UPDATE ({MENDED}) ON small_project FROM {BOTH}")
    op.execute("ALTER TABLE meeting_topic DROP COLUMN version")
    for table in ONCE:
        op.execute(f"ALTER TABLE {table} DROP COLUMN client_id, DROP COLUMN content_hash")
