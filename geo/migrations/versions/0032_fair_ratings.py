"""Ratings of a compound never overlap, an inspection stands once, a firm sees those of its own.

What everybody sees is decided by the day in the city's zone, in the database as in the service.
"""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

BOTH = "wangge_area, wangge_city"
TODAY = """
CREATE FUNCTION viewer_today() RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (statement_timestamp() AT TIME ZONE coalesce(
        (SELECT c.timezone FROM city AS c
         WHERE c.city_id = (viewer_context() ->> 'city')::smallint), 'UTC'))::date
$$
"""
FIRM = (
    "city_id = (SELECT viewer_city('area')) AND (SELECT viewer_role()) = 'department'"
    " AND organisation_id = ANY ((SELECT viewer_organisations())::bigint[])"
)
PLACES = ("shop", "compound")
MANAGED = """
UPDATE inspection AS p SET organisation_id = b.organisation_id FROM compound_body AS b
WHERE b.city_id = p.city_id AND b.compound_id = p.compound_id AND b.role = 'firm'
  AND b.valid_from <= p.held_on AND (b.valid_to IS NULL OR b.valid_to > p.held_on)
"""
REPEATED = """
UPDATE inspection AS p SET withdrawn_at = statement_timestamp()
WHERE p.withdrawn_at IS NULL AND EXISTS (
    SELECT FROM inspection AS f
    WHERE f.city_id = p.city_id AND f.inspection_id < p.inspection_id AND f.withdrawn_at IS NULL
      AND (f.shop_id, f.compound_id, f.kind, f.held_on, f.result)
          IS NOT DISTINCT FROM (p.shop_id, p.compound_id, p.kind, p.held_on, p.result))
"""
OVERLAPPING = """
UPDATE firm_rating AS r SET state = 'withdrawn'
WHERE r.state <> 'withdrawn' AND EXISTS (
    SELECT FROM firm_rating AS f
    WHERE f.city_id = r.city_id AND f.rule_id = r.rule_id AND f.compound_id = r.compound_id
      AND f.rating_id < r.rating_id AND f.state <> 'withdrawn'
      AND f.since <= r.until AND f.until >= r.since)
"""


def _shown(day: str) -> tuple[tuple[str, str], ...]:
    rating = f"state IN ('told', 'decided') AND public_from <= {day} AND expires_on > {day}"
    inspection = (
        f"shop_id IS NOT NULL AND withdrawn_at IS NULL AND expires_on > {day}"
        " AND (appealed_on IS NULL OR decided_on IS NOT NULL)"
    )
    step = (
        "act IN ('answer', 'decide') AND EXISTS (SELECT FROM firm_rating AS a"
        " WHERE a.city_id = rating_step.city_id AND a.rating_id = rating_step.rating_id"
        f" AND {rating})"
    )
    return (("firm_rating", rating), ("inspection", inspection), ("rating_step", step))


def _show(day: str) -> None:
    for table, condition in _shown(day):
        op.execute(f"DROP POLICY shown ON {table}")
        op.execute(f"CREATE POLICY shown ON {table} FOR SELECT TO {BOTH} USING ({condition})")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(TODAY)
    op.execute("REVOKE ALL ON FUNCTION viewer_today() FROM public")
    op.execute(f"GRANT EXECUTE ON FUNCTION viewer_today() TO {BOTH}")
    _show("(SELECT viewer_today())")
    op.execute("ALTER TABLE firm_rating ADD COLUMN managed_days SMALLINT")
    op.execute("UPDATE firm_rating SET managed_days = until - since + 1")
    op.execute("ALTER TABLE firm_rating ALTER COLUMN managed_days SET NOT NULL")
    op.execute(
        "ALTER TABLE firm_rating ADD CONSTRAINT ck_firm_rating_managed"
        " CHECK (managed_days BETWEEN 1 AND until - since + 1)"
    )
    op.execute(OVERLAPPING)
    op.execute("DROP INDEX uq_firm_rating_period")
    op.execute(
        "ALTER TABLE firm_rating ADD CONSTRAINT ex_firm_rating_period EXCLUDE USING gist"
        " (city_id WITH =, rule_id WITH =, compound_id WITH =,"
        " daterange(since, until, '[]') WITH &&) WHERE (state <> 'withdrawn')"
    )
    op.execute(
        "ALTER TABLE inspection ADD COLUMN organisation_id BIGINT,"
        " ADD COLUMN appeal_until DATE DEFAULT (CURRENT_DATE + 30),"
        " ADD CONSTRAINT fk_inspection_city_id_organisation_id_organisation"
        " FOREIGN KEY (city_id, organisation_id)"
        " REFERENCES organisation (city_id, organisation_id)"
    )
    op.execute("UPDATE inspection SET appeal_until = greatest(held_on, entered_at::date) + 30")
    op.execute("ALTER TABLE inspection ALTER COLUMN appeal_until SET NOT NULL")
    op.execute(MANAGED)
    op.execute(REPEATED)
    for place in PLACES:
        op.execute(
            f"CREATE UNIQUE INDEX uq_inspection_{place} ON inspection"
            f" (city_id, {place}_id, kind, held_on, result) WHERE withdrawn_at IS NULL"
        )
    op.execute(f"CREATE POLICY firm ON inspection FOR SELECT TO wangge_area USING ({FIRM})")
    op.execute(
        f"CREATE POLICY firm_appeals ON inspection FOR UPDATE TO wangge_area USING ({FIRM})"
        f" WITH CHECK ({FIRM} AND withdrawn_at IS NULL AND decided_on IS NULL)"
    )
    op.execute("ALTER TABLE service_point ADD COLUMN version INTEGER DEFAULT 0 NOT NULL")
    op.execute(f"GRANT UPDATE (version) ON service_point TO {BOTH}")


def downgrade() -> None:
    op.execute("ALTER TABLE service_point DROP COLUMN version")
    op.execute("DROP POLICY firm_appeals ON inspection")
    op.execute("DROP POLICY firm ON inspection")
    for place in PLACES:
        op.execute(f"DROP INDEX uq_inspection_{place}")
    op.execute("ALTER TABLE inspection DROP COLUMN organisation_id, DROP COLUMN appeal_until")
    op.execute("ALTER TABLE firm_rating DROP CONSTRAINT ex_firm_rating_period")
    op.execute(
        "CREATE UNIQUE INDEX uq_firm_rating_period ON firm_rating"
        " (city_id, rule_id, compound_id, since, until) WHERE state <> 'withdrawn'"
    )
    op.execute("ALTER TABLE firm_rating DROP COLUMN managed_days")
    _show("current_date")
    op.execute("DROP FUNCTION viewer_today()")
