"""Write what an office does beside issues: the frames of `geo.frames_office`, table by table."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import func, insert, text
from sqlalchemy.orm import Session

from geo import photos, signin
from geo.dataset import CityDataset
from geo.grids import AREA_COLUMNS
from geo.ratings import FULL, STATES, dates_of, grade_of, points_of, rule_of
from geo.store import rating_facts
from geo.store.nets import Moment
from geo.store.rating_facts import Managed
from geo.tables import AreaGrant, UserAccount
from geo.terms import RatingAct, RatingState

Copy = Callable[[str, pd.DataFrame], None]
"""Takes a table and its rows; columns that the table does not have are left out."""

NUMBERED: Final = (
    ("device", "device_id"), ("meeting", "meeting_id"), ("campaign", "campaign_id"),
    ("small_project", "project_id"), ("rating_rule", "rule_id"), ("firm_rating", "rating_id"),
    ("shop", "shop_id"), ("inspection", "inspection_id"), ("service_point", "point_id"),
    ("photo", "photo_id"),
)  # fmt: skip
"""Tables whose rows bring their numbers along: the next one is given after the greatest."""
_NEXT: Final = """
    SELECT setval(s, greatest(nextval(s), :most)) FROM pg_get_serial_sequence(:name, :key) AS s
"""
_RATINGS: Final = text("SELECT max(rating_id) FROM firm_rating WHERE city_id = :city")
TOLD_AT: Final = pd.Timedelta(2, "h")
_MAIN_GRIDS: Final = text("""
    SELECT DISTINCT ON (compound_id) compound_id, grid_id FROM net_compound
    WHERE city_id = :city ORDER BY compound_id, share_of_compound DESC, grid_id
