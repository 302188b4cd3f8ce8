"""Files in, for programs and for the page: received, understood, wished, confirmed, undone."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api import auth, i18n
from api.asking import KNOWN_FIELDS, MOST_ID, PLAIN_TEXT
from api.deps import (
    CityDep,
    OfficeDep,
    SessionDep,
    get_database,
    get_settings,
    open_access,
    viewer_in,
)
from api.errors import responses_for
from api.i18n import marked
from api.routes.office import PROTECTED, Wish
from api.schemas import Form
from geo import service
from geo.errors import (
    ConflictError,
    DeliveryError,
    ForbiddenError,
    NotFoundError,
    NotSignedInError,
    TooManyAttemptsError,
)
from geo.saying import phrase
from geo.settings import Settings
from geo.terms import DeliveryKind, JobStep, Role

router = APIRouter(
    prefix="/api/v1/cities/{city}/imports", tags=["imports"], dependencies=[KNOWN_FIELDS]
)

MIB = 1024 * 1024
ANSWERS = responses_for(*PROTECTED, NotFoundError, ConflictError)
DeliveryPath = Annotated[int, InPath(ge=1, le=MOST_ID, description="Number of an import.")]
FileName = Annotated[
    str, Query(min_length=1, max_length=200, pattern=PLAIN_TEXT, description="Name of the file.")
]
More = Annotated[bool, Query(description="Other parts of the same file follow.")]


class JobCard(Form):
    """The last work on a delivery: which step, where it stands, how far it is."""

    job: int
    step: str
    state: str
    share: float
    words: str
    cancel_asked: bool
    attempts: int
    error: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ImportItem(Form):
    """A delivered file and where it stands."""

    delivery: int
    state: str
    name: str
    kind: str | None
    bytes: int
    sha256: str
    author: str | None
    received_at: datetime
    imported_at: datetime | None
    undone_at: datetime | None
    file_kept: bool
    refused: list[str] | None = Field(description="Why it was refused.")
    job: JobCard | None


class ImportCard(ImportItem):
    """What was understood of a file, what is wished, and what would come of it."""

    understood: dict[str, Any] | None
    wish: dict[str, Any] | None
    report: dict[str, Any] | None


class ImportPage(Form):
    """Deliveries, the newest first; `next` is asked for with `before`."""

    items: list[ImportItem]
    next: int | None


class ImportLimits(Form):
    """How much the account may deliver, and what kinds of files there are."""

    most_mib: int
    open_files: int
    hour_files: int
    kinds: dict[str, dict[str, list[str]]] = Field(
        description="Kind -> columns that are `needed` and `allowed`."
    )


class ImportWishForm(Wish):
    """How a layer is to be read and what its rows are; see docs/import.md."""

    kind: DeliveryKind
    layer: str | None = Field(None, max_length=200)
    columns: dict[str, str] = Field(default_factory=dict)
    fixed: dict[str, str] = Field(default_factory=dict)
    words: dict[str, dict[str, str]] = Field(default_factory=dict)
    encoding: str | None = Field(None, max_length=40)
    crs: int | None = Field(None, ge=1, le=999_999)
    datum: Literal["wgs84", "gcj02", "bd09", "cgcs2000"] | None = None
    swap_axes: bool | None = None
    level: int | None = Field(None, ge=1, le=6)
    effective_from: str | None = Field(None, max_length=10)
    vintage: str | None = Field(None, max_length=4)
    choice: list[Literal["new", "changed", "gone"]] = Field(default=["new", "changed"])
    left_out: list[int] = Field(default_factory=list, max_length=100_000)
    decided: dict[str, int] = Field(default_factory=dict)
    decisions: dict[str, str] = Field(default_factory=dict)
    cut_cells: bool = False
    season: str | None = Field(None, max_length=10)
    estimate: bool = False


class ImportChoice(Wish):
    """What of the difference is applied, and which rows of the file are not taken."""

    choice: list[Literal["new", "changed", "gone"]] = Field(default=["new", "changed"])
    left_out: list[int] = Field(default_factory=list, max_length=100_000)


def _card(request: Request, made: dict[str, Any]) -> ImportCard:
    """Return a card with its sentences in the reader's language."""
    return ImportCard.model_validate(i18n.told(made, i18n.get_language(request)))


def most_bytes(settings: Settings, role: Role) -> int:
    """Return the size of the largest file that a role may deliver."""
    administrator = role is Role.ADMINISTRATOR
    mib = settings.import_administrator_mib if administrator else settings.import_planner_mib
    return mib * MIB


