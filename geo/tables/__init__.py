"""The schema: cells, grids, nets as runs, plans, and what is located in them.

Geometry is EPSG:4326 (lon, lat); lengths and areas beside it are metres and square metres of the
city's metre CRS. `city_id` stands first in every key. A run is valid for the nets
``from_seq <= seq < to_seq``; `to_seq` is `FOREVER` while the run is open.
"""

from __future__ import annotations

from geo.tables.account import (
    AppSecret,
    AreaGrant,
    Audit,
    AuditHead,
    SignInAttempt,
    SignInLink,
    UserAccount,
    UserSession,
)
from geo.tables.address import Address
from geo.tables.base import SRID, Base
from geo.tables.city import City, Level, Vintage
from geo.tables.delivery import Delivery, DeliveryChange, DeliveryPart, Job
from geo.tables.derived import (
    DensitySquare,
    HouseholdPlace,
    IssueSquare,
    NetCompound,
    NetCount,
    NetLimit,
    NetValue,
)
from geo.tables.issue import (
    Category,
    Issue,
    IssueContact,
    IssueEvent,
    LimitRule,
    Outbox,
    RoutingRule,
    Tombstone,
    WorkingCalendar,
)
from geo.tables.net import (
    Cell,
    CellLineage,
    CellValue,
    Grid,
    GridCode,
    Handover,
    Net,
    NetCell,
    NetException,
    NetGrid,
    SourceGrid,
    SourceNet,
)
from geo.tables.photo import IssueSecond, Photo
from geo.tables.place import (
    Barrier,
    Building,
    Compound,
    CompoundBody,
    Notice,
    Organisation,
    Post,
    Station,
    StationKind,
    Street,
    Worker,
    building_household,
)
from geo.tables.plan import Plan, PlanCell, PlanComment, PlanEdit, PlanGrid, PlanTask
from geo.tables.publishing import Erratum, PlanPost, Publication

__all__ = [
    "SRID",
    "Address",
    "AppSecret",
    "AreaGrant",
    "Audit",
    "AuditHead",
    "Barrier",
    "Base",
    "Building",
    "Category",
    "Cell",
    "CellLineage",
    "CellValue",
    "City",
    "Compound",
    "CompoundBody",
    "Delivery",
    "DeliveryChange",
    "DeliveryPart",
    "DensitySquare",
    "Erratum",
    "Grid",
    "GridCode",
    "Handover",
    "HouseholdPlace",
    "Issue",
    "IssueContact",
    "IssueEvent",
    "IssueSecond",
    "IssueSquare",
    "Job",
    "Level",
    "LimitRule",
    "Net",
    "NetCell",
    "NetCompound",
    "NetCount",
    "NetException",
    "NetGrid",
    "NetLimit",
    "NetValue",
    "Notice",
    "Organisation",
    "Outbox",
    "Photo",
    "Plan",
    "PlanCell",
    "PlanComment",
    "PlanEdit",
    "PlanGrid",
    "PlanPost",
    "PlanTask",
    "Post",
    "Publication",
    "RoutingRule",
    "SignInAttempt",
    "SignInLink",
    "SourceGrid",
    "SourceNet",
    "Station",
    "StationKind",
    "Street",
    "Tombstone",
    "UserAccount",
    "UserSession",
    "Vintage",
    "Worker",
    "WorkingCalendar",
    "building_household",
]
