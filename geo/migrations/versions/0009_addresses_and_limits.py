"""Addresses; limits of grids in words; how compounds and grids lie to each other.

Row-level security keeps the index for like texts from being used, so like addresses are looked up
by a function of the owner that asks who the viewer is first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
STAFF = (
    "city_id = (SELECT viewer_city('city')) OR (city_id = (SELECT viewer_city('area'))"
    " AND (SELECT viewer_role()) <> 'public')"
)
BY_OFFICE = (
    "city_id = (SELECT viewer_city('city'))"
    " AND (SELECT viewer_role()) IN ('administrator', 'planner') AND alias"
)
POLICIES = (
    ("staff", "SELECT", BOTH, f"USING ({STAFF})"),
    (
        "office_adds",
        "INSERT",
        "wangge_city",
        f"WITH CHECK ({BY_OFFICE} AND author_id = (SELECT viewer_user()))",
    ),
    ("office_drops", "DELETE", "wangge_city", f"USING ({BY_OFFICE})"),
)

NEAR = """
CREATE FUNCTION addresses_near(wanted text[])
RETURNS TABLE (asked bigint, address_id bigint, key text, alias boolean, building_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH reader AS MATERIALIZED (
        SELECT coalesce(viewer_city('city'), CASE WHEN viewer_role() <> 'public'
                                             THEN viewer_city('area') END) AS city_id
    )
    SELECT w.asked, a.address_id, a.key, a.alias, a.building_id
    FROM reader AS r
    CROSS JOIN unnest(wanted) WITH ORDINALITY AS w (key, asked)
    CROSS JOIN LATERAL (
        SELECT split_part(w.key, '/', 1) AS street, split_part(w.key, '/', 2) AS number,
               split_part(w.key, '/', 3) AS estate, split_part(w.key, '/', 4) AS part
    ) AS p
    CROSS JOIN LATERAL (
        (SELECT x.address_id, x.key, x.alias, x.building_id FROM address AS x
         WHERE x.city_id = r.city_id AND x.key = w.key LIMIT 20)
        UNION
        (SELECT x.address_id, x.key, x.alias, x.building_id FROM address AS x
         WHERE p.street <> '' AND p.number <> '' AND x.city_id = r.city_id
           AND x.key LIKE replace(replace(replace(p.street || '/' || p.number, '\\', '\\\\'),
                                  '%', '\\%'), '_', '\\_') || '/%'
         ORDER BY x.key LIMIT 60)
        UNION
        (SELECT x.address_id, x.key, x.alias, x.building_id FROM address AS x
         WHERE x.city_id = r.city_id AND x.key % w.key
         ORDER BY similarity(x.key, w.key) DESC, x.address_id LIMIT 60)
    ) AS a
$$;
"""


def upgrade() -> None:
    _address()
    _derived()
    op.execute("ALTER TABLE address ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE address FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner ON address TO CURRENT_USER USING (true) WITH CHECK (true)")
    for name, command, roles, condition in POLICIES:
        op.execute(f"CREATE POLICY {name} ON address FOR {command} TO {roles} {condition}")
    op.execute(NEAR)
    op.execute("REVOKE ALL ON FUNCTION addresses_near FROM public")
    op.execute(f"GRANT EXECUTE ON FUNCTION addresses_near TO {BOTH}")
    op.execute(f"GRANT SELECT ON address TO {BOTH}")
    op.execute("GRANT INSERT, DELETE ON address TO wangge_city")
    op.execute(f"GRANT SELECT ON net_limit, net_compound TO {BOTH}")
    op.execute(
        "CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON address"
        " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
        " EXECUTE FUNCTION note_change()"
    )


def _key(table: str, column: str, target: str, remote: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["city_id", column],
        [f"{target}.city_id", f"{target}.{remote}"],
        name=op.f(f"fk_{table}_city_id_{column}_{target}"),
        ondelete="SET NULL (building_id)" if column == "building_id" else None,
    )


def _address() -> None:
    op.create_geospatial_table(
        "address",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("address_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("alias", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("building_id", sa.BigInteger(), nullable=True),
        sa.Column("cell_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "geom",
            Geometry(geometry_type="POINT", srid=4326, dimension=2, spatial_index=False),
            nullable=False,
        ),
        sa.CheckConstraint("length(text) BETWEEN 1 AND 400", name=op.f("ck_address_text")),
        sa.CheckConstraint("key <> ''", name=op.f("ck_address_key")),
        sa.ForeignKeyConstraint(
            ["city_id"], ["city.city_id"], name=op.f("fk_address_city_id_city"), ondelete="CASCADE"
        ),
        _key("address", "cell_id", "cell", "cell_id"),
        _key("address", "building_id", "building", "building_id"),
        _key("address", "author_id", "user_account", "user_id"),
        sa.PrimaryKeyConstraint("city_id", "address_id", name=op.f("pk_address")),
    )
    for column in ("key", "building", "cell"):
        names = ["city_id", column if column == "key" else f"{column}_id"]
        op.create_index(f"ix_address_{column}", "address", names)
    op.create_index(
        "uq_address_alias",
        "address",
        ["city_id", "key"],
        unique=True,
        postgresql_where=sa.text("alias"),
    )
    op.create_index(
        "ix_address_like",
        "address",
        ["key"],
        postgresql_using="gin",
        postgresql_ops={"key": "gin_trgm_ops"},
    )
    op.create_geospatial_index("ix_address_geom", "address", ["geom"], postgresql_using="gist")


def _derived() -> None:
    op.create_table(
        "net_limit",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        _key("net_limit", "seq", "net", "seq"),
        _key("net_limit", "grid_id", "grid", "grid_id"),
        sa.PrimaryKeyConstraint("city_id", "seq", "grid_id", name=op.f("pk_net_limit")),
    )
    op.create_table(
        "net_compound",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("compound_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        *(
            sa.Column(name, sa.Double(), nullable=False)
            for name in ("households", "share_of_compound", "share_of_grid")
        ),
        sa.Column("cells", sa.Integer(), nullable=False),
        _key("net_compound", "seq", "net", "seq"),
        _key("net_compound", "compound_id", "compound", "compound_id"),
        _key("net_compound", "grid_id", "grid", "grid_id"),
        sa.PrimaryKeyConstraint(
            "city_id", "seq", "compound_id", "grid_id", name=op.f("pk_net_compound")
        ),
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION addresses_near")
    op.drop_table("net_compound")
    op.drop_table("net_limit")
    op.drop_geospatial_index(
        "ix_address_geom", table_name="address", postgresql_using="gist", column_name="geom"
    )
    op.drop_geospatial_table("address")