def limits_of(settings: Settings) -> service.importing.Limits:
    """Return how many files an account may deliver."""
    return service.importing.Limits(settings.import_open_files, settings.import_hour_files)


def get_role(request: Request, city: Annotated[str, InPath(max_length=63)]) -> Role:
    """Return the role of who delivers.

    Its transaction ends before the file is taken, which may last.
    """
    return _admitted(request, city, more=True)


def _admitted(request: Request, city: str, *, more: bool = False) -> Role:
    """Return the role of who delivers, if there is room for one more file."""

    def choose(session: Any, account: Any) -> int:
        return service.city_id_of(session, city)

    token = auth.session_token(request)
    with open_access(get_database(request), token, choose) as access:
        viewer = viewer_in(access.account, access.city_id)
        if access.account is None:
            raise NotSignedInError("Sign in first.")
        if viewer.role not in (Role.ADMINISTRATOR, Role.PLANNER):
            raise ForbiddenError("This account may not import.")
        if not more:
            service.importing.admit(access.session, viewer, limits_of(get_settings(request)))
        return viewer.role


async def _take(request: Request, path: Path, most: int) -> tuple[bytes, int]:
    """Write a body to disk; return its hash and size."""
    told = int(request.headers.get("content-length", "0"))
    total, size = hashlib.sha256(), 0
    if told <= most:
        with path.open("xb") as file:
            async for block in request.stream():
                size += len(block)
                if size > most:
                    break
                total.update(block)
                await run_in_threadpool(file.write, block)
    if max(told, size) > most:
        raise HTTPException(
            413,
            phrase(
                marked("This account delivers files of at most %(most)s MiB."), most=most // MIB
            ),
        )
    if not size:
        said = marked("%(file)s: the file is empty; save it again")
        raise DeliveryError([phrase(said, file=path.name)])
    return total.digest(), size


async def get_file(
    request: Request,
    city: Annotated[str, InPath(max_length=63)],
    name: FileName,
) -> AsyncIterator[service.importing.Received]:
    """Take a file into a folder of its own; it is deleted again when it is not entered."""
    settings = get_settings(request)
    role = await run_in_threadpool(_admitted, request, city)
    folder = service.importing.new_folder(settings.import_dir)
    try:
        path = folder / service.importing.plain_name(name)
        sha256, size = await _take(request, path, most_bytes(settings, role))
        yield service.importing.Received(name, folder.name, sha256, size)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@router.post(
    "",
    status_code=201,
    responses=responses_for(*PROTECTED, NotFoundError, DeliveryError, TooManyAttemptsError),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"format": "binary"}}},
        }
    },
)
def deliver_file(
    request: Request,
    file: Annotated[service.importing.Received, Depends(get_file, scope="function")],
    city_id: CityDep,
    viewer: OfficeDep,
    session: SessionDep,
    more: More = False,
) -> ImportCard:
    """Take a file, sent as the body; without `more` it is looked at by the worker.

    Raises
    ------
    DeliveryError
        If it is empty.
    TooManyAttemptsError
        If too many files wait or came within the hour.
    """
    made = service.importing.receive(session, viewer, file, whole=not more)
    return _card(request, made)


@router.post("/{delivery}/parts", status_code=201, responses=ANSWERS)
async def deliver_part(
    request: Request,
    role: Annotated[Role, Depends(get_role)],
    city: Annotated[str, InPath(max_length=63)],
    delivery: DeliveryPath,
    name: FileName,
    more: More = False,
) -> ImportCard:
    """Take a further part of a file of several, such as the .dbf of a Shapefile."""
    settings = get_settings(request)

    def opened(step: JobStep | None) -> Any:
        def choose(session: Any, account: Any) -> int:
            return service.city_id_of(session, city)

        token = auth.session_token(request)
        with open_access(get_database(request), token, choose) as access:
            room, viewer = service.importing, access.viewer
            folder = room.folder_for_part(access.session, viewer, delivery)
            if step is not None:
                room.ask(access.session, viewer, delivery, step)
            return folder, room.show_import(access.session, viewer, delivery)

    folder, _ = await run_in_threadpool(opened, None)
    path = settings.import_dir / folder / service.importing.plain_name(name)
    parts = list(path.parent.iterdir())
    if path in parts or len(parts) >= service.importing.MOST_PARTS:
        raise ConflictError("This part is there already, or there are too many.", reason="part")
    try:
        await _take(request, path, most_bytes(settings, role))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    _, card = await run_in_threadpool(opened, None if more else JobStep.LOOK)
    return _card(request, card)


