"""What lists and maps need at once: figures of each grid, squares of density."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("density_square", "net_count", "net_value")


def upgrade() -> None:
    op.create_geospatial_table(
        "density_square",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("size_m", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("x", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("y", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("buildings", sa.Integer(), nullable=False),
        sa.Column(
            "geom",
            Geometry(geometry_type="POLYGON", srid=4326, dimension=2, spatial_index=False),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["city_id"],
            ["city.city_id"],
            name=op.f("fk_density_square_city_id_city"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "size_m", "x", "y", name=op.f("pk_density_square")),
    )
    op.create_geospatial_index(
        "ix_density_square_geom", "density_square", ["geom"], postgresql_using="gist"
    )
    op.create_table(
        "net_count",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cells", sa.Integer(), nullable=False),
        sa.Column("buildings", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_net_count_city_id_grid_id_grid"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "seq"],
            ["net.city_id", "net.seq"],
            name=op.f("fk_net_count_city_id_seq_net"),
        ),
        sa.PrimaryKeyConstraint("city_id", "seq", "grid_id", name=op.f("pk_net_count")),
    )
    op.create_table(
        "net_value",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("vintage", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "grid_id"],
            ["grid.city_id", "grid.grid_id"],
            name=op.f("fk_net_value_city_id_grid_id_grid"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "seq"],
            ["net.city_id", "net.seq"],
            name=op.f("fk_net_value_city_id_seq_net"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "vintage"],
            ["vintage.city_id", "vintage.vintage"],
            name=op.f("fk_net_value_city_id_vintage_vintage"),
        ),
        sa.PrimaryKeyConstraint(
            "city_id", "seq", "vintage", "measure", "grid_id", name=op.f("pk_net_value")
        ),
    )
    for table in TABLES:
        op.execute(f"GRANT SELECT ON {table} TO wangge_area, wangge_city")


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"REVOKE SELECT ON {table} FROM wangge_area, wangge_city")
    op.drop_table("net_value")
    op.drop_table("net_count")
    op.drop_geospatial_index(
        "ix_density_square_geom",
        table_name="density_square",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("density_square")
