"""Property firms for programs: rules that stand first, ratings with facts, answers and appeals."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, Text
from api.deps import AdministratorDep, KeepersDep, SessionDep, StaffDep, ViewerDep
from api.errors import responses_for
from api.routes.office import PROTECTED, Line, Number, Wish
from api.schemas import AsOf, Form
from geo import service
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    NetNotFoundError,
    NotFoundError,
    StaleEditError,
)
from geo.terms import RatingAct, RatingState

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["firms"], dependencies=[KNOWN_FIELDS])

RatingPath = Annotated[int, Path(ge=1, le=MOST_ID)]
RulePath = Annotated[int, Path(ge=1, le=MOST_ID)]
OPEN = (CityNotFoundError, NetNotFoundError)
Said = Annotated[str, Field(min_length=1, max_length=1000)]


class RatingRuleItem(Form):
    """A rule: published before it begins, and never changed."""

    rule: int
    title: str
    published_on: date
    begins_on: date
    ends_on: date | None
    content: dict[str, Any]


class RatingRules(Form):
    """The rules of a city, the latest first."""

    items: list[RatingRuleItem]


class CriterionWish(Wish):
    """What costs points: issues of categories, or inspections with results."""

    code: Line
    title: Line
    source: Line
    points: Annotated[int, Field(ge=1, le=100)]
    most: Annotated[int, Field(ge=1, le=100)]
    when: Line | None = None
    categories: Annotated[list[Line], Field(default_factory=list, max_length=50)]
    kinds: Annotated[list[Line], Field(default_factory=list, max_length=20)]
    results: Annotated[list[Line], Field(default_factory=list, max_length=10)]


class RuleContent(Wish):
    """Criteria, grades from the best with the points from which each counts, days."""

    criteria: Annotated[list[CriterionWish], Field(min_length=1, max_length=40)]
    grades: Annotated[
        list[tuple[Line, Annotated[int, Field(ge=0, le=100)]]], Field(min_length=2, max_length=10)
    ]
    answer_days: Annotated[int, Field(ge=1, le=90)]
    appeal_days: Annotated[int, Field(ge=1, le=90)]
    valid_days: Annotated[int, Field(ge=1, le=366)]
    least_days: Annotated[int, Field(ge=1, le=366)] = 1


class RuleWish(Wish):
    """A rule that begins on a day to come."""

    title: Line
    begins_on: date
    content: RuleContent


class RuleEnd(Wish):
    """The day from which a rule counts no more."""

    ends_on: date


class MadeRule(Form):
    """The rule's number."""

    rule: int


class PeriodWish(Wish):
    """What is rated: a compound, by a rule, from the first to the last day."""

    rule: Number
    compound: Number
    since: date
    until: date

    def period(self) -> service.firms.Period:
        """Return it as the service takes it."""
        return service.firms.Period(self.rule, self.compound, self.since, self.until)


class RuleTrial(Wish):
    """A rule that is being written, and a period that is over."""

    content: RuleContent
    since: date
    until: date


class TriedFirm(Form):
    """What a firm would get; `rated` is false where it managed the compound on too few days."""

    compound: int
    compound_name: str
    firm: int
    firm_name: str
    points: int
    grade: str
    cost: dict[str, dict[str, int]]
    managed_days: int
    days: int
    rated: bool


class TriedRule(Form):
    """What a rule would give, the fewest points first; nothing is kept."""

    items: list[TriedFirm]
    as_of: AsOf


class Fact(Form):
    """An issue or an inspection that counts, what it was and what it costs."""

    criterion: str
    issue: int | None
    inspection: int | None
    happened_on: date
    points: int
    what: str


class KeptFact(Fact):
    """A fact of a rating; `fallen` says that it would not count any more."""

    fallen: bool


class Reckoned(Form):
    """What the rule says of the firm; nothing is kept."""

    firm: int
    firm_name: str
    points: int
    grade: str
    cost: dict[str, dict[str, int]]
    facts: list[Fact]
    managed_days: int
    days: int


class RatingItem(Form):
    """A rating; `shown` says whether everybody sees it now, `mine` whether it is one's own."""

    rating: int
    rule: int
    rule_title: str
    firm: int
    firm_name: str
    compound: int
    compound_name: str
    since: date
    until: date
    managed_days: int
    version: int
    state: RatingState
    points: int
    grade: str
    deducted: dict[str, dict[str, int]]
    told_on: date
    answer_until: date
    appeal_until: date
    public_from: date
    expires_on: date
    shown: bool
    mine: bool
    lon: float
    lat: float


class Ratings(Form):
    """Ratings, the latest first."""

    items: list[RatingItem]
    as_of: AsOf


class RatingLine(Form):
    """What was said about a rating."""

    at: datetime
    act: RatingAct
    words: str | None
    actor_role: str
    points: int


class RatingCard(RatingItem):
    """A rating with the rule it rests on; facts and all words for its own people alone."""

    content: dict[str, Any]
    acts: list[RatingAct]
    facts: list[KeptFact]
    steps: list[RatingLine]
    as_of: AsOf


class RatingWish(Wish):
    """An answer, an appeal, a decision (with points, never fewer) or a withdrawal.

    With `version`, the one that was read, it is refused when something was said since.
    """

    act: RatingAct
    words: Said
    points: Annotated[int, Field(ge=0, le=100)] | None = None
    version: Annotated[int, Field(ge=0)] | None = None