@router.get("", responses=responses_for(*PROTECTED))
def list_imports(
    request: Request,
    city_id: CityDep,
    session: SessionDep,
    viewer: OfficeDep,
    before: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ImportPage:
    """List the deliveries of the city, the newest first."""
    found = service.importing.list_imports(session, viewer, before=before, limit=limit)
    last = found[-1]["delivery"] if len(found) == limit else None
    items = [ImportItem.model_validate(one) for one in i18n.told(found, i18n.get_language(request))]
    return ImportPage(items=items, next=last)


@router.get("/limits", responses=responses_for(*PROTECTED))
def show_limits(request: Request, city_id: CityDep, viewer: OfficeDep) -> ImportLimits:
    """Show how much this account may deliver, and what each kind of file needs."""
    settings = get_settings(request)
    kinds = {
        kind.value: {"needed": list(needed), "allowed": list(allowed)}
        for kind, (needed, allowed) in service.importing.COLUMNS.items()
    }
    return ImportLimits(
        most_mib=most_bytes(settings, viewer.role) // MIB,
        open_files=settings.import_open_files,
        hour_files=settings.import_hour_files,
        kinds=kinds,
    )


@router.get("/{delivery}", responses=ANSWERS)
def show_import(
    request: Request,
    city_id: CityDep,
    session: SessionDep,
    viewer: OfficeDep,
    delivery: DeliveryPath,
) -> ImportCard:
    """Show what is known of a delivery, and how far the work on it is."""
    return _card(request, service.importing.show_import(session, viewer, delivery))


@router.get("/{delivery}/{part}", responses=ANSWERS)
def show_import_part(
    request: Request,
    city_id: CityDep,
    session: SessionDep,
    viewer: OfficeDep,
    delivery: DeliveryPath,
    part: Annotated[Literal["shapes", "defects", "difference"], InPath()],
) -> Any:
    """Show the shapes (GeoJSON), the defects or the difference of a prepared delivery."""
    found = service.importing.show_part(session, viewer, delivery, part)
    return found if part == "shapes" else i18n.told(found, i18n.get_language(request))


@router.put("/{delivery}/wish", status_code=202, responses=ANSWERS)
def wish_import(
    request: Request,
    city_id: CityDep,
    session: SessionDep,
    viewer: OfficeDep,
    delivery: DeliveryPath,
    wish: ImportWishForm,
) -> ImportCard:
    """Say how the file is read and what it is; the worker prepares it, nothing is stored yet."""
    args = wish.model_dump(mode="json")
    card = service.importing.ask(session, viewer, delivery, JobStep.PREPARE, args)
    return _card(request, card)


@router.post("/{delivery}/confirm", status_code=202, responses=ANSWERS)
def confirm_import(
    request: Request,
    city_id: CityDep,
    session: SessionDep,
    viewer: OfficeDep,
    delivery: DeliveryPath,
    choice: ImportChoice,
) -> ImportCard:
    """Import a prepared delivery: the worker writes what was chosen, all of it or nothing."""
    args = choice.model_dump(mode="json")
    card = service.importing.ask(session, viewer, delivery, JobStep.IMPORT, args)
    return _card(request, card)


@router.post("/{delivery}/cancel", status_code=202, responses=ANSWERS)
def cancel_import(
    request: Request,
    city_id: CityDep,
    session: SessionDep,
    viewer: OfficeDep,
    delivery: DeliveryPath,
) -> ImportCard:
    """Ask the worker to leave off; what it began is taken back."""
    return _card(request, service.importing.cancel(session, viewer, delivery))


@router.post("/{delivery}/undo", status_code=202, responses=ANSWERS)
def undo_import(
    request: Request,
    city_id: CityDep,
    session: SessionDep,
    viewer: OfficeDep,
    delivery: DeliveryPath,
) -> ImportCard:
    """Take an import back, row by row, unless something builds on it."""
    card = service.importing.ask(session, viewer, delivery, JobStep.UNDO)
    return _card(request, card)


@router.delete("/{delivery}", status_code=202, responses=ANSWERS)
def drop_import(
    request: Request,
    city_id: CityDep,
    session: SessionDep,
    viewer: OfficeDep,
    delivery: DeliveryPath,
) -> ImportCard:
    """Delete a file that is not wanted; its line stays."""
    card = service.importing.ask(session, viewer, delivery, JobStep.DROP)
    return _card(request, card)
