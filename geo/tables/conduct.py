"""Firms, shops and service points: rules that stand first, facts, answers, appeals, counts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Areas,
    Base,
    BigInt,
    CityKey,
    IdKey,
    Now,
    SmallInt,
    gist,
    one_of,
    refers_to,
    shape,
)
from geo.terms import InspectionKind, InspectionResult, RatingAct, RatingState, ShopKind


class RatingRule(Base):
    """By what property firms are rated, as `geo.ratings` reads it: published before it begins."""

    __tablename__ = "rating_rule"
    __table_args__ = (
        refers_to("city"),
        CheckConstraint("published_on < begins_on", name="published_first"),
    )

    city_id: Mapped[CityKey]
    rule_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    title: Mapped[str]
    published_on: Mapped[date]
    begins_on: Mapped[date]
    ends_on: Mapped[date | None]
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[Now]


class FirmRating(Areas, Base):
    """What a firm got for one compound and period; its answers and appeals are in the steps.

    Periods of a compound never overlap under a rule, so that no fact costs twice. `managed_days`
    are those of the period on which the firm managed the compound.
    """

    __tablename__ = "firm_rating"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "rule_id"], ["rating_rule.city_id", "rating_rule.rule_id"]
        ),
        refers_to("organisation", "organisation_id"),
        refers_to("compound", "compound_id"),
        refers_to("grid", "grid_id"),
        refers_to("user_account", "made_by"),
        one_of("state", RatingState),
        CheckConstraint("since <= until AND until < told_on", name="period"),
        CheckConstraint("told_on <= answer_until AND answer_until < public_from", name="dates"),
        CheckConstraint("managed_days BETWEEN 1 AND until - since + 1", name="managed"),
        ExcludeConstraint(
            ("city_id", "="), ("rule_id", "="), ("compound_id", "="),
            (text("daterange(since, until, '[]')"), "&&"),
            name="ex_firm_rating_period", using="gist", where=text("state <> 'withdrawn'"),
        ),
        Index("ix_firm_rating_firm", "city_id", "organisation_id", "until"),
    )  # fmt: skip

    city_id: Mapped[CityKey]
    rating_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    rule_id: Mapped[BigInt]
    organisation_id: Mapped[BigInt]
    compound_id: Mapped[BigInt]
    grid_id: Mapped[BigInt]
    since: Mapped[date]
    until: Mapped[date]
    managed_days: Mapped[SmallInt]
    state: Mapped[str]
    points: Mapped[SmallInt]
    grade: Mapped[str]
    deducted: Mapped[dict[str, Any]] = mapped_column(JSONB)
    told_on: Mapped[date]
    answer_until: Mapped[date]
    appeal_until: Mapped[date]
    public_from: Mapped[date]
    expires_on: Mapped[date]
    made_by: Mapped[BigInt | None]
    made_at: Mapped[Now]
    version: Mapped[int] = mapped_column(server_default=text("0"))


class RatingEvidence(Base):
    """A fact that a rating rests on: an issue or an inspection, and the points it costs.

    `what` is the issue's category, or the inspection's kind and result, as they were then.
    """

    __tablename__ = "rating_evidence"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "rating_id"], ["firm_rating.city_id", "firm_rating.rating_id"]
        ),
        refers_to("issue", "issue_id"),
        ForeignKeyConstraint(
            ["city_id", "inspection_id"], ["inspection.city_id", "inspection.inspection_id"]
        ),
        CheckConstraint("num_nonnulls(issue_id, inspection_id) = 1", name="fact"),
    )

    city_id: Mapped[CityKey]
    rating_id: Mapped[IdKey]
    n: Mapped[SmallInt] = mapped_column(primary_key=True, autoincrement=False)
    criterion: Mapped[str]
    what: Mapped[str] = mapped_column(server_default=text("''"))
    issue_id: Mapped[BigInt | None]
    inspection_id: Mapped[BigInt | None]
    happened_on: Mapped[date]
    points: Mapped[SmallInt]


class RatingStep(Base):
    """A line of what was said about a rating: told, answered, appealed, decided; append only."""

    __tablename__ = "rating_step"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "rating_id"], ["firm_rating.city_id", "firm_rating.rating_id"]
        ),
        one_of("act", RatingAct),
    )

    city_id: Mapped[CityKey]
    rating_id: Mapped[IdKey]
    step_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[Now]
    act: Mapped[str]
    words: Mapped[str | None]
    actor_id: Mapped[BigInt | None]
    actor_role: Mapped[str]
    points: Mapped[SmallInt]


class Shop(Areas, Base):
    """A shop as a place: what kind, where; nothing about who keeps it."""

    __tablename__ = "shop"
    __table_args__ = (
        refers_to("city"),
        refers_to("grid", "grid_id"),
        one_of("kind", ShopKind),
        UniqueConstraint("city_id", "code", name="uq_shop_code"),
        gist("shop", "geom"),
    )

    city_id: Mapped[CityKey]
    shop_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    code: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    address: Mapped[str | None]
    grid_id: Mapped[BigInt]
    closed_on: Mapped[date | None]
    created_at: Mapped[Now]
    version: Mapped[int] = mapped_column(server_default=text("0"))
    geom: Mapped[Any] = shape("POINT")


def _once(place: str) -> Index:
    """Return an index by which an inspection of a place is entered once."""
    return Index(
        f"uq_inspection_{place}", "city_id", f"{place}_id", "kind", "held_on", "result",
        unique=True, postgresql_where=text("withdrawn_at IS NULL"),
    )  # fmt: skip


class Inspection(Areas, Base):
    """What was found in a shop or a compound on a day: kind and result by fixed lists.

    The place may answer and appeal; while an appeal is open, and once it expires, nobody outside
    is told. `organisation_id` is the firm that managed the compound on that day.
    """

    __tablename__ = "inspection"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "shop_id"], ["shop.city_id", "shop.shop_id"]),
        refers_to("compound", "compound_id"),
        refers_to("grid", "grid_id"),
        refers_to("organisation", "organisation_id"),
        one_of("kind", InspectionKind),
        one_of("result", InspectionResult),
        CheckConstraint("num_nonnulls(shop_id, compound_id) = 1", name="place"),
        CheckConstraint("next_on IS NULL OR next_on > held_on", name="next"),
        CheckConstraint("expires_on > held_on", name="expires"),
        _once("shop"),
        _once("compound"),
        Index("ix_inspection_shop", "city_id", "shop_id", "held_on"),
        Index("ix_inspection_compound", "city_id", "compound_id", "held_on"),
    )

    city_id: Mapped[CityKey]
    inspection_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    shop_id: Mapped[BigInt | None]
    compound_id: Mapped[BigInt | None]
    organisation_id: Mapped[BigInt | None]
    grid_id: Mapped[BigInt]
    kind: Mapped[str]
    held_on: Mapped[date]
    result: Mapped[str]
    next_on: Mapped[date | None]
    expires_on: Mapped[date]
    appeal_until: Mapped[date] = mapped_column(server_default=text("CURRENT_DATE + 30"))
    answer: Mapped[str | None]
    appealed_on: Mapped[date | None]
    appeal: Mapped[str | None]
    decided_on: Mapped[date | None]
    decision: Mapped[str | None]
    withdrawn_at: Mapped[datetime | None]
    entered_by: Mapped[BigInt | None]
    entered_at: Mapped[Now]


class ServicePoint(Areas, Base):
    """Where volunteers help: place, hours, what is offered; no list of who they are."""

    __tablename__ = "service_point"
    __table_args__ = (
        refers_to("city"),
        refers_to("grid", "grid_id"),
        refers_to("organisation", "organisation_id"),
        gist("service_point", "geom"),
    )

    city_id: Mapped[CityKey]
    point_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    address: Mapped[str | None]
    opening_hours: Mapped[str | None]
    offers: Mapped[list[str]] = mapped_column(ARRAY(Text))
    organisation_id: Mapped[BigInt | None]
    grid_id: Mapped[BigInt]
    closed_on: Mapped[date | None]
    created_at: Mapped[Now]
    version: Mapped[int] = mapped_column(server_default=text("0"))
    geom: Mapped[Any] = shape("POINT")


class ServiceMonth(Base):
    """How often a point helped in a month, and how many helped: counts alone."""

    __tablename__ = "service_month"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "point_id"], ["service_point.city_id", "service_point.point_id"]
        ),
        CheckConstraint("month = date_trunc('month', month)::date", name="month"),
        CheckConstraint("helped >= 0 AND helpers >= 0 AND hours >= 0", name="counts"),
    )

    city_id: Mapped[CityKey]
    point_id: Mapped[IdKey]
    month: Mapped[date] = mapped_column(primary_key=True)
    helped: Mapped[int]
    helpers: Mapped[int]
    hours: Mapped[int]