class MadeRating(Form):
    """The rating's number."""

    rating: int


class RatingStands(Form):
    """Where the rating stands now."""

    state: RatingState


@router.get("/rating-rules", responses=responses_for(*OPEN))
def list_rating_rules(session: SessionDep, viewer: ViewerDep, asked: AskedDep) -> RatingRules:
    """List the rules by which property firms are rated; open to everybody."""
    found = service.rating_rules.listed(session, asked.moment(session))
    return RatingRules(items=[RatingRuleItem.model_validate(one) for one in found])


@router.post(
    "/rating-rules", status_code=201, responses=responses_for(*PROTECTED, NetNotFoundError)
)
def publish_rating_rule(
    session: SessionDep, viewer: AdministratorDep, asked: AskedDep, wish: RuleWish
) -> MadeRule:
    """Publish a rule today that begins on a later day."""
    content = wish.content.model_dump(exclude_none=True)
    at = asked.moment(session)
    return MadeRule(
        rule=service.rating_rules.publish(session, viewer, at, wish.title, wish.begins_on, content)
    )


@router.post("/rating-rules/tried", responses=responses_for(*PROTECTED, NetNotFoundError))
def try_rating_rule(
    session: SessionDep, viewer: AdministratorDep, asked: AskedDep, wish: RuleTrial
) -> TriedRule:
    """Say what a rule that is being written would give for a period that is over; keep nothing."""
    at, content = asked.moment(session), wish.content.model_dump(exclude_none=True)
    found = service.firms.tried(session, viewer, at, content, wish.since, wish.until)
    return TriedRule(items=[TriedFirm.model_validate(one) for one in found], as_of=AsOf.of(at))


@router.patch(
    "/rating-rules/{rule}",
    status_code=204,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, ConflictError),
)
def end_rating_rule(
    session: SessionDep, viewer: AdministratorDep, asked: AskedDep, rule: RulePath, wish: RuleEnd
) -> Response:
    """End a rule on a day to come.

    Raises
    ------
    NotFoundError
        If there is none: 404.
    ConflictError
        If an end was published before: 409.
    """
    service.rating_rules.end(session, viewer, asked.moment(session), rule, wish.ends_on)
    return Response(status_code=204)


@router.get("/firm-ratings", responses=responses_for(*OPEN))
def list_ratings(
    session: SessionDep,
    viewer: ViewerDep,
    asked: AskedDep,
    compound: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    firm: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    state: RatingState | None = None,
    grade: Annotated[str | None, Query(max_length=20)] = None,
    q: Annotated[Text | None, Query(description="Part of a firm's or a compound's name.")] = None,
) -> Ratings:
    """List the ratings that everybody may see now, and one's own."""
    at = asked.moment(session)
    found = service.firms.listed(
        session, viewer, at, compound=compound, firm=firm, state=state, grade=grade, q=q
    )
    return Ratings(items=[RatingItem.model_validate(one) for one in found], as_of=AsOf.of(at))


@router.get("/firm-ratings/{rating}", responses=responses_for(*OPEN, NotFoundError))
def show_rating(
    session: SessionDep, viewer: ViewerDep, asked: AskedDep, rating: RatingPath
) -> RatingCard:
    """Show a rating: its rule, what each criterion cost, the firm's answer, the decision.

    Raises
    ------
    NotFoundError
        If there is none that one may see now: 404.
    """
    at = asked.moment(session)
    found = service.firms.show(session, viewer, at, rating)
    return RatingCard.model_validate({**found, "as_of": AsOf.of(at)})


@router.post(
    "/firm-ratings/reckoned",
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, ConflictError),
)
def reckon_rating(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: PeriodWish
) -> Reckoned:
    """Say what a rule says of the firm of a compound; nothing is kept.

    Raises
    ------
    ConflictError
        If the rule did not stand before the period, or it is not over: 409.
    """
    at = asked.moment(session)
    found = service.firms.reckon(session, viewer, at, wish.period())
    return Reckoned.model_validate(found, from_attributes=True)


@router.post(
    "/firm-ratings",
    status_code=201,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, ConflictError),
)
def tell_rating(
    session: SessionDep, viewer: KeepersDep, asked: AskedDep, wish: PeriodWish
) -> MadeRating:
    """Rate the firm of a compound and tell it: the answer period begins today.

    Raises
    ------
    ConflictError
        If the rule did not stand before the period, it is not over, or it is rated already: 409.
    """
    at = asked.moment(session)
    return MadeRating(rating=service.firms.tell(session, viewer, at, wish.period()))


@router.post(
    "/firm-ratings/{rating}/acts",
    responses=responses_for(
        *PROTECTED, NetNotFoundError, NotFoundError, ConflictError, StaleEditError
    ),
)
def act_on_rating(
    session: SessionDep, viewer: StaffDep, asked: AskedDep, rating: RatingPath, wish: RatingWish
) -> RatingStands:
    """Answer, appeal, decide or withdraw.

    Raises
    ------
    NotFoundError
        If it is none of one's own: 404.
    ConflictError
        If its time is over, its state is another, or the same person would decide: 409.
    StaleEditError
        If something was said since the version that was read: 412.
    """
    at = asked.moment(session)
    state = service.firms.do(
        session, viewer, at, rating, wish.act, wish.words, wish.points, wish.version
    )
    return RatingStands(state=state)
