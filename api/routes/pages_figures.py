"""Pages of the four maps: requests, coverage and density of stations, patrol areas."""

from __future__ import annotations

from typing import Final, Literal

from fastapi import APIRouter, Response

from api import i18n
from api.conduct_words import WORDS
from api.i18n import marked
from api.routes.pages import Sight, SightDep
from geo.errors import ForbiddenError, NotSignedInError
from maps.figure_views import figure_frame, figure_page

router = APIRouter(include_in_schema=False)

SUBJECTS: Final = {
    "requests": ("/heat", marked("Requests"), "heat"),
    "coverage": ("/stations", marked("Coverage of stations"), "reach"),
    "density": ("/stations/density", marked("Density of stations"), "density"),
    "patrol": ("/staff/map", marked("Patrol areas"), "patrol-areas"),
}
"""Address, title and script of each map of figures."""


def require_staff(sight: Sight, *, whole_city: bool = False) -> None:
    """Let people of the city pass, or those alone who read all of it.

    Raises
    ------
    NotSignedInError
        If nobody is signed in.
    ForbiddenError
        If the account does not belong to the city, or may not read all of it.
    """
    viewer = sight.access.viewer
    if viewer.staff and (viewer.city_wide or not whole_city):
        return
    if sight.access.account is None:
        raise NotSignedInError("Sign in first.")
    raise ForbiddenError("This account may not see that here.")


def _subject_page(
    sight: Sight, subject: Literal["requests", "coverage", "density", "patrol"]
) -> Response:
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    _, title, script = SUBJECTS[subject]
    options = sight.options(label=word(title), packed=sight.packed)
    page = figure_page(subject, sight.city, sight.net, options)
    page["wholeCity"] = sight.access.viewer.city_wide
    page["offers"] = {str(code): word(text) for code, text in WORDS["offers"].items()}
    shown = (
        SUBJECTS if page["wholeCity"] else {k: v for k, v in SUBJECTS.items() if k != "requests"}
    )
    return sight.page(
        "figures.html",
        subject=subject,
        title=word(title),
        script=script,
        subjects=[
            {"subject": key, "path": one[0], "word": word(one[1])} for key, one in shown.items()
        ],
        frame=sight.frame(figure_frame, options, first=[subject], whole_city=page["wholeCity"]),
        page=page,
    )


@router.get("/heat")
def show_heat(sight: SightDep) -> Response:
    """Show requests on fixed squares by month, to those who read the whole city."""
    require_staff(sight, whole_city=True)
    return _subject_page(sight, "requests")


@router.get("/stations")
def show_coverage(sight: SightDep) -> Response:
    """Show how many households live near an open station, to people of the city."""
    require_staff(sight)
    return _subject_page(sight, "coverage")


@router.get("/stations/density")
def show_density(sight: SightDep) -> Response:
    """Show open stations per 10,000 households and per km2, to people of the city."""
    require_staff(sight)
    return _subject_page(sight, "density")


@router.get("/staff/map")
def show_patrol_areas(sight: SightDep) -> Response:
    """Show the patrol areas by post, to people of the city."""
    require_staff(sight)
    return _subject_page(sight, "patrol")
