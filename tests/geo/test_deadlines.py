"""Limits by a calendar with make-up days: against counting minutes one by one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from geo.deadlines import Calendar, Limit, deadline, deadlines, going_on, left, nearest
from geo.profiles import load_profile
from geo.rates import Rate, defects, reckon
from geo.terms import LimitUnit

SHANGHAI = ZoneInfo("Asia/Shanghai")
OFFICE = Calendar("Asia/Shanghai", "cn", ((time(8, 30), time(12)), (time(13, 30), time(17, 30))))
NEW_YORK = Calendar("America/New_York", "week", ((time(9), time(17)),))


def by_minutes(begins: datetime, minutes: int, calendar: Calendar) -> datetime:
    """Return when so many working minutes are over, one minute after the other."""
    zone = ZoneInfo(calendar.zone)
    at = begins
    while minutes:
        local = at.astimezone(zone)
        if calendar.works(local.date()) and any(a <= local.time() < b for a, b in calendar.spans):
            minutes -= 1
        at += timedelta(minutes=1)
    return at


@pytest.mark.parametrize("calendar", [OFFICE, NEW_YORK])
@pytest.mark.parametrize("turn", range(12))
def test_working_time_is_counted_minute_by_minute(calendar: Calendar, turn: int) -> None:
    rng = np.random.default_rng(turn)
    first = datetime(2026, 1, 20, tzinfo=UTC) + timedelta(days=int(rng.integers(0, 60)))
    begins = first + timedelta(minutes=int(rng.integers(0, 1440)))
    hours = int(rng.integers(1, 40))
    found = deadline(begins, Limit(hours, LimitUnit.WORKING_HOURS), calendar)
    assert found == by_minutes(begins, hours * 60, calendar)
    days = int(rng.integers(1, 6))
    found = deadline(begins, Limit(days, LimitUnit.WORKING_DAYS), calendar)
    assert found == by_minutes(begins, int(days * calendar.day_s / 60), calendar)


def test_clock_hours_run_through_the_night() -> None:
    begins = datetime(2026, 2, 14, 23, 30, tzinfo=SHANGHAI)
    found = deadline(begins, Limit(2, LimitUnit.CLOCK_HOURS), OFFICE)
    assert found == datetime(2026, 2, 15, 1, 30, tzinfo=SHANGHAI)


def test_make_up_days_holidays_and_the_citys_own() -> None:
    assert OFFICE.works(date(2026, 2, 14))  # a Saturday, made up for the Spring Festival
    assert not OFFICE.works(date(2026, 2, 17))  # a Tuesday, New Year's day
    assert not OFFICE.works(date(2026, 2, 21))  # a Saturday
    assert OFFICE.works(date(2031, 3, 3)), "years that are not published go by the week"
    assert not OFFICE.works(date(2031, 3, 1))
    own = Calendar("Asia/Shanghai", "cn", exceptions=((date(2026, 2, 14), False),))
    assert not own.works(date(2026, 2, 14))
    begins = datetime(2026, 2, 13, 16, 30, tzinfo=SHANGHAI)
    made_up = deadline(begins, Limit(1, LimitUnit.WORKING_DAYS), OFFICE)
    assert made_up == datetime(2026, 2, 14, 16, 30, tzinfo=SHANGHAI)


def test_a_stopped_clock_goes_on_where_it_stood() -> None:
    begins = datetime(2026, 3, 2, 9, 0, tzinfo=SHANGHAI)
    ends = deadline(begins, Limit(2, LimitUnit.WORKING_DAYS), OFFICE)
    stopped = datetime(2026, 3, 2, 11, 0, tzinfo=SHANGHAI)
    remaining = left(stopped, ends, LimitUnit.WORKING_DAYS, OFFICE)
    assert remaining == 2 * OFFICE.day_s - 2 * 3600
    assert going_on(stopped, remaining, LimitUnit.WORKING_DAYS, OFFICE) == ends
    weekend = datetime(2026, 3, 7, 3, 0, tzinfo=SHANGHAI)
    later = going_on(weekend, remaining, LimitUnit.WORKING_DAYS, OFFICE)
    assert later == by_minutes(weekend, int(remaining / 60), OFFICE)
    assert left(ends + timedelta(hours=1), ends, LimitUnit.CLOCK_HOURS, OFFICE) == -3600
    assert going_on(weekend, -5.0, LimitUnit.CLOCK_HOURS, OFFICE) == weekend


def test_a_clock_of_hours_goes_on_through_the_night() -> None:
    stopped = datetime(2026, 3, 6, 22, 0, tzinfo=SHANGHAI)
    later = going_on(stopped, 3 * 3600.0, LimitUnit.CLOCK_HOURS, OFFICE)
    assert later == datetime(2026, 3, 7, 1, 0, tzinfo=SHANGHAI)
    assert going_on(stopped, 0.0, LimitUnit.WORKING_HOURS, OFFICE) == stopped


@pytest.mark.parametrize("hours", [1, 8, 30])
def test_limits_over_the_turn_of_the_year(hours: int) -> None:
    """The first moment of a year lies before all its working hours, as the last lies behind."""
    for begins in (datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, 23, 59, tzinfo=UTC)):
        found = deadline(begins, Limit(hours, LimitUnit.WORKING_HOURS), OFFICE)
        assert found == by_minutes(begins, hours * 60, OFFICE)
        assert left(begins, found, LimitUnit.WORKING_HOURS, OFFICE) == hours * 3600


def test_a_long_limit_ends_years_later() -> None:
    begins = datetime(2026, 1, 5, 9, 0, tzinfo=ZoneInfo("America/New_York"))
    found = deadline(begins, Limit(260 * 8, LimitUnit.WORKING_DAYS), NEW_YORK)
    assert found.year == 2033
    assert left(begins, found, LimitUnit.WORKING_DAYS, NEW_YORK) == 260 * 8 * NEW_YORK.day_s


def test_working_hours_may_begin_at_any_second() -> None:
    odd = Calendar("Asia/Shanghai", "week", ((time(9, 0, 30), time(10, 0)),))
    assert odd.day_s == 3570
    begins = datetime(2026, 3, 2, 9, 30, tzinfo=SHANGHAI)
    found = deadline(begins, Limit(1, LimitUnit.WORKING_DAYS), odd)
    assert found == begins + timedelta(days=1)


def test_many_deadlines_at_once_are_those_of_each() -> None:
    rng = np.random.default_rng(4)
    moments = 1_767_000_000 + rng.integers(0, 300 * 86_400, 200).astype(float)
    amounts = rng.integers(1, 6, 200).astype(float)
    for unit in LimitUnit:
        found = deadlines(moments, amounts, unit, OFFICE)
        alone = [
            deadline(datetime.fromtimestamp(at, UTC), Limit(amount, unit), OFFICE).timestamp()
            for at, amount in zip(moments, amounts, strict=True)
        ]
        np.testing.assert_allclose(found, alone)
        assert (found > moments).all()


def test_the_limit_nearest_to_a_category() -> None:
    rules = {
        ("", "handle"): Limit(3, LimitUnit.WORKING_DAYS),
        ("E01", "handle"): Limit(4, LimitUnit.WORKING_HOURS),
        ("E0102", "handle"): Limit(2, LimitUnit.CLOCK_HOURS),
    }
    assert nearest(rules, ("E0102", "E01"), "handle") == Limit(2, LimitUnit.CLOCK_HOURS)
    assert nearest(rules, ("E0101", "E01"), "handle") == Limit(4, LimitUnit.WORKING_HOURS)
    assert nearest(rules, ("C01",), "handle") == Limit(3, LimitUnit.WORKING_DAYS)
    assert nearest(rules, ("C01",), "stop") is None


def test_rates_of_tianmen_in_december_2016() -> None:
    formulas = {one.code: one for one in load_profile("cn").rates}
    counts = {"should_close": 972, "closed": 911, "closed_on_time": 737}
    found = reckon([formulas["closure"], formulas["on_time_closure"]], counts)
    assert [f"{one.share:.2%}" for one in found] == ["93.72%", "75.82%"]
    assert [one.name for one in found] == ["结案率", "按期结案率"]


def test_all_rates_of_the_field_are_there_and_count_what_is_counted() -> None:
    names = {one.name.zh for one in load_profile("cn").rates}
    assert names == {
        "处置率", "按期处置率", "结案率", "按期结案率", "返工率", "超期未处置率", "延期率",
        "按期立案率", "准确派遣率", "有效上报率", "响应率", "解决率", "满意率",
    }  # fmt: skip
    odd = Rate("x", load_profile("cn").rates[0].name, "nothing", "reported")
    assert defects([odd]) == ["rate 'x': there is no count 'nothing'"]
    empty = reckon([load_profile("cn").rates[0]], {"handled": 0, "should_handle": 0})[0]
    assert empty.share is None


def test_the_calendar_of_a_profile() -> None:
    found = load_profile("cn").calendar("Asia/Shanghai", [(date(2026, 5, 8), False)])
    assert found.country == "cn"
    assert found.day_s == 7.5 * 3600
    assert not found.works(date(2026, 5, 8))
    assert load_profile("intl").calendar("UTC").country == "week"
