"""Exceptions end; bodies stand at compounds, buildings, stations; those of compounds are dated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ExcludeConstraint

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FOREVER = "2147483647"
PLACES = ("compound", "building", "station")
AT_ONE_PLACE = "num_nonnulls(grid_id, compound_id, building_id, station_id) <= 1"

DATED = """
INSERT INTO compound_body (city_id, compound_id, role, organisation_id, valid_from)
SELECT c.city_id, c.compound_id, b.role, b.organisation_id, coalesce(
    (SELECT min(n.effective_from) FROM net AS n WHERE n.city_id = c.city_id), current_date)
FROM compound AS c
CROSS JOIN LATERAL (VALUES ('firm', c.firm_id), ('committee', c.committee_id))
    AS b (role, organisation_id)
WHERE b.organisation_id IS NOT NULL
"""
UNDATED = """
UPDATE compound AS c SET
    firm_id = (SELECT b.organisation_id FROM compound_body AS b
               WHERE b.city_id = c.city_id AND b.compound_id = c.compound_id AND b.role = 'firm'
               ORDER BY b.valid_from DESC LIMIT 1),
    committee_id = (SELECT b.organisation_id FROM compound_body AS b
                    WHERE b.city_id = c.city_id AND b.compound_id = c.compound_id
                      AND b.role = 'committee'
                    ORDER BY b.valid_from DESC LIMIT 1)
"""


def upgrade() -> None:
    op.execute(
        f"ALTER TABLE net_exception ADD COLUMN to_seq integer NOT NULL DEFAULT {FOREVER},"
        " ADD CONSTRAINT ck_net_exception_run CHECK (from_seq < to_seq),"
        " ADD CONSTRAINT ex_net_exception_run EXCLUDE USING gist"
        " (city_id WITH =, grid_id WITH =, int4range(from_seq, to_seq) WITH &&)"
    )
    _places()
    _bodies()
    op.execute(DATED)
    op.execute("ALTER TABLE compound DROP COLUMN firm_id, DROP COLUMN committee_id")


def _places() -> None:
    """Let an organisation stand at a compound, a building or a station instead of in a grid."""
    for place in PLACES:
        op.execute(f"ALTER TABLE organisation ADD COLUMN {place}_id bigint")
        name = f"fk_organisation_city_id_{place}_id_{place}"
        later = " DEFERRABLE INITIALLY DEFERRED" if place == "station" else ""
        op.execute(
            f"ALTER TABLE organisation ADD CONSTRAINT {name} FOREIGN KEY (city_id, {place}_id)"
            f" REFERENCES {place} (city_id, {place}_id){later} NOT VALID"
        )
        op.execute(f"ALTER TABLE organisation VALIDATE CONSTRAINT {name}")
        op.create_index(f"ix_organisation_{place}", "organisation", ["city_id", f"{place}_id"])
    op.execute(
        f"ALTER TABLE organisation ADD CONSTRAINT ck_organisation_place CHECK ({AT_ONE_PLACE})"
    )


def _bodies() -> None:
    op.create_table(
        "compound_body",
        sa.Column("city_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("compound_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("organisation_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('firm', 'committee')", name="ck_compound_body_role"),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_from < valid_to", name="ck_compound_body_dates"
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "compound_id"],
            ["compound.city_id", "compound.compound_id"],
            name=op.f("fk_compound_body_city_id_compound_id_compound"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "organisation_id"],
            ["organisation.city_id", "organisation.organisation_id"],
            name=op.f("fk_compound_body_city_id_organisation_id_organisation"),
        ),
        sa.PrimaryKeyConstraint(
            "city_id", "compound_id", "role", "valid_from", name=op.f("pk_compound_body")
        ),
        ExcludeConstraint(
            ("city_id", "="),
            ("compound_id", "="),
            ("role", "="),
            (sa.text("daterange(valid_from, valid_to)"), "&&"),
            name="ex_compound_body_dates",
            using="gist",
        ),
    )
    op.create_index(
        "ix_compound_body_organisation", "compound_body", ["city_id", "organisation_id"]
    )
    op.execute(
        "CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON compound_body"
        " FOR EACH ROW WHEN (current_setting('wangge.delivery', true) <> '')"
        " EXECUTE FUNCTION note_change()"
    )
    op.execute("GRANT SELECT ON compound_body TO wangge_area, wangge_city")
    op.execute("ALTER TABLE compound_body ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE compound_body FORCE ROW LEVEL SECURITY")
    for name, roles, check in (
        ("owner", "CURRENT_USER", " WITH CHECK (true)"),
        ("everybody", "wangge_area, wangge_city", ""),
    ):
        command = " FOR SELECT" if name == "everybody" else ""
        op.execute(f"CREATE POLICY {name} ON compound_body{command} TO {roles} USING (true){check}")


def downgrade() -> None:
    for body in ("firm", "committee"):
        op.execute(f"ALTER TABLE compound ADD COLUMN {body}_id bigint")
    op.execute(UNDATED)
    for body in ("firm", "committee"):
        op.execute(
            f"ALTER TABLE compound ADD CONSTRAINT fk_compound_city_id_{body}_id_organisation"
            f" FOREIGN KEY (city_id, {body}_id) REFERENCES organisation (city_id, organisation_id)"
        )
    op.drop_table("compound_body")
    op.execute("ALTER TABLE organisation DROP CONSTRAINT ck_organisation_place")
    for place in reversed(PLACES):
        op.drop_column("organisation", f"{place}_id")
    op.drop_constraint("ex_net_exception_run", "net_exception")
    op.execute("ALTER TABLE net_exception DROP COLUMN to_seq")
