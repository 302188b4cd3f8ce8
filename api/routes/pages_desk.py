"""Pages of what offices hold: the desk of addresses, compounds beside grids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response

from api import auth, i18n
from api.i18n import marked
from api.routes.pages import Blank, Cursor, SightDep, Word
from api.routes.pages_figures import require_staff
from geo import service
from geo.terms import Role
from maps.views import net_frame, net_page

router = APIRouter(include_in_schema=False)

ROWS: Final = 200
RELATIONS: Final[Mapping[str, str]] = {
    "larger": marked("larger than the grids in it"),
    "equal": marked("is one grid"),
    "smaller": marked("part of a larger grid"),
    "crossing": marked("crosses borders of grids"),
}
SIGNS: Final[Mapping[str, str]] = {"larger": "▲", "equal": "=", "smaller": "▽", "crossing": "✕"}
TYPES: Final[Mapping[str, str]] = {
    "commodity": marked("commodity housing"),
    "commercial_housing": marked("commodity housing"),
    "old": marked("old estate"),
    "old_estate": marked("old estate"),
    "resettled": marked("resettlement"),
    "seasonal": marked("seasonal homes"),
}
"""What community types are called; a type of the city's own names itself."""
Relation = Annotated[Literal["larger", "equal", "smaller", "crossing"] | None, Blank, Query()]
Firm = Annotated[Literal["true", "false"] | None, Blank, Query()]
DECIDING = (Role.ADMINISTRATOR, Role.PLANNER)
"""They say what a text means."""


@router.get("/addresses")
def show_addresses(
    sight: SightDep, q: Annotated[str | None, Query(max_length=2000)] = None
) -> Response:
    """Show the desk that matches texts with addresses, to people of the city."""
    require_staff(sight)
    viewer, session = sight.access.viewer, sight.access.session
    options = sight.options(packed=sight.packed)
    token = auth.session_token(sight.request)
    page = {
        "api": net_page(sight.city, sight.net, options)["api"],
        "csrf": auth.csrf_token(token) if token else "",
        "mayDecide": viewer.role in DECIDING,
    }
    return sight.page(
        "addresses.html",
        frame=sight.frame(net_frame, options),
        page=page,
        counts=service.addresses.count(session, viewer),
        q="".join(one for one in q or "" if one.isprintable() or one == "\n"),
    )


@router.get("/compounds")
def show_compounds(
    sight: SightDep,
    q: Word = None,
    relation: Relation = None,
    type: Word = None,
    firm: Firm = None,
    after: Cursor = None,
) -> Response:
    """Show compounds and how they lie to the grids of the day's net, as a table."""
    session = sight.access.session
    at = sight.asked.moment(session)
    chosen = None if firm is None else firm == "true"
    narrow = service.estates.CompoundFilter(
        q=q, relation=relation, community_type=type, firm=chosen
    )
    page = service.estates.compounds(session, at, narrow, limit=ROWS, after=after)
    counts = service.estates.summary(session, at)
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    return sight.page(
        "compounds.html",
        rows=page.items,
        next=page.next,
        asked={"q": q, "relation": relation, "type": type, "firm": firm},
        counts=counts,
        relations={code: word(text) for code, text in RELATIONS.items()},
        signs=SIGNS,
        types={
            code: word(TYPES[code]) if code in TYPES else code
            for code in sorted(counts["type"])
            if code
        },
    )
