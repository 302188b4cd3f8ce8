"""What the pages of firms, inspected places and service points share: opening, forms, refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Response
from fastapi.responses import RedirectResponse

from api import conduct_words, i18n, office_words
from api.i18n import marked
from api.office_desk import REFUSALS, Failed, Sent
from api.routes.pages import Sight
from api.routes.pages_figures import require_staff
from geo import service
from geo.errors import InvalidInputError, OutsideCityError, StaleEditError
from geo.terms import RatingAct, Role
from maps.views import net_frame

KEEPERS: Final = frozenset({Role.ADMINISTRATOR, Role.COMMUNITY})
DONE: Final = marked("It is kept.")
ASKED: Final = (
    "q", "grade", "state", "kind", "result", "due", "mine", "offer", "after",
)  # fmt: skip
"""Words of the addresses by which lists are narrowed."""
Action = Callable[[Sight, Sent], Mapping[str, Any]]
"""What an order does; it returns what stands in the address afterwards."""


def word_of(sight: Sight) -> Callable[[str], str]:
    """Return what translates into the reader's language."""
    return i18n.translations(i18n.get_language(sight.request)).gettext


def page(
    sight: Sight,
    template: str,
    places: Iterable[Mapping[str, Any]],
    values: Mapping[str, Any],
    *,
    param: str,
    chosen: Any = None,
    picking: bool = False,
    failed: Failed | None = None,
) -> Response:
    """Return a page with its list and, beside it, the places of the list on the map.

    Parameters
    ----------
    places : iterable of dict
        `key`, `name`, `lon`, `lat` (degrees) and `tone`: "good", "watch", "bad" or "".
    param : str
        The word of the address by which a place is chosen.
    """
    viewer, word = sight.access.viewer, word_of(sight)
    points = [{key: one[key] for key in ("key", "name", "lon", "lat", "tone")} for one in places]
    answer = sight.page(
        template,
        frame=sight.frame(net_frame, sight.options(plain=True)),
        map={"points": points, "param": param, "chosen": chosen, "picking": picking},
        role=viewer.role.value,
        keeps=viewer.role in KEEPERS,
        words=conduct_words.told(word),
        now=service.rating_rules.today(
            sight.access.session, sight.asked.moment(sight.access.session)
        ),
        failed=failed,
        done=word(DONE) if values.get("done") else "",
        asked=dict.fromkeys(ASKED, "") | dict(values["asked"]),
        **{key: value for key, value in values.items() if key not in ("done", "asked")},
    )
    answer.status_code = 422 if failed else 200
    return answer


def change(
    sight: Sight,
    sent: Sent,
    path: str,
    actions: Mapping[str, Action],
    again: Callable[[Failed], Response],
) -> Response:
    """Do what a form asks for and go back to the page; the form again when that fails."""
    require_staff(sight)
    try:
        action = actions.get(sent.text("do"))
        if action is None:
            raise InvalidInputError("There is no such order.", field="do")
        with sight.access.session.begin_nested():
            where = action(sight, sent)
    except (*REFUSALS, OutsideCityError, StaleEditError) as error:
        sight.access.session.expire_all()
        return again(refused(sight, sent, error))
    query = {"city": sight.city["slug"], "done": "1", **where}
    return RedirectResponse(f"{path}?{urlencode(query)}", 303)


WHICH = marked("Criterion %(n)s: ")


def refused(sight: Sight, sent: Sent, error: Any) -> Failed:
    """Return an error as it is told beside its form."""
    told = office_words.told(word_of(sight), error)
    if "criterion" in error.data:
        told = word_of(sight)(WHICH) % {"n": error.data["criterion"]} + told
    field = str(error.data.get("field", ""))
    return Failed(sent.text("do"), sent.text("key"), field, told, sent.values)


def act_of(sent: Sent) -> RatingAct:
    """Return the act of a form.

    Raises
    ------
    InvalidInputError
        If it is none.
    """
    if sent.text("act") not in set(RatingAct):
        raise InvalidInputError("There is no such order.", field="act", reason="no_choice")
    return RatingAct(sent.text("act"))
