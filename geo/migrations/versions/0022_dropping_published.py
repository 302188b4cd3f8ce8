"""A demo city goes with nets that came from plans: net and plan refer to each other."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

LOOP = "WHILE cardinality(pending) > 0 LOOP"
LET_GO = "UPDATE net SET plan_id = NULL WHERE city_id = dropped; "
REWRITE = """
DO $do$
DECLARE
    words text := pg_get_functiondef('drop_demo_city(text)'::regprocedure);
BEGIN
    EXECUTE replace(words, '{before}', '{after}');
END $do$
"""


def upgrade() -> None:
    op.execute(REWRITE.format(before=LOOP, after=LET_GO + LOOP))


def downgrade() -> None:
    op.execute(REWRITE.format(before=LET_GO + LOOP, after=LOOP))
