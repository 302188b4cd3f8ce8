"""The field's words as constants: kinds, roles, states; the only room without imports of ours."""

from __future__ import annotations

from enum import StrEnum

FOREVER = 2_147_483_647
"""`to_seq` of a run that is still open: the greatest PostgreSQL integer."""

MAX_LEVELS = 6
JOINING_BORDER_M = 0.1
"""Two cells are neighbours when their shared border is at least this long, in metres."""


class Role(StrEnum):
    """Who somebody is for the program."""

    PLANNER = "planner"
    WORKER = "worker"
    COMMUNITY = "community"
    DEPARTMENT = "department"
    LEADER = "leader"
    ADMINISTRATOR = "administrator"
    PUBLIC = "public"


STAFF = frozenset(Role) - {Role.PUBLIC}
CITY_WIDE = frozenset({Role.PLANNER, Role.LEADER, Role.ADMINISTRATOR})
"""Roles that read the whole city; the others read their areas or their organisation's cases."""


class GridKind(StrEnum):
    """What a grid is for."""

    BASIC = "basic"
    DEDICATED = "dedicated"
    RESERVE = "reserve"


class PlanState(StrEnum):
    """Where a plan stands on its way to a net."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class StationStage(StrEnum):
    """Life of a service station."""

    PLANNED = "planned"
    BUILDING = "building"
    OPEN = "open"
    CLOSED = "closed"


class SetAside(StrEnum):
    """Why an issue is kept out of maps and rates, never deleted."""

    DEFAULT_GEOCODE = "default_geocode"
    DUPLICATE = "duplicate"
    IMPOSSIBLE_TIME = "impossible_time"


class IssueState(StrEnum):
    """Where an issue stands."""

    REPORTED = "reported"
    ACCEPTED = "accepted"
    VERIFIED = "verified"
    REGISTERED = "registered"
    DISPATCHED = "dispatched"
    HANDLED = "handled"
    CHECKED = "checked"
    CLOSED = "closed"
    RETURNED = "returned"
    REWORKED = "reworked"
    POSTPONED = "postponed"
    SUSPENDED = "suspended"
    VOID = "void"
    PARKED = "parked"


class IssueAct(StrEnum):
    """What is done to an issue; each is a line of its history."""

    REPORT = "report"
    ACCEPT = "accept"
    VERIFY = "verify"
    REGISTER = "register"
    DISPATCH = "dispatch"
    JOIN = "joint_dispatch"
    HANDLE = "handle"
    CHECK = "check"
    CLOSE = "close"
    RETURN = "return"
    REWORK = "rework"
    POSTPONE = "postpone"
    SUSPEND = "suspend"
    RESUME = "resume"
    PARK = "park"
    TAKE_UP = "take_up"
    VOID = "void"
    SOLVE = "solve_on_the_spot"
    REOPEN = "reopen"
    ESCALATE = "escalate"
    SUPERVISE = "supervise"
    RELEASE = "end_supervision"
    NOTE = "note"
    RECLASSIFY = "reclassify"
    MERGE = "merge"
    SPLIT = "split"
    SET_ASIDE = "set_aside"
    PUT_BACK = "put_back"
    ANSWER = "answer"
    WARN = "warn"
    HAND_OVER = "hand_over"


class Relation(StrEnum):
    """What somebody is to one issue."""

    REPORTER = "reporter"
    WORKER = "worker"
    HOLDER = "holder"
    COMMUNITY = "community"
    SUBDISTRICT = "subdistrict"
    LEAD = "lead"
    ASSISTING = "assisting"
    LEADER = "leader"
    ADMINISTRATOR = "administrator"
    SYSTEM = "system"


class Shown(StrEnum):
    """Where the place of an issue may be shown to everybody."""

    EXACT = "exact"
    COMPOUND = "compound"
    NEVER = "never"


class LimitUnit(StrEnum):
    """In what a limit is measured."""

    CLOCK_HOURS = "clock_hours"
    WORKING_HOURS = "working_hours"
    WORKING_DAYS = "working_days"


class MessageKind(StrEnum):
    """How a message leaves the house."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    FILE = "file"


