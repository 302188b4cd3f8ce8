"""The frames of what an office does beside issues: meetings, campaigns, things, firms, shops.

Moments and days are those of the facts. What an account signed names a row of `accounts`.
"""

from __future__ import annotations

from typing import Final

from geo.frame_shapes import GEOMETRY, MOMENT, Column, FrameShape, a_text, an_id
from geo.terms import (
    CampaignState,
    DeviceKind,
    InspectionKind,
    InspectionResult,
    IssueAct,
    ItemList,
    ItemState,
    MeetingKind,
    MeetingState,
    ProjectAct,
    ProjectState,
    RatingAct,
    Role,
    ShopKind,
)

_POINT: Final = ("Point",)
_AT: Final = Column("instant")
_DAY: Final = Column("day")
_PERHAPS_DAY: Final = Column("day", nullable=True)
_COUNT: Final = Column("integer", minimum=0)
_N: Final = Column("integer", minimum=1)
_WORDS: Final = a_text(nullable=True)

OFFICE: Final[dict[str, FrameShape]] = {
    "accounts": FrameShape(
        ("account_id",),
        {
            "account_id": an_id(),
            "login": a_text(),
            "display_name": a_text(),
            "role": a_text(allowed=tuple(Role)),
            "grid_id": an_id("grids", nullable=True),
            "organisation_id": an_id("organisations", nullable=True),
        },
        unique=(("login",),),
    ),
    "issue_words": FrameShape(
        ("issue_id",),
        {
            "issue_id": an_id("issues"),
            "code": _WORDS,
            "words": _WORDS,
            "address": _WORDS,
        },
    ),
    "issue_helpers": FrameShape(
        ("issue_id",),
        {"issue_id": an_id("issues"), "organisation_id": an_id("organisations")},
    ),
    "photos": FrameShape(
        ("photo_id",),
        {
            "photo_id": an_id(),
            "issue_id": an_id("issues"),
            "name": a_text(),
            "content": a_text(),
            "added_at": _AT,
            "released_at": MOMENT,
            "released_by": an_id("accounts", nullable=True),
        },
        unique=(("issue_id", "name"),),
    ),
    "devices": FrameShape(
        ("device_id",),
        {
            "device_id": an_id(),
            "code": a_text(),
            "name": a_text(),
            "kind": a_text(allowed=tuple(DeviceKind)),
            "category": a_text(refers_to="categories"),
            "cell_id": an_id("cells"),
            "enabled": Column("flag"),
            "created_at": _AT,
            "geometry": GEOMETRY,
        },
        _POINT,
        unique=(("code",),),
    ),
    "device_alarms": FrameShape(
        ("device_id", "alarm"),
        {
            "device_id": an_id("devices"),
            "alarm": a_text(),
            "at": _AT,
            "value": Column("number", nullable=True),
            "unit": _WORDS,
            "words": _WORDS,
            "issue_id": an_id("issues", nullable=True),
        },
    ),
    "meetings": FrameShape(
        ("meeting_id",),
        {
            "meeting_id": an_id(),
            "kind": a_text(allowed=tuple(MeetingKind)),
            "title": a_text(),
            "place": a_text(),
            "held_at": _AT,
            "grid_id": an_id("grids"),
            "state": a_text(allowed=tuple(MeetingState)),
            "outcome": _WORDS,
            "created_by": an_id("accounts", nullable=True),
            "created_at": _AT,
            "version": _COUNT,
        },
    ),
    "meeting_topics": FrameShape(
        ("meeting_id", "n"),
        {
            "meeting_id": an_id("meetings"),
            "n": _N,
            "words": a_text(),
            "outcome": _WORDS,
            "issue_id": an_id("issues", nullable=True),
            "created_at": _AT,
        },
    ),
    "campaigns": FrameShape(
        ("campaign_id",),
        {
            "campaign_id": an_id(),
            "name": a_text(),
            "goal": a_text(),
            "grid_id": an_id("grids", nullable=True),
            "organisation_id": an_id("organisations", nullable=True),
            "starts_on": _DAY,
            "ends_on": _PERHAPS_DAY,
            "state": a_text(allowed=tuple(CampaignState)),
            "created_by": an_id("accounts", nullable=True),
            "created_at": _AT,
            "version": _COUNT,
        },
    ),
    "campaign_items": FrameShape(
        ("campaign_id", "n"),
        {
            "campaign_id": an_id("campaigns"),
            "n": _N,
            "list": a_text(allowed=tuple(ItemList)),
            "words": a_text(),
            "organisation_id": an_id("organisations", nullable=True),
            "grid_id": an_id("grids", nullable=True),
            "of_n": Column("integer", nullable=True, minimum=1),
            "issue_id": an_id("issues", nullable=True),
            "due_on": _PERHAPS_DAY,
            "state": a_text(allowed=tuple(ItemState)),
            "note": _WORDS,
            "created_at": _AT,
            "done_at": MOMENT,
            "done_by": an_id("accounts", nullable=True),
            "version": _COUNT,
        },
    ),
    "small_projects": FrameShape(
        ("project_id",),
        {
            "project_id": an_id(),
            "campaign_id": an_id("campaigns", nullable=True),
            "name": a_text(),
            "words": a_text(),
            "organisation_id": an_id("organisations", nullable=True),
            "cell_id": an_id("cells"),
            "budget": Column("number", minimum=0),
            "funding": _WORDS,
            "spent": Column("number", nullable=True, minimum=0),
            "state": a_text(allowed=tuple(ProjectState)),
            "created_by": an_id("accounts", nullable=True),
            "created_at": _AT,
            "version": _COUNT,
            "geometry": GEOMETRY,
        },
        _POINT,
    ),
    "project_steps": FrameShape(
        ("project_id", "n"),
        {
            "project_id": an_id("small_projects"),
            "n": _N,
            "at": _AT,
            "act": a_text(allowed=tuple(ProjectAct)),
            "state": a_text(allowed=tuple(ProjectState)),
            "actor_id": an_id("accounts"),
            "reason": _WORDS,
            "budget": Column("number", minimum=0),
        },
    ),
    "shops": FrameShape(
        ("shop_id",),
        {
            "shop_id": an_id(),
            "code": a_text(),
            "name": a_text(),
            "kind": a_text(allowed=tuple(ShopKind)),
            "address": _WORDS,
            "cell_id": an_id("cells"),
            "closed_on": _PERHAPS_DAY,
            "created_at": _AT,
            "geometry": GEOMETRY,
        },
        _POINT,
        unique=(("code",),),
    ),
    "inspections": FrameShape(
        ("inspection_id",),
        {
            "inspection_id": an_id(),
            "shop_id": an_id("shops", nullable=True),
            "compound_id": an_id("compounds", nullable=True),
            "organisation_id": an_id("organisations", nullable=True),
            "kind": a_text(allowed=tuple(InspectionKind)),
            "held_on": _DAY,
            "result": a_text(allowed=tuple(InspectionResult)),
            "next_on": _PERHAPS_DAY,
            "expires_on": _DAY,
            "appeal_until": _DAY,
            "answer": _WORDS,
            "appealed_on": _PERHAPS_DAY,
            "appeal": _WORDS,
            "decided_on": _PERHAPS_DAY,
            "decision": _WORDS,
            "withdrawn_at": MOMENT,
            "entered_by": an_id("accounts", nullable=True),
            "entered_at": _AT,
        },
    ),
    "rating_rules": FrameShape(
        ("rule_id",),
        {
            "rule_id": an_id(),
            "title": a_text(),
            "published_on": _DAY,
            "begins_on": _DAY,
            "ends_on": _PERHAPS_DAY,
            "content": a_text(),
            "created_at": _AT,
        },
    ),
    "rating_rounds": FrameShape(
        ("round_id",),
        {
            "round_id": an_id(),
            "rule_id": an_id("rating_rules"),
            "since": _DAY,
            "until": _DAY,
            "told_on": _DAY,
            "made_by": an_id("accounts"),
        },
    ),
    "rating_replies": FrameShape(
        ("round_id", "rank", "n"),
        {
            "round_id": an_id("rating_rounds"),
            "rank": _N,
            "n": _N,
            "act": a_text(allowed=tuple(RatingAct)),
            "at": _AT,
            "words": a_text(),
            "actor_id": an_id("accounts"),
            "more_points": _COUNT,
        },
    ),
    "service_points": FrameShape(
        ("point_id",),
        {
            "point_id": an_id(),
            "name": a_text(),
            "address": _WORDS,
            "opening_hours": _WORDS,
            "offers": a_text(),
            "organisation_id": an_id("organisations", nullable=True),
            "cell_id": an_id("cells"),
            "closed_on": _PERHAPS_DAY,
            "created_at": _AT,
            "geometry": GEOMETRY,
        },
        _POINT,
    ),
    "service_months": FrameShape(
        ("point_id", "month"),
        {
            "point_id": an_id("service_points"),
            "month": _DAY,
            "helped": _COUNT,
            "helpers": _COUNT,
            "hours": _COUNT,
        },
    ),
    "answer_texts": FrameShape(
        ("title",),
        {
            "title": a_text(),
            "category": a_text(nullable=True, refers_to="categories"),
            "act": a_text(nullable=True, allowed=tuple(IssueAct)),
            "body": a_text(),
            "changed_at": _AT,
        },
    ),
}
"""Frames in an order in which every reference points back; a city may leave any of them out.

A point's `offers` and a rule's `content` are JSON; a photo's `content` is a picture in base64,
written anew when it is loaded, as every photo is. A round rates every compound that a firm managed
on its last day, by the facts that are loaded; replies are about the one of so many points: `rank` 1
has the fewest.
"""
