"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for extension in ("postgis", "btree_gist", "pgcrypto", "pg_trgm"):
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    op.create_table(
        "app_secret",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_app_secret")),
    )
    op.create_table(
        "audit",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_role", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column(
            "payload",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("city_id", "n", name=op.f("pk_audit")),
    )
    op.create_table(
        "audit_head",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("city_id", name=op.f("pk_audit_head")),
    )
    op.create_geospatial_table(
        "city",
        sa.Column("city_id", sa.SmallInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("metre_srid", sa.Integer(), nullable=False),
        sa.Column("origin_x", sa.Double(), nullable=False),
        sa.Column("origin_y", sa.Double(), nullable=False),
        sa.Column("county_code", sa.Text(), nullable=False),
        sa.Column("code_scheme", sa.Text(), nullable=False),
        sa.Column("demo", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "outline",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name=op.f("ck_city_slug")),
        sa.PrimaryKeyConstraint("city_id", name=op.f("pk_city")),
        sa.UniqueConstraint("slug", name=op.f("uq_city_slug")),
    )
    op.create_table(
        "sign_in_attempt",
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_sign_in_attempt")),
    )
    op.create_geospatial_table(
        "barrier",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("barrier_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column(
            "geom",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_barrier_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "barrier_id", name=op.f("pk_barrier")),
    )
    op.create_geospatial_index(
        "ix_barrier_geom",
        "barrier",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "category",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.CheckConstraint("root IN ('component', 'event')", name=op.f("ck_category_root")),
        sa.ForeignKeyConstraint(
            ["city_id", "parent"],
            ["category.city_id", "category.category"],
            name=op.f("fk_category_city_id_parent_category"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_category_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "category", name=op.f("pk_category")),
    )
    op.create_geospatial_table(
        "cell",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("cell_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("area_m2", sa.Double(), nullable=False),
        sa.Column("retired_by_cut", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_cell_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "cell_id", name=op.f("pk_cell")),
    )
    op.create_geospatial_index(
        "ix_cell_geom",
        "cell",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "level",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("zoom_min", sa.SmallInteger(), nullable=False),
        sa.Column("zoom_max", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("level BETWEEN 1 AND 6", name=op.f("ck_level_depth")),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_level_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "level", name=op.f("pk_level")),
    )
    op.create_table(
        "net",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=True),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_net_seq")),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_net_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "seq", name=op.f("pk_net")),
    )
    op.create_index(
        "uq_net_effective_from",
        "net",
        ["city_id", "effective_from"],
        unique=True,
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )
    op.create_table(
        "plan",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'draft'"), nullable=False),
        sa.Column("base_seq", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "rules",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("approved_hash", sa.LargeBinary(), nullable=True),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "members",
            sa.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'::bigint[]"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'submitted', 'approved', 'published', 'withdrawn')",
            name=op.f("ck_plan_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'published') OR approved_hash IS NOT NULL",
            name=op.f("ck_plan_approval"),
        ),
        sa.CheckConstraint("version >= 0", name=op.f("ck_plan_version")),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_plan_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "plan_id", name=op.f("pk_plan")),
    )
    op.create_table(
        "source_net",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("source_net_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=True),
        sa.Column(
            "report",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_source_net_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "source_net_id", name=op.f("pk_source_net")),
    )
    op.create_table(
        "station_kind",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("serves", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_station_kind_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "kind", name=op.f("pk_station_kind")),
    )
    op.create_geospatial_table(
        "street",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("street_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("from_node", sa.BigInteger(), nullable=False),
        sa.Column("to_node", sa.BigInteger(), nullable=False),
        sa.Column("length_m", sa.Double(), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="LINESTRING",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_street_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "street_id", name=op.f("pk_street")),
    )
    op.create_geospatial_index(
        "ix_street_geom",
        "street",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index("ix_street_name", "street", ["city_id", "name"], unique=False)
    op.create_table(
        "vintage",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vintage", sa.Text(), nullable=False),
        sa.Column("taken_on", sa.Date(), nullable=False),
        sa.Column("seasonal", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("estimated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_vintage_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "vintage", name=op.f("pk_vintage")),
    )
    op.create_table(
        "worker",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("worker_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "name_consent",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
        ),
        sa.Column(
            "areas",
            sa.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'::bigint[]"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_worker_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "worker_id", name=op.f("pk_worker")),
    )
    op.create_geospatial_table(
        "building",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("building_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cell_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("floors", sa.SmallInteger(), nullable=True),
        sa.Column("entrances", sa.SmallInteger(), nullable=True),
        sa.Column("households", sa.Integer(), nullable=True),
        sa.Column(
            "footprint",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("households >= 0", name=op.f("ck_building_households")),
        sa.ForeignKeyConstraint(
            ["city_id", "cell_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_building_city_id_cell_id_cell"),
        ),
        sa.PrimaryKeyConstraint("city_id", "building_id", name=op.f("pk_building")),
    )
    op.create_index("ix_building_cell", "building", ["city_id", "cell_id"], unique=False)
    op.create_index("ix_building_code", "building", ["city_id", "code"], unique=False)
    op.create_geospatial_index(
        "ix_building_footprint",
        "building",
        ["footprint"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "cell_lineage",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("cell_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("piece_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "cell_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_cell_lineage_city_id_cell_id_cell"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "piece_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_cell_lineage_city_id_piece_id_cell"),
        ),
        sa.PrimaryKeyConstraint("city_id", "cell_id", "piece_id", name=op.f("pk_cell_lineage")),
    )
    op.create_table(
        "cell_value",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vintage", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("cell_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "cell_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_cell_value_city_id_cell_id_cell"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "vintage"],
            ["vintage.city_id", "vintage.vintage"],
            name=op.f("fk_cell_value_city_id_vintage_vintage"),
        ),
        sa.PrimaryKeyConstraint(
            "city_id", "vintage", "measure", "cell_id", name=op.f("pk_cell_value")
        ),
    )
    op.create_table(
        "grid",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "level"],
            ["level.city_id", "level.level"],
            name=op.f("fk_grid_city_id_level_level"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "grid_id", name=op.f("pk_grid")),
    )
    op.create_table(
        "handover",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_grid", sa.BigInteger(), nullable=True),
        sa.Column("to_grid", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "seq"],
            ["net.city_id", "net.seq"],
            name=op.f("fk_handover_city_id_seq_net"),
        ),
        sa.PrimaryKeyConstraint("city_id", "seq", "kind", "object_id", name=op.f("pk_handover")),
    )
    op.create_table(
        "plan_edit",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column(
            "args",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "inverse",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("n >= 1", name=op.f("ck_plan_edit_n")),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id"],
            ["plan.city_id", "plan.plan_id"],
            name=op.f("fk_plan_edit_city_id_plan_id_plan"),
        ),
        sa.PrimaryKeyConstraint("city_id", "plan_id", "n", name=op.f("pk_plan_edit")),
    )
    op.create_geospatial_table(
        "source_grid",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("source_net_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("grid_id", sa.BigInteger(), nullable=True),
        sa.Column("residual_m2", sa.Double(), nullable=True),
        sa.Column("residual_households", sa.Double(), nullable=True),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "source_net_id"],
            ["source_net.city_id", "source_net.source_net_id"],
            name=op.f("fk_source_grid_city_id_source_net_id_source_net"),
        ),
        sa.PrimaryKeyConstraint("city_id", "source_net_id", "code", name=op.f("pk_source_grid")),
    )
    op.create_geospatial_index(
        "ix_source_grid_geom",
        "source_grid",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "grid_code",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("grid_id", sa.BigInteger(), nullable=False),
        sa.Column("from_seq", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "from_seq"],
            ["net.city_id", "net.seq"],
            name=op.f("fk_grid_code_city_id_from_seq_net"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_grid_code_city_id_grid_id_grid"),
        ),
        sa.PrimaryKeyConstraint("city_id", "scheme", "code", name=op.f("pk_grid_code")),
    )
    op.create_index("ix_grid_code_grid", "grid_code", ["city_id", "grid_id"], unique=False)
    op.create_table(
        "net_cell",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("cell_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("to_seq", sa.Integer(), server_default=sa.text("2147483647"), nullable=False),
        sa.Column("grid_id", sa.BigInteger(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("city_id"), "="),
            (sa.column("cell_id"), "="),
            (sa.text("int4range(from_seq, to_seq)"), "&&"),
            using="gist",
            name="ex_net_cell_run",
        ),
        sa.CheckConstraint("from_seq < to_seq", name=op.f("ck_net_cell_run")),
        sa.ForeignKeyConstraint(
            ["city_id", "cell_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_net_cell_city_id_cell_id_cell"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "from_seq"],
            ["net.city_id", "net.seq"],
            name=op.f("fk_net_cell_city_id_from_seq_net"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_net_cell_city_id_grid_id_grid"),
        ),
        sa.PrimaryKeyConstraint("city_id", "cell_id", "from_seq", name=op.f("pk_net_cell")),
    )
    op.create_index("ix_net_cell_grid", "net_cell", ["city_id", "grid_id", "to_seq"], unique=False)
    op.create_table(
        "net_exception",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "from_seq"],
            ["net.city_id", "net.seq"],
            name=op.f("fk_net_exception_city_id_from_seq_net"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_net_exception_city_id_grid_id_grid"),
        ),
        sa.PrimaryKeyConstraint("city_id", "grid_id", "from_seq", name=op.f("pk_net_exception")),
    )
    op.create_geospatial_table(
        "net_grid",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("to_seq", sa.Integer(), server_default=sa.text("2147483647"), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("colour", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("area_m2", sa.Double(), nullable=False),
        sa.Column(
            "boundary",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "label_point",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("area_1", sa.BigInteger(), nullable=True),
        sa.Column("area_2", sa.BigInteger(), nullable=True),
        sa.Column("area_3", sa.BigInteger(), nullable=True),
        sa.Column("area_4", sa.BigInteger(), nullable=True),
        sa.Column("area_5", sa.BigInteger(), nullable=True),
        sa.Column("area_6", sa.BigInteger(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("city_id"), "="),
            (sa.column("code"), "="),
            (sa.text("int4range(from_seq, to_seq)"), "&&"),
            using="gist",
            name="ex_net_grid_code",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("city_id"), "="),
            (sa.column("grid_id"), "="),
            (sa.text("int4range(from_seq, to_seq)"), "&&"),
            using="gist",
            name="ex_net_grid_run",
        ),
        sa.CheckConstraint(
            "kind IN ('basic', 'dedicated', 'reserve')", name=op.f("ck_net_grid_kind")
        ),
        sa.CheckConstraint("from_seq < to_seq", name=op.f("ck_net_grid_run")),
        sa.ForeignKeyConstraint(
            ["city_id", "from_seq"],
            ["net.city_id", "net.seq"],
            name=op.f("fk_net_grid_city_id_from_seq_net"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_net_grid_city_id_grid_id_grid"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "parent_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_net_grid_city_id_parent_id_grid"),
        ),
        sa.PrimaryKeyConstraint("city_id", "grid_id", "from_seq", name=op.f("pk_net_grid")),
    )
    op.create_geospatial_index(
        "ix_net_grid_boundary",
        "net_grid",
        ["boundary"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index("ix_net_grid_level", "net_grid", ["city_id", "level", "from_seq"], unique=False)
    op.create_index(
        "ix_net_grid_name",
        "net_grid",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("ix_net_grid_parent", "net_grid", ["city_id", "parent_id"], unique=False)
    op.create_table(
        "organisation",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("grid_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_organisation_city_id_grid_id_grid"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "parent_id"],
            ["organisation.city_id", "organisation.organisation_id"],
            name=op.f("fk_organisation_city_id_parent_id_organisation"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_organisation_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "organisation_id", name=op.f("pk_organisation")),
    )
    op.create_geospatial_table(
        "plan_grid",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ended", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "boundary",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        sa.CheckConstraint(
            "kind IN ('basic', 'dedicated', 'reserve')", name=op.f("ck_plan_grid_kind")
        ),
        sa.CheckConstraint("parent_id <> grid_id", name=op.f("ck_plan_grid_parent")),
        sa.CheckConstraint("version >= 0", name=op.f("ck_plan_grid_version")),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_plan_grid_city_id_grid_id_grid"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id", "parent_id"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
            name=op.f("fk_plan_grid_city_id_plan_id_parent_id_plan_grid"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id"],
            ["plan.city_id", "plan.plan_id"],
            name=op.f("fk_plan_grid_city_id_plan_id_plan"),
        ),
        sa.PrimaryKeyConstraint("city_id", "plan_id", "grid_id", name=op.f("pk_plan_grid")),
    )
    op.create_geospatial_index(
        "ix_plan_grid_boundary",
        "plan_grid",
        ["boundary"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "post",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("post_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=True),
        sa.Column("duty_number", sa.Text(), nullable=True),
        sa.Column("grid_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("part_time", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("area_1", sa.BigInteger(), nullable=True),
        sa.Column("area_2", sa.BigInteger(), nullable=True),
        sa.Column("area_3", sa.BigInteger(), nullable=True),
        sa.Column("area_4", sa.BigInteger(), nullable=True),
        sa.Column("area_5", sa.BigInteger(), nullable=True),
        sa.Column("area_6", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name=op.f("ck_post_dates")),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_post_city_id_grid_id_grid"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "worker_id"],
            ["worker.city_id", "worker.worker_id"],
            name=op.f("fk_post_city_id_worker_id_worker"),
        ),
        sa.PrimaryKeyConstraint("city_id", "post_id", name=op.f("pk_post")),
    )
    op.create_index("ix_post_grid", "post", ["city_id", "grid_id"], unique=False)
    op.create_index("ix_post_worker", "post", ["city_id", "worker_id"], unique=False)
    op.create_geospatial_table(
        "compound",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("compound_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("community_type", sa.Text(), nullable=True),
        sa.Column("firm_id", sa.BigInteger(), nullable=True),
        sa.Column("committee_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "geom",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "committee_id"],
            ["organisation.city_id", "organisation.organisation_id"],
            name=op.f("fk_compound_city_id_committee_id_organisation"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "firm_id"],
            ["organisation.city_id", "organisation.organisation_id"],
            name=op.f("fk_compound_city_id_firm_id_organisation"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_compound_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "compound_id", name=op.f("pk_compound")),
    )
    op.create_geospatial_index(
        "ix_compound_geom",
        "compound",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_geospatial_table(
        "issue",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("issue_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cell_id", sa.BigInteger(), nullable=False),
        sa.Column("owner_grid", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("set_aside", sa.Text(), nullable=True),
        sa.Column("organisation_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("area_1", sa.BigInteger(), nullable=True),
        sa.Column("area_2", sa.BigInteger(), nullable=True),
        sa.Column("area_3", sa.BigInteger(), nullable=True),
        sa.Column("area_4", sa.BigInteger(), nullable=True),
        sa.Column("area_5", sa.BigInteger(), nullable=True),
        sa.Column("area_6", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "set_aside IN ('default_geocode', 'duplicate')",
            name=op.f("ck_issue_set_aside"),
        ),
        sa.CheckConstraint(
            "state IN ('reported', 'accepted', 'verified', 'registered', 'dispatched', "
            "'handled', 'checked', 'closed', 'returned', 'reworked', 'postponed', "
            "'suspended', 'void', 'parked')",
            name=op.f("ck_issue_state"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "category"],
            ["category.city_id", "category.category"],
            name=op.f("fk_issue_city_id_category_category"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "cell_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_issue_city_id_cell_id_cell"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "organisation_id"],
            ["organisation.city_id", "organisation.organisation_id"],
            name=op.f("fk_issue_city_id_organisation_id_organisation"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "owner_grid"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_issue_city_id_owner_grid_grid"),
        ),
        sa.PrimaryKeyConstraint("city_id", "issue_id", name=op.f("pk_issue")),
    )
    op.create_index("ix_issue_area_1", "issue", ["city_id", "area_1", "reported_at"], unique=False)
    op.create_index("ix_issue_area_2", "issue", ["city_id", "area_2", "reported_at"], unique=False)
    op.create_index("ix_issue_cell", "issue", ["city_id", "cell_id"], unique=False)
    op.create_geospatial_index(
        "ix_issue_geom",
        "issue",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(
        "ix_issue_owner",
        "issue",
        ["city_id", "owner_grid", "reported_at"],
        unique=False,
    )
    op.create_index(
        "ix_issue_reported",
        "issue",
        ["city_id", "reported_at", "issue_id"],
        unique=False,
    )
    op.create_table(
        "plan_cell",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cell_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "cell_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_plan_cell_city_id_cell_id_cell"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "plan_id", "grid_id"],
            ["plan_grid.city_id", "plan_grid.plan_id", "plan_grid.grid_id"],
            name=op.f("fk_plan_cell_city_id_plan_id_grid_id_plan_grid"),
        ),
        sa.PrimaryKeyConstraint("city_id", "plan_id", "cell_id", name=op.f("pk_plan_cell")),
    )
    op.create_index(
        "ix_plan_cell_grid",
        "plan_cell",
        ["city_id", "plan_id", "grid_id"],
        unique=False,
    )
    op.create_geospatial_table(
        "station",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("station_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("opening_hours", sa.Text(), nullable=True),
        sa.Column("floor_area_m2", sa.Double(), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("cell_id", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.CheckConstraint(
            "stage IN ('planned', 'building', 'open', 'closed')",
            name=op.f("ck_station_stage"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "cell_id"],
            ["cell.city_id", "cell.cell_id"],
            name=op.f("fk_station_city_id_cell_id_cell"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "kind"],
            ["station_kind.city_id", "station_kind.kind"],
            name=op.f("fk_station_city_id_kind_station_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "organisation_id"],
            ["organisation.city_id", "organisation.organisation_id"],
            name=op.f("fk_station_city_id_organisation_id_organisation"),
        ),
        sa.PrimaryKeyConstraint("city_id", "station_id", name=op.f("pk_station")),
    )
    op.create_index("ix_station_cell", "station", ["city_id", "cell_id"], unique=False)
    op.create_geospatial_index(
        "ix_station_geom",
        "station",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "user_account",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.BigInteger(), nullable=True),
        sa.Column("organisation_id", sa.BigInteger(), nullable=True),
        sa.Column("demo", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('planner', 'worker', 'community', 'department', 'leader', "
            "'administrator', 'public')",
            name=op.f("ck_user_account_role"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "organisation_id"],
            ["organisation.city_id", "organisation.organisation_id"],
            name=op.f("fk_user_account_city_id_organisation_id_organisation"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "worker_id"],
            ["worker.city_id", "worker.worker_id"],
            name=op.f("fk_user_account_city_id_worker_id_worker"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_user_account_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "user_id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("user_id", name=op.f("uq_user_account_user_id")),
    )
    op.create_index(
        "uq_user_account_login",
        "user_account",
        [sa.literal_column("lower(login)")],
        unique=True,
    )
    op.create_table(
        "area_grant",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_area_grant_city_id_grid_id_grid"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "user_id"],
            ["user_account.city_id", "user_account.user_id"],
            name=op.f("fk_area_grant_city_id_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "user_id", "grid_id", name=op.f("pk_area_grant")),
    )
    op.create_table(
        "user_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("city_id", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "user_id"],
            ["user_account.city_id", "user_account.user_id"],
            name=op.f("fk_user_session_city_id_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_user_session")),
    )
    op.create_index("ix_user_session_user", "user_session", ["city_id", "user_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_user_session_user", table_name="user_session")
    op.drop_table("user_session")
    op.drop_table("area_grant")
    op.drop_index("uq_user_account_login", table_name="user_account")
    op.drop_table("user_account")
    op.drop_geospatial_index(
        "ix_station_geom",
        table_name="station",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_index("ix_station_cell", table_name="station")
    op.drop_geospatial_table("station")
    op.drop_index("ix_plan_cell_grid", table_name="plan_cell")
    op.drop_table("plan_cell")
    op.drop_index("ix_issue_reported", table_name="issue")
    op.drop_index("ix_issue_owner", table_name="issue")
    op.drop_geospatial_index(
        "ix_issue_geom", table_name="issue", postgresql_using="gist", column_name="geom"
    )
    op.drop_index("ix_issue_cell", table_name="issue")
    op.drop_index("ix_issue_area_2", table_name="issue")
    op.drop_index("ix_issue_area_1", table_name="issue")
    op.drop_geospatial_table("issue")
    op.drop_geospatial_index(
        "ix_compound_geom",
        table_name="compound",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("compound")
    op.drop_index("ix_post_worker", table_name="post")
    op.drop_index("ix_post_grid", table_name="post")
    op.drop_table("post")
    op.drop_geospatial_index(
        "ix_plan_grid_boundary",
        table_name="plan_grid",
        postgresql_using="gist",
        column_name="boundary",
    )
    op.drop_geospatial_table("plan_grid")
    op.drop_table("organisation")
    op.drop_index("ix_net_grid_parent", table_name="net_grid")
    op.drop_index(
        "ix_net_grid_name",
        table_name="net_grid",
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.drop_index("ix_net_grid_level", table_name="net_grid")
    op.drop_geospatial_index(
        "ix_net_grid_boundary",
        table_name="net_grid",
        postgresql_using="gist",
        column_name="boundary",
    )
    op.drop_geospatial_table("net_grid")
    op.drop_table("net_exception")
    op.drop_index("ix_net_cell_grid", table_name="net_cell")
    op.drop_table("net_cell")
    op.drop_index("ix_grid_code_grid", table_name="grid_code")
    op.drop_table("grid_code")
    op.drop_geospatial_index(
        "ix_source_grid_geom",
        table_name="source_grid",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("source_grid")
    op.drop_table("plan_edit")
    op.drop_table("handover")
    op.drop_table("grid")
    op.drop_table("cell_value")
    op.drop_table("cell_lineage")
    op.drop_geospatial_index(
        "ix_building_footprint",
        table_name="building",
        postgresql_using="gist",
        column_name="footprint",
    )
    op.drop_index("ix_building_code", table_name="building")
    op.drop_index("ix_building_cell", table_name="building")
    op.drop_geospatial_table("building")
    op.drop_table("worker")
    op.drop_table("vintage")
    op.drop_index("ix_street_name", table_name="street")
    op.drop_geospatial_index(
        "ix_street_geom",
        table_name="street",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("street")
    op.drop_table("station_kind")
    op.drop_table("source_net")
    op.drop_table("plan")
    op.drop_index(
        "uq_net_effective_from",
        table_name="net",
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )
    op.drop_table("net")
    op.drop_table("level")
    op.drop_geospatial_index(
        "ix_cell_geom", table_name="cell", postgresql_using="gist", column_name="geom"
    )
    op.drop_geospatial_table("cell")
    op.drop_table("category")
    op.drop_geospatial_index(
        "ix_barrier_geom",
        table_name="barrier",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("barrier")
    op.drop_table("sign_in_attempt")
    op.drop_geospatial_table("city")
    op.drop_table("audit_head")
    op.drop_table("audit")
    op.drop_table("app_secret")
