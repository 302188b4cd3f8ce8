"""Facts that property firms are rated by: issues inside compounds, and inspections of them.

A fact counts on the day on which it happened, where the firm managed the compound on that day: an
issue is reported, its deadline passes, it is sent back, it is opened again. A deadline, a sending
back and an opening again are the firm's where it led the issue at that moment by the issue's
history, whoever has it now; of issues that came without a history, where it has the issue now.

Issues are found by the cells that a compound touches: under row-level security no spatial index of
issues can be used. Those cells are looked up first: with many compounds the planner would else lay
each compound on all issues of the city.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from sqlalchemy import and_, or_, select, text
from sqlalchemy.orm import Session, aliased

from geo.ratings import Criterion, Rule
from geo.store.nets import Moment
from geo.tables import CompoundBody, Organisation
from geo.terms import CompoundRole

_ISSUES: Final = text("""
    WITH managed AS (
        SELECT * FROM unnest(CAST(:compounds AS bigint[]), CAST(:firms AS bigint[]),
                             CAST(:begins AS date[]), CAST(:ends AS date[]))
            AS m(compound, firm, since, until)
    ), ground AS MATERIALIZED (
        SELECT m.compound, m.firm, m.since, m.until, k.geom, c.cell_id
        FROM managed AS m
        JOIN compound AS k ON k.city_id = :city AND k.compound_id = m.compound
        JOIN cell AS c ON c.city_id = :city AND c.geom && k.geom
    ), told AS (
        SELECT m.compound, m.firm, m.since, m.until, i.city_id, i.issue_id, i.category,
               i.organisation_id, i.reported_at, i.deadline_at, i.suspended_at, i.reworks,
               i.reopens, coalesce(i.handled_at, i.closed_at) AS done_at
        FROM ground AS m
        JOIN issue AS i ON i.city_id = :city AND i.cell_id = m.cell_id
        WHERE ST_Covers(m.geom, i.geom)
          AND i.set_aside IS NULL AND i.state NOT IN ('reported', 'void')
          AND (i.reported_at AT TIME ZONE :zone)::date <= m.until
    ), moment AS (
        SELECT told.*, 'reported' AS occasion, reported_at AS at FROM told
        UNION ALL
        SELECT told.*, 'overdue', deadline_at FROM told
        WHERE CASE WHEN done_at IS NOT NULL THEN done_at > deadline_at
                   ELSE deadline_at < coalesce(suspended_at, clock_timestamp()) END
        UNION ALL
        SELECT told.*, v.occasion, coalesce(e.at, told.reported_at) FROM told
        CROSS JOIN LATERAL (VALUES ('reworked', 'rework', told.reworks),
                                   ('reopened', 'reopen', told.reopens)) AS v(occasion, act, n)
        LEFT JOIN issue_event AS e
            ON e.city_id = told.city_id AND e.issue_id = told.issue_id AND e.act = v.act
        WHERE v.n > 0
    ), dated AS (
        SELECT *, (at AT TIME ZONE :zone)::date AS day FROM moment
    )
    SELECT DISTINCT ON (d.compound, d.day, d.issue_id, d.occasion)
           d.compound, d.issue_id, d.category, d.occasion, d.day
    FROM dated AS d
    LEFT JOIN LATERAL (
        SELECT e.act, CAST(e.details ->> 'organisation' AS bigint) AS lead FROM issue_event AS e
        WHERE d.occasion <> 'reported' AND e.city_id = d.city_id AND e.issue_id = d.issue_id
          AND e.at < d.at
          AND (e.act IN ('dispatch', 'joint_dispatch', 'return', 'solve_on_the_spot')
               OR (e.act = 'escalate' AND e.details ? 'organisation'))
        ORDER BY e.at DESC, e.event_id DESC LIMIT 1
    ) AS s ON true
    WHERE d.day BETWEEN d.since AND d.until
      AND (d.occasion = 'reported'
           OR CASE WHEN s.act IS NULL THEN d.organisation_id ELSE s.lead END = d.firm)
    ORDER BY d.compound, d.day, d.issue_id, d.occasion
""")
_INSPECTIONS: Final = text("""
    WITH managed AS (
        SELECT * FROM unnest(CAST(:compounds AS bigint[]), CAST(:firms AS bigint[]),
                             CAST(:begins AS date[]), CAST(:ends AS date[]))
            AS m(compound, firm, since, until)
    )
    SELECT m.compound, p.inspection_id, p.held_on AS day, p.kind, p.result
    FROM managed AS m
    JOIN inspection AS p ON p.city_id = :city AND p.compound_id = m.compound
        AND p.held_on BETWEEN m.since AND m.until
    WHERE p.withdrawn_at IS NULL AND (p.appealed_on IS NULL OR p.decided_on IS NOT NULL)
    ORDER BY m.compound, p.held_on, p.inspection_id
