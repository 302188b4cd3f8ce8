"""Cancelled nets do not stand in the way of cancelling the one before them."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

ANY = "x.seq > number)"
STANDING = "x.seq > number AND x.cancelled_at IS NULL)"
REWRITE = """
DO $do$
DECLARE
    words text := pg_get_functiondef('cancel_net(smallint, integer, bigint)'::regprocedure);
BEGIN
    EXECUTE replace(words, '{before}', '{after}');
END $do$
"""


def upgrade() -> None:
    op.execute(REWRITE.format(before=ANY, after=STANDING))


def downgrade() -> None:
    op.execute(REWRITE.format(before=STANDING, after=ANY))