""")


def beside(dataset: CityDataset, issues: pd.DataFrame) -> pd.DataFrame:
    """Return rows of issues with what was said of them and which firm helps."""
    if len(dataset.issue_words):
        issues = issues.merge(dataset.issue_words, on="issue_id", how="left", validate="1:1")
    if len(dataset.issue_helpers):
        helps = dataset.issue_helpers.set_index("issue_id")["organisation_id"]
        firm = issues["issue_id"].map(helps)
        said = "{" + firm.astype("Int64").astype("str") + "}"
        issues = issues.assign(assisting=said.where(firm.notna(), None))
    return issues


def furnish(
    session: Session, city_id: int, dataset: CityDataset, paths: pd.DataFrame, copy: Copy
) -> None:
    """Write the frames of an office; grids, issues and what compounds have of grids are there.

    Parameters
    ----------
    paths : DataFrame
        Ancestors of each grid, indexed by it.
    copy : callable
        Writes rows into a table.
    """
    if not any(len(getattr(dataset, name)) for name in ("accounts", "answer_texts", "shops")):
        return
    _Office(session, city_id, dataset, paths, copy).run()


class _Office:
    """The rows of one office on their way into the tables."""

    def __init__(
        self,
        session: Session,
        city_id: int,
        dataset: CityDataset,
        paths: pd.DataFrame,
        copy: Copy,
    ) -> None:
        self.session = session
        self.city_id = city_id
        self.dataset = dataset
        self.paths = paths
        self.copy = copy
        cells = dataset.cells
        self.owner = cells.set_index("cell_id")["grid_id"]
        self.role = dataset.accounts.set_index("account_id")["role"]

    def run(self) -> None:
        """Write all tables in an order in which every reference points back."""
        data = self.dataset
        self.user = self._accounts()
        self.copy("photo", self._photos(data.photos))
        self.copy("device", self._at_cell(data.devices))
        self.copy("device_alarm", _alarms(data.device_alarms))
        self.copy("meeting", self.of_grid(self.signed(data.meetings, "created_by")))
        self.copy("meeting_topic", data.meeting_topics)
        self.copy("campaign", self.of_grid(self.signed(data.campaigns, "created_by")))
        self.copy("campaign_item", self.of_grid(self.signed(data.campaign_items, "done_by")))
        self.copy("small_project", self._at_cell(self.signed(data.small_projects, "created_by")))
        self.copy("project_step", self.steps(data.project_steps))
        self._conduct()
        points = data.service_points
        offers = ["{" + ",".join(json.loads(one)) + "}" for one in points["offers"]]
        self.copy("service_point", self._at_cell(points.assign(offers=offers)))
        self.copy("service_month", data.service_months)
        self.copy("answer_text", data.answer_texts)
        self._go_on()

    def _accounts(self) -> pd.Series[Any]:
        """Write those who signed; nobody can sign in as one of them. Return their numbers."""
        shut = signin.hash_password(secrets.token_urlsafe(32))
        numbers = {}
        rows: list[Any] = list(self.dataset.accounts.itertuples())
        for row in rows:
            values = {
                "city_id": self.city_id, "login": row.login, "display_name": row.display_name,
                "role": row.role, "password_hash": shut, "disabled_at": func.statement_timestamp(),
                "organisation_id": None if pd.isna(row.organisation_id) else row.organisation_id,
            }  # fmt: skip
            made = insert(UserAccount).values(**values).returning(UserAccount.user_id)
            numbers[row.account_id] = user = int(self.session.execute(made).scalar_one())
            if pd.notna(row.grid_id):
                grant = {"city_id": self.city_id, "user_id": user, "grid_id": int(row.grid_id)}
                self.session.execute(insert(AreaGrant).values(**grant))
        return pd.Series(numbers, dtype="Int64")

    def signed(self, frame: pd.DataFrame, column: str) -> pd.DataFrame:
        """Return rows with the numbers of those who signed."""
        return frame.assign(**{column: frame[column].map(self.user).astype("Int64")})

    def steps(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return steps with number and role of who took them."""
        acted = frame.assign(actor_role=frame["actor_id"].map(self.role))
        return self.signed(acted, "actor_id")

    def _at_cell(self, frame: pd.DataFrame) -> pd.DataFrame:
        return self.of_grid(frame.assign(grid_id=self.owner.loc[frame["cell_id"]].to_numpy()))

    def moment(self) -> Moment:
        """Return the city at its first net; facts ask for its number and zone."""
        data = self.dataset
        return Moment(
            city_id=self.city_id, slug=data.slug, profile=data.profile,
            metre_srid=data.metre_srid, timezone=data.timezone, day=data.effective_from, seq=1,
            effective_from=data.effective_from, net_hash=b"", vintage=None,
        )  # fmt: skip

    def of_grid(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add the ancestors of each row's grid, none where it has none."""
        paths = self.paths.reindex(frame["grid_id"].astype("Int64").fillna(0).to_numpy(np.int64))
        return frame.assign(**{name: paths[name].astype("Int64").array for name in AREA_COLUMNS})

    def _conduct(self) -> None:
        """Write shops, inspections, rules and ratings, in the grids that have most of each."""
        data = self.dataset
        rows = self.session.execute(_MAIN_GRIDS, {"city": self.city_id})
        main = pd.Series({row.compound_id: row.grid_id for row in rows}, dtype="Int64")
        shops = self._at_cell(data.shops)
        self.copy("shop", shops)
        held = self.signed(data.inspections, "entered_by")
        own = held["shop_id"].map(shops.set_index("shop_id")["grid_id"]).astype("Int64")
        held = held.assign(grid_id=own.fillna(held["compound_id"].map(main)))
        self.copy("inspection", self.of_grid(held))
        self.copy("rating_rule", data.rating_rules)
        for turn in data.rating_rounds.itertuples():
            _Round(self, turn, main).run()

    def _photos(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Write each picture anew, as photos that are handed over are."""
        handed = [base64.b64decode(one) for one in frame["content"]]
        made = [photos.clean(one) for one in handed]
        frame = frame.assign(
            content=["\\x" + one.content.hex() for one in made],
            thumbnail=["\\x" + one.thumbnail.hex() for one in made],
            width=[one.width for one in made],
            height=[one.height for one in made],
            sha256=[one.sha256 for one in made],
            handed_sha256=[hashlib.sha256(one).hexdigest() for one in handed],
        )
        return self.signed(frame, "released_by")

    def _go_on(self) -> None:
        """Let the next rows of each table be numbered after these."""
        for table, key in NUMBERED:
            name = text(f"SELECT max({key}) FROM {table} WHERE city_id = :city")  # noqa: S608 (constants)
            most = self.session.scalar(name, {"city": self.city_id})
            if most is not None:
                asked = {"most": most, "name": table, "key": key}
                self.session.execute(text(_NEXT), asked)


def _alarms(frame: pd.DataFrame) -> pd.DataFrame:
    said = frame["device_id"].astype(str) + " " + frame["alarm"]
    return frame.assign(digest=["\\x" + hashlib.sha256(one.encode()).hexdigest() for one in said])


class _Round:
    """The ratings of all compounds by one rule for one period, reckoned as the office does."""

    def __init__(self, office: _Office, turn: Any, main: pd.Series[Any]) -> None:
        self.office = office
        self.turn = turn
        self.main = main
        data = office.dataset
        rules = data.rating_rules.set_index("rule_id")
        self.rule = rule_of(json.loads(rules.loc[turn.rule_id, "content"]))
        self.replies = data.rating_replies.loc[data.rating_replies["round_id"] == turn.round_id]

    def run(self) -> None:
        """Write ratings with their facts, then what was said about them."""
        office, turn, rule = self.office, self.turn, self.rule
        since, until = turn.since.date(), turn.until.date()
        firms = [
            one
            for one in rating_facts.managed(office.session, office.moment(), since, until)
            if one.days >= rule.least_days and one.compound in self.main.index
        ]
        facts = rating_facts.facts_of(office.session, office.moment(), rule, firms)
        rows = pd.DataFrame([self._rated(one, facts[one.compound]) for one in firms])
        if rows.empty:
            return
        first = int(office.session.scalar(_RATINGS, {"city": office.city_id}) or 0)
        rows["rating_id"] = first + 1 + np.arange(len(rows))
        steps = self._said(rows)
        office.copy("firm_rating", office.of_grid(office.signed(rows, "made_by")))
        office.copy("rating_evidence", self._evidence(rows, facts))
        office.copy("rating_step", office.steps(steps))

    def _rated(self, one: Managed, facts: list[dict[str, Any]]) -> dict[str, Any]:
        turn, rule = self.turn, self.rule
        points, cost = points_of(rule, [fact["criterion"] for fact in facts])
        dates = dates_of(rule, turn.told_on.date())
        return {
            "rule_id": turn.rule_id, "organisation_id": one.firm, "compound_id": one.compound,
            "grid_id": self.main[one.compound], "since": turn.since, "until": turn.until,
            "managed_days": one.days, "state": RatingState.TOLD.value, "points": points,
            "grade": grade_of(rule, points), "deducted": json.dumps(cost),
            "told_on": turn.told_on, "answer_until": pd.Timestamp(dates.answer_until),
            "appeal_until": pd.Timestamp(dates.appeal_until),
            "public_from": pd.Timestamp(dates.public_from),
            "expires_on": pd.Timestamp(dates.expires_on), "made_by": turn.made_by,
            "made_at": turn.told_on.tz_localize("UTC") + TOLD_AT, "version": 0,
        }  # fmt: skip

    def _evidence(self, rows: pd.DataFrame, facts: dict[int, list[dict[str, Any]]]) -> pd.DataFrame:
        told: list[Any] = list(rows.itertuples())
        found = [
            {
                "rating_id": row.rating_id, "n": n, "criterion": one["criterion"],
                "what": one["what"], "issue_id": one["issue"],
                "inspection_id": one["inspection"], "happened_on": one["happened_on"],
                "points": one["points"],
            }
            for row in told
            for n, one in enumerate(facts[row.compound_id], start=1)
        ]  # fmt: skip
        names = ("rating_id", "n", "criterion", "what", "issue_id", "inspection_id",
                 "happened_on", "points")  # fmt: skip
        frame = pd.DataFrame(found, columns=list(names))
        ids = {name: frame[name].astype("Int64") for name in ("issue_id", "inspection_id")}
        return frame.assign(**ids)

    def _said(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the steps of ratings; the poorest ones stand afterwards where replies led."""
        told = pd.DataFrame({
            "rating_id": rows["rating_id"], "n": 0, "at": rows["made_at"],
            "act": RatingAct.TELL.value, "words": None, "actor_id": rows["made_by"],
            "points": rows["points"],
        })  # fmt: skip
        poorest = rows.sort_values(["points", "rating_id"]).index
        said = []
        for reply in self.replies.sort_values(["rank", "n"]).itertuples():
            if reply.rank > len(rows):
                continue
            at, act = poorest[reply.rank - 1], RatingAct(reply.act)
            state = STATES[act][1]
            points = min(FULL, int(rows.loc[at, "points"]) + reply.more_points)
            rows.loc[at, ["points", "grade"]] = points, grade_of(self.rule, points)
            rows.loc[at, "state"] = rows.loc[at, "state"] if state is None else state.value
            rows.loc[at, "version"] += 1
            said.append({
                "rating_id": rows.loc[at, "rating_id"], "n": reply.n, "at": reply.at,
                "act": act.value, "words": reply.words, "actor_id": reply.actor_id,
                "points": points,
            })  # fmt: skip
        steps = pd.concat([told, pd.DataFrame(said, columns=told.columns)], ignore_index=True)
        return steps.sort_values(["at", "rating_id", "n"], ignore_index=True)
