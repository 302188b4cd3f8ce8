"""The made-up office: what stands beside issues is read, followed and reckoned as if entered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo import answers, demo, service
from geo.campaigns import STEPS, acts_for
from geo.dataset import CityDataset
from geo.db import Viewer, owner_transaction
from geo.demo.requests import LATE_DAYS, OLD_STATES
from geo.frames_office import OFFICE
from geo.keeping import doctor
from geo.keeping.checks import Installation, State
from geo.ratings import rule_of
from geo.store import firms, points, rating_rules, shops
from geo.store import photos as kept_photos
from geo.store.cases import wording
from geo.store.nets import Moment, moment
from geo.store.together import campaigns, devices, meetings, projects, words
from geo.store.together.following import follow
from geo.terms import ItemState, MeetingState, ProjectAct, ProjectState, Role
from tests.conftest import MigratedDatabase

UNTIL = pd.Timestamp("2026-09-30 16:00", tz="UTC")


@dataclass(frozen=True)
class Office:
    """The small demo city, loaded with its accounts."""

    city: CityDataset
    migrated: MigratedDatabase
    city_id: int

    def viewer(self, role: Role = Role.ADMINISTRATOR) -> Viewer:
        return Viewer(role, self.city_id, 1_000_000)


@pytest.fixture(scope="module")
def office(template: str, new_database: Callable[[str], MigratedDatabase]) -> Office:
    city = demo.generate(1, "small", processes=1)
    migrated = new_database(template)
    with owner_transaction(migrated.engine) as session:
        city_id = service.load_dataset(session, city, demo=True)
        service.create_demo_accounts(session, city.slug)
    return Office(city, migrated, city_id)


@pytest.fixture
def session(office: Office) -> Iterator[Session]:
    """A session of the owner; what a test writes is taken back."""
    with Session(office.migrated.engine) as opened:
        yield opened
        opened.rollback()


@pytest.fixture
def at(office: Office, session: Session) -> Moment:
    return moment(session, office.city_id)


# ---- the rows themselves -------------------------------------------------------------------------


def test_nothing_begins_empty(office: Office) -> None:
    for name in OFFICE:
        assert len(getattr(office.city, name)) > 0, name
    city = office.city
    assert set(city.small_projects["state"]) == set(ProjectState)
    assert set(city.campaign_items["state"]) == set(ItemState)
    assert {"planned", "held"} <= set(city.meetings["state"]) <= set(MeetingState)
    assert city.meeting_topics["issue_id"].notna().any()
    assert city.meeting_topics["outcome"].notna().any()
    assert city.inspections["answer"].notna().any()
    assert city.photos["released_at"].notna().any()
    assert city.photos["released_at"].isna().any()
    lists = city.campaign_items.groupby("campaign_id")["list"].nunique()
    assert (lists == 2).all()


def test_all_words_are_those_that_the_house_keeps(office: Office) -> None:
    city = office.city
    titles = [
        (city.devices["name"], 120), (city.meetings["title"], 120), (city.meetings["place"], 120),
        (city.campaigns["name"], 120), (city.campaign_items["words"], 300),
        (city.small_projects["name"], 120), (city.shops["name"], 60),
        (city.service_points["name"], 60), (city.rating_rules["title"], 120),
        (city.accounts["display_name"], 120), (city.answer_texts["title"], 60),
    ]  # fmt: skip
    for texts, most in titles:
        for said in texts.unique():
            assert words.title(said, "words", most) == said
    plain = [
        (city.issue_words["words"], 2_000), (city.issue_words["address"], 200),
        (city.meeting_topics["words"], 1_000), (city.meeting_topics["outcome"], 1_000),
        (city.meetings["outcome"], 1_000), (city.campaigns["goal"], 1_000),
        (city.campaign_items["note"], 300), (city.small_projects["words"], 1_000),
        (city.small_projects["funding"], 100), (city.project_steps["reason"], 300),
        (city.device_alarms["words"], 200), (city.device_alarms["unit"], 20),
        (city.inspections["answer"], 500), (city.inspections["appeal"], 500),
        (city.inspections["decision"], 500), (city.rating_replies["words"], 1_000),
        (city.shops["address"], 120), (city.service_points["opening_hours"], 200),
    ]  # fmt: skip
    for texts, most in plain:
        for said in texts.dropna().unique():
            assert words.plain(said, "words", most) == said
    for body in city.answer_texts["body"]:
        answers.demand_places(words.plain(body, "body"))
    for content in city.rating_rules["content"]:
        for one in rule_of(json.loads(content)).criteria:
            assert words.title(one.title, "content", 80) == one.title


def test_no_workers_name_is_said(office: Office) -> None:
    names = [name for name in office.city.workers["name"] if len(name) > 2]
    for frame in OFFICE:
        rows = getattr(office.city, frame)
        for column, kind in OFFICE[frame].columns.items():
            if kind.kind == "text" and (frame, column) != ("photos", "content"):
                said = "\n".join(rows[column].dropna().unique())
                assert not [name for name in names if name in said], (frame, column)


def test_nothing_but_what_is_planned_lies_ahead(office: Office) -> None:
    ahead = {("meetings", "held_at"), ("campaigns", "ends_on"), ("campaign_items", "due_on"),
             ("inspections", "next_on"), ("inspections", "expires_on"),
             ("inspections", "appeal_until")}  # fmt: skip
    for frame in OFFICE:
        for column, kind in OFFICE[frame].columns.items():
            if kind.kind in ("day", "instant") and (frame, column) not in ahead:
                latest = getattr(office.city, frame)[column].max()
                latest = latest if latest.tzinfo else latest.tz_localize("Asia/Shanghai")
                assert not latest > UNTIL, (frame, column)
    held = office.city.meetings
    planned = held["state"] == "planned"
    assert (held.loc[planned, "held_at"] > UNTIL).all()
    assert (held.loc[~planned, "held_at"] < UNTIL).all()


def test_issues_that_came_of_something_say_so(office: Office) -> None:
    city = office.city
    issues = city.issues.set_index("issue_id")
    said = city.issue_words.set_index("issue_id")["words"]
    parent = city.grids.set_index("grid_id")["parent_id"]
    leaf = city.cells.set_index("cell_id")["grid_id"]
    spoken = city.meeting_topics.dropna(subset="issue_id").merge(city.meetings, on="meeting_id")
    for row in spoken.itertuples():
        issue = issues.loc[row.issue_id]
        assert (issue["channel"], said[row.issue_id]) == ("meeting", row.words)
        assert issue["reported_at"] >= row.held_at
        up = leaf[issue["cell_id"]]
        while up != row.grid_id:
            up = parent[up]
    told = city.device_alarms.dropna(subset="issue_id").merge(
        pd.DataFrame(city.devices), on="device_id"
    )
    for row in told.itertuples():
        issue = issues.loc[row.issue_id]
        assert (issue["channel"], issue["category"]) == ("device", row.category)
        assert issue["geometry"].equals(row.geometry)
        assert issue["reported_at"] <= row.at <= (issue["closed_at"] if issue["closed_at"] is
                                                  not pd.NaT else UNTIL)  # fmt: skip
    ids = [*spoken["issue_id"], *told["issue_id"].unique()]
    assert len(ids) == len(set(ids)) > 3


def test_each_step_of_a_project_was_that_accounts_to_take(office: Office) -> None:
    role = office.city.accounts.set_index("account_id")["role"]
    state = office.city.small_projects.set_index("project_id")["state"]
    for project, steps in office.city.project_steps.groupby("project_id"):
        before: list[tuple[ProjectAct, int]] = []
        now = ProjectState.PROPOSED
        assert steps["at"].is_monotonic_increasing
        for row in steps.itertuples():
            act = ProjectAct(row.act)
            if row.n > 1:
                assert act in acts_for(now, Role(role[row.actor_id]), row.actor_id, before)
                now = STEPS[act].ends
            assert row.state == now
            kept = [one for one in before if one[0] is ProjectAct.PROPOSE]
            before = [*(kept if act is ProjectAct.SEND_BACK else before), (act, row.actor_id)]
        assert state[project] == now


# ---- as the office itself reads it ---------------------------------------------------------------


def test_the_offices_own_lists_show_it(office: Office, session: Session, at: Moment) -> None:
    city, viewer = office.city, office.viewer()
    assert len(devices.listed(session, viewer)) == len(city.devices)
    assert sum(len(devices.alarms(session, viewer, one["device"]))
               for one in devices.listed(session, viewer)) == len(city.device_alarms)  # fmt: skip
    held = meetings.listed(session, viewer, at)
    assert len(held) == len(city.meetings)
    assert sum(one["issues"] for one in held) == city.meeting_topics["issue_id"].notna().sum()
    listed = campaigns.listed(session, viewer, at)
    assert {one["name"] for one in listed} == set(city.campaigns["name"])
    shown = [campaigns.show(session, viewer, at, one["campaign"]) for one in listed]
    assert sum(len(one["lines"]) for one in shown) == len(city.campaign_items)
    assert len(projects.listed(session, viewer, at)) == len(city.small_projects)
    assert len(points.listed(session, viewer, at)) == len(city.service_points)
    assert len(wording.texts(session, viewer)) == len(city.answer_texts)
    assert len(rating_rules.listed(session, at)) == 2
    assert len(firms.listed(session, viewer, at)) > len(city.compounds)
    open_shops = city.shops["closed_on"].isna()
    page = shops.listed(session, viewer, at, limit=1000)
    assert len(page.items) == open_shops.sum()
    assert len(shops.inspections(session, viewer, at)) == len(city.inspections)
    issue = int(city.photos["issue_id"].iloc[0])
    [photo, *_] = kept_photos.of_issue(session, viewer, issue)
    assert kept_photos.pixels(session, viewer, issue, photo["photo"])[:2] == b"\xff\xd8"


def test_others_go_on_where_these_stopped(office: Office, session: Session, at: Moment) -> None:
    user = "SELECT user_id FROM user_account WHERE login = :login"
    ids = {login: session.scalar(text(user), {"login": login})
           for login in ("administrator", "leader")}  # fmt: skip
    by = {name: Viewer(Role(name), office.city_id, int(found or 0)) for name, found in ids.items()}
    rows = {one["state"]: one for one in projects.listed(session, by["administrator"], at)}
    proposed, agreed = rows["proposed"], rows["agreed"]
    state, version = projects.act(session, by["administrator"], proposed["project"],
                                  proposed["version"], ProjectAct.AGREE)  # fmt: skip
    assert (state, version) == (ProjectState.AGREED, proposed["version"] + 1)
    state, _ = projects.act(session, by["leader"], agreed["project"], agreed["version"],
                            ProjectAct.APPROVE, amount=Decimal(1000))  # fmt: skip
    assert state is ProjectState.APPROVED
    plan = meetings.Plan(
        meetings.MeetingKind.TALK, "说事会", "议事厅", datetime(2026, 11, 2, 6, tzinfo=UTC), 1
    )
    made = meetings.create(session, by["administrator"], at, plan)
    assert made not in set(office.city.meetings["meeting_id"])


def test_ratings_are_what_the_office_reckons(office: Office, session: Session, at: Moment) -> None:
    rows = session.execute(text("SELECT * FROM firm_rating WHERE city_id = :city ORDER BY 2"),
                           {"city": office.city_id}).all()  # fmt: skip
    states = [row.state for row in rows]
    assert states.count("appealed") == states.count("decided") == 1
    assert len({row.grade for row in rows}) > 1
    criteria = set()
    for row in rows:
        period = firms.Period(row.rule_id, row.compound_id, row.since, row.until)
        found = firms.reckon(session, office.viewer(), at, period)
        more = 2 if row.state == "decided" else 0
        assert (found.firm, found.points + more, found.managed_days, found.cost) == (
            row.organisation_id, row.points, row.managed_days, row.deducted,
        )  # fmt: skip
        own = firms.main_grid(session, office.viewer(), at, row.compound_id)
        assert (row.grid_id, row.area_2) == (own["grid_id"], own["area_2"])
        shown = firms.show(session, office.viewer(), at, row.rating_id)
        assert [(one["criterion"], one["happened_on"]) for one in shown["facts"]] == [
            (one["criterion"], one["happened_on"]) for one in found.facts
        ]
        assert shown["steps"][0]["act"] == "tell"
        assert row.version == len(shown["steps"]) - 1
        criteria |= {one["criterion"] for one in found.facts}
    assert {"service", "stairways", "overdue", "lifts"} <= criteria


def test_rows_lie_where_the_net_says_and_follow_another(
    office: Office, session: Session, at: Moment
) -> None:
    assert follow(session, office.city_id, at.seq) == 0
    asked = {"city": office.city_id}
    shop = session.execute(
        text("SELECT s.shop_id, s.grid_id, c.cell_id FROM shop AS s"
             " JOIN cell AS c ON c.city_id = s.city_id AND ST_Intersects(c.geom, s.geom)"
             " WHERE s.city_id = :city ORDER BY 1 LIMIT 1"), asked,
    ).one()  # fmt: skip
    other = session.scalar(
        text("SELECT grid_id FROM net_cell WHERE city_id = :city AND grid_id <> :own LIMIT 1"),
        {**asked, "own": shop.grid_id},
    )
    session.execute(
        text("UPDATE net_cell SET grid_id = :other WHERE city_id = :city AND cell_id = :cell"),
        {**asked, "other": other, "cell": shop.cell_id},
    )
    assert follow(session, office.city_id, at.seq) > 0
    moved = text(
        "SELECT grid_id FROM shop WHERE city_id = :city AND shop_id = :shop UNION"
        " SELECT grid_id FROM inspection WHERE city_id = :city AND shop_id = :shop"
    )
    assert set(session.scalars(moved, {**asked, "shop": shop.shop_id})) == {other}


def test_doctor_and_validator_accept_it(office: Office, session: Session, tmp_path: Path) -> None:
    migrated = office.migrated
    place = Installation(
        engine=migrated.engine, app_url=migrated.app_url, pool_size=8, backups=tmp_path,
        data_dir=tmp_path, assets=tmp_path, tls=tmp_path,
    )  # fmt: skip
    for name in ("log", "derived figures", "jobs", "messages", "time zones"):
        found = list(doctor.LOOKS[name](place, session))
        assert [check for check in found if check.state is not State.GOOD] == []
    report = service.check_city(session, office.city.slug)
    assert (report["ok"], report["faults"]) == (True, [])


def test_those_who_signed_are_shut(office: Office, session: Session) -> None:
    rows = session.execute(
        text("SELECT login, disabled_at, demo FROM user_account WHERE city_id = :city"),
        {"city": office.city_id},
    ).all()
    shut = {row.login for row in rows if row.disabled_at is not None}
    assert shut == set(office.city.accounts["login"])
    assert not any(row.demo for row in rows if row.login in shut)
    assert "firm" in {row.login for row in rows if row.demo}


# ---- the days ------------------------------------------------------------------------------------


def _open(city: CityDataset, until: pd.Timestamp) -> pd.DataFrame:
    rows = pd.DataFrame(city.issues.drop(columns="geometry")).merge(city.issue_lives, on="issue_id")
    rows = rows.loc[~rows["state"].isin(["closed", "void"]) & rows["set_aside"].isna()]
    return rows.assign(age=(until - rows["reported_at"]) / pd.Timedelta(1, "D"))


@pytest.mark.parametrize("day", [date(2028, 2, 29)])
def test_a_city_of_another_day_is_as_much_alive(day: date) -> None:
    """Its net and figures are at most two years old, its last request is of the day before."""
    city = demo.generate(1, "small", issues=1_500, until=day, processes=1)
    city.check()
    end = pd.Timestamp(day, tz="Asia/Shanghai")
    assert len(city.issues) == 1_500
    last = city.issues["reported_at"].max()
    assert end - pd.Timedelta(1, "D") < last < end
    assert end - pd.Timedelta(366, "D") < city.issues["reported_at"].min()
    assert pd.Timedelta(270, "D") < end.tz_localize(None) - pd.Timestamp(city.effective_from)
    assert city.base_vintage == str(city.effective_from.year) == str(day.year - 1)
    assert set(city.posts["valid_from"] <= end.tz_localize(None)) == {True}
    assert set(np.unique(_open(city, end)["state"])) <= set(city.issues["state"])
    assert (city.meetings["held_at"] > end).any()


def test_what_is_open_came_in_lately_or_waits_for_a_reason(office: Office) -> None:
    still = _open(office.city, UNTIL)
    old = still["age"] > LATE_DAYS
    assert (~old).mean() > 0.85
    assert set(still.loc[old, "state"]) <= set(OLD_STATES)
    late = (UNTIL - still["due_at"]) / pd.Timedelta(1, "D")
    assert late.max() < 35
    assert 0.03 < (late > 0).mean() < 0.45
