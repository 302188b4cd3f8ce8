"""The guide by which a city begins: its name, levels, coordinates and first administrator."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from api import auth, i18n, office_words, rendering
from api.deps import DatabaseDep, SettingsDep
from api.office_desk import REFUSALS, Failed, Sent, SentDep
from geo import service
from geo.errors import ForbiddenError, InvalidInputError
from geo.profiles import load_profile, profile_names
from geo.terms import Role

router = APIRouter(include_in_schema=False)

PRESETS: Final = ("cn", "intl")


@router.get("/start")
def show_guide(
    request: Request,
    database: DatabaseDep,
    city: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """Show the guide, or for a city that has begun, where its first file goes."""
    return _page(request, database, begun=city)


@router.post("/start")
def begin_city(
    request: Request, database: DatabaseDep, settings: SettingsDep, sent: SentDep
) -> Response:
    """Propose coordinates for a place, or begin the city and sign its administrator in."""
    token = auth.session_token(request)
    known = auth.token_hash(token) if token else None
    try:
        if sent.text("do") == "propose":
            srid, name = service.founding.propose(
                sent.real("lon"), sent.real("lat"), sent.text("profile")
            )
            sent.values["metre_srid"] = str(srid)
            return _page(request, database, sent=sent, proposed={"srid": srid, "name": name})
        wish = _wish(sent)
        with database.sign_in_transaction() as session:
            service.founding.found_city(session, sent.text("code"), known, wish)
    except ForbiddenError as error:
        data = {"field": "code", "reason": "wrong_code"}
        refused = InvalidInputError(error.message, **data)
        return _page(request, database, sent=sent, status=403, failed=_told(request, sent, refused))
    except REFUSALS as error:
        return _page(request, database, sent=sent, status=422, failed=_told(request, sent, error))
    response = RedirectResponse(f"/start?city={wish.slug}", 303)
    if known is None:
        life = timedelta(hours=settings.session_hours)
        fresh = auth.sign_in(
            database, wish.login, wish.password, auth.client_address(request), life
        )
        auth.set_cookie(response, fresh, settings)
    return response


def _wish(sent: Sent) -> service.founding.NewCity:
    return service.founding.NewCity(
        slug=sent.text("slug"),
        name=sent.text("name"),
        name_en=sent.text("name_en"),
        profile=sent.text("profile"),
        county_code=sent.text("county_code"),
        lon=sent.real("lon"),
        lat=sent.real("lat"),
        metre_srid=sent.number("metre_srid") if sent.text("metre_srid") else None,
        timezone=sent.text("timezone") or None,
        levels=sent.all(f"levels_{sent.text('profile')}"),
        login=sent.text("login"),
        display_name=sent.text("display_name"),
        password=sent.values.get("password", ""),
    )


def _told(request: Request, sent: Sent, error: Any) -> Failed:
    word = i18n.translations(i18n.get_language(request)).gettext
    return Failed(
        "found", "", str(error.data.get("field", "")), office_words.told(word, error), sent.values
    )


def _page(
    request: Request,
    database: DatabaseDep,
    *,
    begun: str = "",
    sent: Sent | None = None,
    proposed: dict[str, Any] | None = None,
    status: int = 200,
    failed: Failed | None = None,
) -> Response:
    token = auth.session_token(request)
    with database.sign_in_transaction() as session:
        known = auth.token_hash(token) if token else None
        account = service.account_of_session(session, known) if known else None
        cities = service.list_cities(session)
        may = service.founding.may_found(session, "", known)
    city = next((one for one in cities if one["slug"] == begun), None)
    presets = [load_profile(name) for name in PRESETS if name in profile_names()]
    return rendering.page(
        request,
        "start.html",
        status=status,
        viewer=rendering.shown_viewer(request, account),
        administrator=account is not None and account.role == Role.ADMINISTRATOR,
        cities=cities,
        begun=city,
        may=may,
        presets=presets,
        values=sent.values if sent else {},
        ticked={name: sent.all(f"levels_{name}") for name in PRESETS} if sent else {},
        proposed=proposed,
        failed=failed,
    )