class MessageState(StrEnum):
    """Where a message stands on its way out."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class NoticeKind(StrEnum):
    """What a notice at the doors is about."""

    WATER = "water"
    POWER = "power"
    HEATING = "heating"
    WORKS = "works"
    OTHER = "other"


class BarrierKind(StrEnum):
    """What cuts neighbourhood without cutting ground."""

    RIVER = "river"
    RAILWAY = "railway"
    WALL = "wall"
    WATER = "water"


class CompoundRole(StrEnum):
    """What a body is to a compound."""

    FIRM = "firm"
    COMMITTEE = "committee"


class StreetKind(StrEnum):
    """Rank of a street."""

    ARTERIAL = "arterial"
    COLLECTOR = "collector"
    LOCAL = "local"
    PATH = "path"


class DeliveryKind(StrEnum):
    """What the rows of a delivered file are."""

    BOUNDARIES = "boundaries"
    BUILDINGS = "buildings"
    STREETS = "streets"
    BARRIERS = "barriers"
    STATIONS = "stations"
    POSTS = "posts"
    HOUSEHOLDS = "households"
    ADDRESSES = "addresses"
    ISSUES = "issues"
    NETS = "nets"


class DeliveryState(StrEnum):
    """Where a delivered file stands on its way into the city."""

    RECEIVED = "received"
    UNDERSTOOD = "understood"
    PREPARED = "prepared"
    IMPORTED = "imported"
    UNDONE = "undone"
    REFUSED = "refused"
    DROPPED = "dropped"


class JobStep(StrEnum):
    """What is done with a delivery: in this order, the last two when asked for."""

    LOOK = "look"
    PREPARE = "prepare"
    IMPORT = "import"
    UNDO = "undo"
    DROP = "drop"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DeviceKind(StrEnum):
    """Things that may tell of themselves; there is none that looks at persons."""

    MANHOLE = "manhole"
    WATER = "water"
    LAMP = "lamp"
    BIN = "bin"
    GAS = "gas"
    SMOKE = "smoke"
    POWER = "power"
    LIFT = "lift"
    TILT = "tilt"
    PIPE = "pipe"


class MeetingKind(StrEnum):
    """What residents and the office come together for."""

    TALK = "talk"
    COUNCIL = "council"
    RECEPTION = "reception"


class MeetingState(StrEnum):
    """Whether a meeting has been."""

    PLANNED = "planned"
    HELD = "held"
    CANCELLED = "cancelled"


class CampaignState(StrEnum):
    """Whether a campaign still runs."""

    OPEN = "open"
    CLOSED = "closed"


class ItemList(StrEnum):
    """The two lists of a campaign."""

    PROBLEM = "problem"
    MEASURE = "measure"


class ItemState(StrEnum):
    """Whether a line of a campaign's list is ticked off."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


class ProjectState(StrEnum):
    """Where a small project stands."""

    PROPOSED = "proposed"
    AGREED = "agreed"
    APPROVED = "approved"
    UNDER_WAY = "under_way"
    FINISHED = "finished"
    REJECTED = "rejected"


class ProjectAct(StrEnum):
    """What is done with a small project."""

    PROPOSE = "propose"
    AGREE = "agree"
    APPROVE = "approve"
    SEND_BACK = "send_back"
    REJECT = "reject"
    START = "start"
    FINISH = "finish"


class Period(StrEnum):
    """What a bulletin covers."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


class RatingState(StrEnum):
    """How far the rating of a property firm is; it is public by its dates, while none is open."""

    TOLD = "told"
    APPEALED = "appealed"
    DECIDED = "decided"
    WITHDRAWN = "withdrawn"


class RatingAct(StrEnum):
    """What is done about a rating or an inspection."""

    TELL = "tell"
    ANSWER = "answer"
    APPEAL = "appeal"
    DECIDE = "decide"
    WITHDRAW = "withdraw"


class InspectionKind(StrEnum):
    """What is looked at in a shop or a compound; of places, never of persons."""

    FIRE = "fire"
    FOOD = "food"
    GAS = "gas"
    HYGIENE = "hygiene"
    FRONTAGE = "frontage"
    LIFTS = "lifts"
    SERVICE = "service"


class InspectionResult(StrEnum):
    """What an inspection found, by a fixed list."""

    PASSED = "passed"
    MENDED = "mended_on_site"
    TO_MEND = "to_mend"
    STOPPED = "stopped"


class ShopKind(StrEnum):
    """What kind of place a shop is."""

    FOOD = "food"
    RETAIL = "retail"
    SERVICE = "service"
    WORKSHOP = "workshop"
    LODGING = "lodging"
    OTHER = "other"


class Offer(StrEnum):
    """What a volunteers' service point offers."""

    WATER = "water"
    REST = "rest"
    MEDICINE = "medicine"
    MENDING = "mending"
    HAIRCUT = "haircut"
    MEALS = "meals"
    LESSONS = "lessons"
    ADVICE = "advice"
    GREEN = "green"
    OTHER = "other"
