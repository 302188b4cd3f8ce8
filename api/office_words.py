"""Why something cannot be taken, in sentences of the office: what, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from api.errors import KINDS
from api.i18n import marked
from geo import errors

REASONS: Mapping[str, str] = {
    "empty": marked("Nothing stands here; fill it in."),
    "too_long": marked("This is too long; at most %(most)s characters in one line."),
    "no_grid": marked(
        "Your area has no grid “%(value)s” today. Copy the code from the table of grids."
    ),
    "rule_taken": marked("Another rule has the place %(value)s. Choose one that is free."),
    "several_grids": marked("Several grids are called “%(value)s”. Give the code instead."),
    "no_worker": marked(
        "Nobody in your area is “%(value)s”. Choose from the list, or enter the worker first."
    ),
    "several_workers": marked("Several workers are called “%(value)s”. Give the number instead."),
    "no_role": marked("There is no role “%(value)s”. Choose one from the list."),
    "no_date": marked("“%(value)s” is no date. Write it as 2026-03-01."),
    "no_truth": marked("“%(value)s” is neither yes nor no."),
    "dates": marked("The end comes before the beginning. Correct one of the two."),
    "not_on_day": marked("The post does not exist on %(value)s. Choose a day within its dates."),
    "held_already": marked(
        "This worker holds the post already (post %(value)s). End that one first."
    ),
    "stands_in_already": marked("A stand-in cannot have a stand-in. Choose the post itself."),
    "no_post": marked("Your area has no post “%(value)s”. Export the roster again."),
    "twice": marked("Post %(value)s stands in two rows. Keep one of them."),
    "other_grid": marked("Post %(value)s lies in another grid. End it and open a new one there."),
    "other_role": marked("Post %(value)s has another role. End it and open a new one."),
    "other_name": marked("The number belongs to somebody not called “%(value)s”. Check both."),
    "no_workbook": marked("This is no readable workbook. Save it as XLSX and choose it again."),
    "has_macros": marked("Workbooks with macros are not taken. Save it as XLSX without them."),
    "too_large": marked("The file is too large. Divide it into several."),
    "too_many_rows": marked("The file has too many rows. Divide it into several."),
    "no_file": marked("Choose a file first."),
    "missing_columns": marked(
        "The table lacks these columns: %(value)s. Export the roster and fill in that table."
    ),
    "no_kind": marked("Choose what the notice is about."),
    "zooms": marked("Zooms are whole numbers from 0 to %(most)s, the first not above the last."),
    "no_organisation": marked("The city has no organisation %(value)s. Choose one from the list."),
    "lead": marked("Choose who leads before who assists."),
    "no_choice": marked("Choose one from the list."),
    "before_rule": marked("The rule counts from a later day; nothing before it is rated."),
    "end_published": marked("An end of this rule was published before."),
    "after_rule": marked("The rule had ended on the last day of the period."),
    "period": marked("The period ends before it begins."),
    "not_over": marked("The period is not over yet."),
    "rated_already": marked("This period is rated already by this rule."),
    "same_person": marked("Who made or entered it does not decide on it."),
    "over": marked("The time for that is over."),
    "appealed": marked("An appeal is possible once, within 30 days."),
    "no_appeal": marked("No appeal is open."),
    "points": marked("A decision never leaves fewer points than before."),
    "published_first": marked("A rule begins after the day on which it is published."),
    "content": marked("The rule is not written as it should be. Begin with the example."),
    "criteria": marked("A rule has 1 to 40 criteria, each with a code of its own."),
    "grades": marked("Grades fall from the best to one that begins at 0 points."),
    "rule_days": marked(
        "At least 5 days for the answer, as many or more for the appeal; figures expire after a"
        " year at most."
    ),
    "criterion_code": marked("A criterion's code has letters, digits and _."),
    "criterion_title": marked("A criterion has a title of one line."),
    "criterion_points": marked("Points of one fact are not more than those of all, 100 at most."),
    "firm_persons": marked("Firms are rated by facts of places, never by persons."),
    "source": marked("A criterion counts issues, or inspections with their results."),
    "braces": marked("A brace is open. A place is written {category} or {a word of your own}."),
    "times": marked("A stretch of the day has both ends, as 22:00 and 06:00."),
    "personal": marked(
        "Telephone numbers, mail addresses and numbers of identity papers are not kept here."
        " Take them out."
    ),
    "closed": marked("The campaign is closed. Open it again first."),
    "no_problem": marked("A measure is against a problem of the same campaign."),
    "is_off": marked("The meeting is off. Say that it takes place first."),
    "to_come": marked("It cannot have been held before its day. Change the day first."),
    "grid_ended": marked("The net has no such grid any more. Say the place."),
    "put_off": marked("Say why it is put off."),
    "outside_campaign": marked("This grid lies outside the campaign's territory."),
    "sent_already": marked("This form was sent before with other words. Load the page again."),
    "no_table": marked("This is no readable table. Save it as XLSX or CSV and choose it again."),
    "no_list": marked(
        "Which list is it for? Call the sheet “Problems” or “Measures”, or fill in the column"
        " “list”."
    ),
    "no_line": marked(
        "The list has no line %(value)s. Leave the number empty to put a new line on it."
    ),
    "line_grid": marked("A line stays in its grid. Drop it and put a new one on the list."),
    "no_body": marked("The city has no body called “%(value)s”. Write its name in full."),
    "several_organisations": marked("Several bodies are called “%(value)s”. Rename one first."),
    "issue_already": marked("The topic is an issue already."),
    "state": marked("It has another state by now. Load the page again."),
    "elsewhere": marked("This place lies outside your area."),
    "full": marked("The list is full."),
    "no_category": marked("There is no such kind. Choose one from the list."),
    "no_step": marked("There is no such step. Choose one from the list."),
    "no_unit": marked("Choose a unit from the list."),
    "range": marked("This number is too small or too large."),
    "no_kind_code": marked("A code has small letters, digits and _, such as day_care."),
    "no_category_code": marked("A code is a capital letter and digits, such as A0105."),
    "about_persons": marked("Categories are of things and places; “%(value)s” is about persons."),
    "no_parent": marked("There is no category “%(value)s” to put it under."),
    "code_taken": marked("This code is taken. Choose another."),
    "login_taken": marked("The account name “%(value)s” is taken. Choose another."),
    "slug_taken": marked("A city “%(value)s” exists already. Choose another short name."),
    "no_areas": marked("This role acts in the whole city or for its department, not in grids."),
    "by_posts": marked("This account acts where its worker's posts are. Change the posts."),
    "own_account": marked("Nobody shuts the own account. Another administrator can."),
    "no_phone": marked("Only an open account of a worker gets a phone."),
    "no_demo": marked("That is no demo city; only those are dropped here."),
    "no_number": marked("“%(value)s” is no number."),
    "no_slug": marked("A short name has a-z, 0-9 and -, such as longkou."),
    "no_zone": marked("There is no time zone “%(value)s”. Write it as Asia/Shanghai."),
    "no_place": marked("That is no place on the globe: longitude -180 to 180, latitude -90 to 90."),
    "no_metre_crs": marked(
        "No system of coordinates in metres is known for this place. Check longitude and latitude."
    ),
    "no_metres": marked("EPSG:%(value)s is no system in metres that holds this place."),
    "no_county": marked("The code has 1 to 12 letters and digits, such as 370681."),
    "no_preset": marked("Choose one of the presets."),
    "levels": marked("Choose at least two levels, from the top."),
    "wrong_code": marked(
        "The setup code is another one. It stands on the server's terminal; type it once more."
    ),
    "login": marked("An account name has letters, digits and . _ @ + -, up to 64 of them."),
    "password": marked(
        "A password has 10 to 256 characters, and is not the account name with a few more."
    ),
    "grids": marked("This role needs the code of at least one grid."),
    "organisation": marked("A department needs its organisation."),
    "worker": marked("Nobody in your area is “%(value)s”. Choose from the list."),
}
"""Reason of an error, or else the field that it names -> what is told."""


def sentence(word: Callable[[str], str], reason: str, value: object = "", most: object = "") -> str:
    """Return why something cannot be taken, in the reader's language."""
    message = REASONS.get(reason, KINDS[errors.InvalidInputError].title)
    return word(message) % {"value": value, "most": most} if "%(" in message else word(message)


def told(word: Callable[[str], str], error: errors.WanggeError) -> str:
    """Return an error of the office as a sentence in the reader's language."""
    data = error.data
    reason = str(data.get("reason") or data.get("field") or "")
    if reason in REASONS:
        return sentence(word, reason, data.get("value", ""), data.get("most", ""))
    kind = next((KINDS[base] for base in type(error).__mro__ if base in KINDS), None)
    if kind is None:
        return error.message
    return f"{word(kind.title)} {word(kind.advice)}"