""")


@dataclass(frozen=True)
class Managed:
    """The firm of a compound on the last day of a period, and its stretches within it."""

    compound: int
    firm: int
    firm_name: str
    stretches: list[tuple[date, date]] = field(default_factory=list)

    @property
    def days(self) -> int:
        """On how many days of the period it managed the compound."""
        return sum((until - since).days + 1 for since, until in self.stretches)


def managed(
    session: Session, at: Moment, since: date, until: date, compounds: Iterable[int] | None = None
) -> list[Managed]:
    """Return who managed compounds on the last day of a period, and when within the period.

    Of all compounds of the city, or of some. A firm that was replaced before the last day is not
    returned.
    """
    last, whole = aliased(CompoundBody), CompoundBody
    on_last = and_(
        last.city_id == at.city_id, last.role == CompoundRole.FIRM.value, last.valid_from <= until,
        or_(last.valid_to.is_(None), last.valid_to > until),
    )  # fmt: skip
    same = and_(
        whole.city_id == last.city_id, whole.compound_id == last.compound_id,
        whole.role == last.role, whole.organisation_id == last.organisation_id,
        whole.valid_from <= until, or_(whole.valid_to.is_(None), whole.valid_to > since),
    )  # fmt: skip
    statement = (
        select(last.compound_id, last.organisation_id, Organisation.name, whole.valid_from,
               whole.valid_to)
        .select_from(last)
        .join(whole, same)
        .join(Organisation, and_(Organisation.city_id == last.city_id,
                                 Organisation.organisation_id == last.organisation_id))
        .where(on_last)
        .order_by(last.compound_id, whole.valid_from)
    )  # fmt: skip
    if compounds is not None:
        statement = statement.where(last.compound_id.in_(list(compounds)))
    found: dict[int, Managed] = {}
    for compound, firm, name, begins, ends in session.execute(statement):
        one = found.setdefault(compound, Managed(compound, firm, name))
        ended = until if ends is None else min(until, date.fromordinal(ends.toordinal() - 1))
        one.stretches.append((max(since, begins), ended))
    return list(found.values())


def facts_of(
    session: Session, at: Moment, rule: Rule, firms: Sequence[Managed]
) -> dict[int, list[dict[str, Any]]]:
    """Return the facts that count for each compound, by the rule's criteria and then by day.

    A fact is `criterion`, `points`, `issue` or `inspection`, `happened_on`, and `what` it was: a
    category, or a kind and a result. One issue counts once a day under a criterion.
    """
    rows = [(one, since, until) for one in firms for since, until in one.stretches]
    asked = {
        "city": at.city_id,
        "compounds": [one.compound for one, _, _ in rows],
        "firms": [one.firm for one, _, _ in rows],
        "begins": [since for _, since, _ in rows],
        "ends": [until for _, _, until in rows],
    }
    issues, inspections = [], []
    if any(one.source == "issue" for one in rule.criteria):
        issues = list(session.execute(_ISSUES, {**asked, "zone": at.timezone}))
    if any(one.source == "inspection" for one in rule.criteria):
        inspections = list(session.execute(_INSPECTIONS, asked))
    found: dict[int, list[dict[str, Any]]] = {one.compound: [] for one in firms}
    for criterion in rule.criteria:
        if criterion.source == "issue":
            for row in issues:
                if _issue_counts(criterion, row):
                    fact = {"issue": row.issue_id, "inspection": None, "what": row.category}
                    found[row.compound].append(_fact(criterion, row.day, fact))
        else:
            for row in inspections:
                if _inspection_counts(criterion, row):
                    what = f"{row.kind} {row.result}"
                    fact = {"issue": None, "inspection": row.inspection_id, "what": what}
                    found[row.compound].append(_fact(criterion, row.day, fact))
    return found


def _fact(criterion: Criterion, day: date, fact: dict[str, Any]) -> dict[str, Any]:
    return {**fact, "criterion": criterion.code, "points": criterion.points, "happened_on": day}


def _issue_counts(criterion: Criterion, row: Any) -> bool:
    fits = not criterion.categories or row.category.startswith(criterion.categories)
    return bool(row.occasion == criterion.when and fits)


def _inspection_counts(criterion: Criterion, row: Any) -> bool:
    fits = not criterion.kinds or row.kind in criterion.kinds
    return bool(row.result in criterion.results and fits)
