"""The office for programs: accounts, sessions and phones, workers and posts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from api import auth, i18n, office_words, rendering
from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep
from api.deps import (
    AdministratorDep,
    KeepersDep,
    OfficeDep,
    PostKeepersDep,
    SessionDep,
)
from api.errors import responses_for
from api.schemas import AsOf, Form
from geo import service
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NetNotFoundError,
    NotFoundError,
    NotSignedInError,
)
from geo.terms import Role

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["office"], dependencies=[KNOWN_FIELDS])

UserPath = Annotated[int, Path(ge=1, le=MOST_ID)]
NumberPath = Annotated[int, Path(ge=1, le=MOST_ID)]
CodePath = Annotated[str, Path(max_length=32, pattern=r"^[\w-]+$")]
Line = Annotated[str, Field(max_length=200, pattern=r"^\P{Cc}*$")]
Number = Annotated[int, Field(ge=1, le=MOST_ID)]
PROTECTED = (CityNotFoundError, NotSignedInError, ForbiddenError)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Wish(BaseModel):
    """Base of what is sent: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")


# ---- accounts, sessions, phones ------------------------------------------------------------------


class AccountItem(Form):
    """An account; never its password."""

    user: int
    login: str
    display_name: str
    role: Role
    worker: int | None
    areas: list[str]
    area_codes: list[str]
    demo: bool
    created_at: datetime
    disabled_at: datetime | None
    sessions: int


class Accounts(Form):
    """All accounts that the reader may see."""

    items: list[AccountItem]


class NewAccount(Wish):
    """A new account; without a password one is made up."""

    login: Line
    display_name: Line = ""
    role: Role
    password: Annotated[str, Field(max_length=256)] | None = None
    grids: list[Number] = []
    organisation: Number | None = None
    worker: Number | None = None


class MadeAccount(Form):
    """The account's number and the password, which is told this once."""

    user: int
    login: str
    password: str


class AccountChange(Wish):
    """What is changed of an account."""

    disabled: bool | None = None
    reset_password: bool = False
    grids: Annotated[list[Number], Field(max_length=500)] | None = None


class AccountChanged(Form):
    """What an account has become; the new password is told this once."""

    user: int
    password: str | None = None


class PhoneLink(Form):
    """A link that signs one phone in, once, within ten minutes."""

    user: int
    display_name: str
    url: str
    expires_at: datetime


class SessionItem(Form):
    """An open session."""

    session: int
    user: int
    login: str
    display_name: str
    created_at: datetime
    expires_at: datetime
    remembered: bool
    device: str | None


class Sessions(Form):
    """Open sessions, the newest first."""

    items: list[SessionItem]


@router.get("/accounts", responses=responses_for(*PROTECTED))
def list_accounts(session: SessionDep, viewer: KeepersDep) -> Accounts:
    """List accounts: all for administrators, those of the own area's workers for communities."""
    found = service.desk.listing(session, viewer, service.seen_accounts(viewer))
    return Accounts(items=[AccountItem.model_validate(row) for row in found])


@router.post("/accounts", status_code=201, responses=responses_for(*PROTECTED, ConflictError))
def create_account(session: SessionDep, viewer: AdministratorDep, wish: NewAccount) -> MadeAccount:
    """Make an account.

    Raises
    ------
    ConflictError
        If the login is taken: 409.
    """
    user, password = service.desk.create(
        session,
        viewer,
        login=wish.login,
        display_name=wish.display_name,
        role=wish.role,
        password=wish.password,
        grid_ids=wish.grids,
        organisation_id=wish.organisation,
        worker_id=wish.worker,
    )
    return MadeAccount(user=user, login=wish.login.lower(), password=password)


@router.patch("/accounts/{user}", responses=responses_for(*PROTECTED, NotFoundError, ConflictError))
def change_account(
    session: SessionDep, viewer: AdministratorDep, user: UserPath, wish: AccountChange
) -> AccountChanged:
    """Shut or open an account, give it a new password, or other grids to act in.

    Raises
    ------
    NotFoundError
        If the city has no such account: 404.
    ConflictError
        If its areas follow from its role or its worker's posts: 409.
    """
    seen, password = service.seen_accounts(viewer), None
    if wish.reset_password:
        _, password = service.desk.reset_password(session, viewer, seen, user)
    if wish.grids is not None:
        service.desk.set_areas(session, viewer, seen, user, wish.grids)
    if wish.disabled is not None:
        service.desk.set_disabled(session, viewer, seen, user, disabled=wish.disabled)
    return AccountChanged(user=user, password=password)


@router.post(
    "/accounts/{user}/phone-link",
    status_code=201,
    responses=responses_for(*PROTECTED, NotFoundError, ConflictError),
)
def create_phone_link(
    request: Request, session: SessionDep, viewer: KeepersDep, user: UserPath
) -> PhoneLink:
    """Make a link that signs a worker's phone in.

    Raises
    ------
    NotFoundError
        If the viewer sees no such account: 404.
    ConflictError
        If it is no open account of a worker: 409.
    """
    seen = service.seen_accounts(viewer)
    token = auth.new_token()
    made = service.desk.create_phone_link(session, viewer, seen, user, auth.token_hash(token))
    return PhoneLink(
        user=user,
        display_name=made["display_name"],
        url=f"{rendering.own_address(request)}/phone/{token}",
        expires_at=made["expires_at"],
    )


@router.get("/sessions", responses=responses_for(*PROTECTED))
def list_sessions(
    session: SessionDep,
    viewer: KeepersDep,
    user: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
) -> Sessions:
    """List the open sessions of the accounts that the reader may see."""
    found = service.desk.sessions(session, viewer, service.seen_accounts(viewer), user)
    return Sessions(items=[SessionItem.model_validate(row) for row in found])


@router.delete(
    "/sessions/{number}", status_code=204, responses=responses_for(*PROTECTED, NotFoundError)
)
def end_session(session: SessionDep, viewer: KeepersDep, number: NumberPath) -> Response:
    """End a session: the phone or browser has to sign in again.

    Raises
    ------
    NotFoundError
        If there is no such session: 404.
    """
    service.desk.end_session(session, viewer, service.seen_accounts(viewer), number)
    return Response(status_code=204)


# ---- workers and posts ---------------------------------------------------------------------------


class NewWorker(Wish):
    """A worker: a name, and whether it may be shown to everybody."""

    name: Line
    name_consent: bool = False


class WorkerChange(Wish):
    """What is changed of a worker."""

    name: Line | None = None
    name_consent: bool | None = None


class MadeWorker(Form):
    """The worker's number."""

    worker: int


class NewPost(Wish):
    """A post; `last_day` is the last day on which it is held. Without a worker it is vacant."""

    grid: Number
    role: Line
    worker: Number | None = None
    duty_number: Line | None = None
    part_time: bool = False
    valid_from: date | None = None
    last_day: date | None = None
    stand_in_for: Number | None = None


class PostChange(Wish):
    """What is changed of a post: who holds it from `since` on (0: nobody), its end, its number."""

    worker: Annotated[int, Field(ge=0, le=MOST_ID)] | None = None
    since: date | None = None
    last_day: date | None = None
    duty_number: Line | None = None
    part_time: bool | None = None


class MadePost(Form):
    """The post's number; a new one when somebody else holds it from a later day on."""

    post: int
    as_of: AsOf


@router.post("/workers", status_code=201, responses=responses_for(*PROTECTED))
def create_worker(session: SessionDep, viewer: OfficeDep, wish: NewWorker) -> MadeWorker:
    """Enter a worker."""
    worker = service.office.create_worker(
        session, viewer, wish.name, name_consent=wish.name_consent
    )
    return MadeWorker(worker=worker)


@router.patch("/workers/{worker}", responses=responses_for(*PROTECTED, NotFoundError))
def change_worker(
    session: SessionDep, viewer: OfficeDep, worker: NumberPath, wish: WorkerChange
) -> MadeWorker:
    """Correct a worker's name or consent.

    Raises
    ------
    NotFoundError
        If the city has no such worker: 404.
    """
    service.office.change_worker(
        session, viewer, worker, name=wish.name, name_consent=wish.name_consent
    )
    return MadeWorker(worker=worker)


@router.post(
    "/posts",
    status_code=201,
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, ConflictError),
)
def create_post(
    session: SessionDep, viewer: PostKeepersDep, asked: AskedDep, wish: NewPost
) -> MadePost:
    """Open a post, or let a worker stand in for one.

    Raises
    ------
    NotFoundError
        If there is no post to stand in for: 404.
    ConflictError
        If the worker holds it already: 409.
    """
    at = asked.moment(session)
    seen = service.seen_workers(viewer)
    worker = wish.worker
    if worker is not None:
        worker = service.office.worker_of(session, viewer, seen, str(worker))
    if wish.stand_in_for is not None:
        if worker is None or wish.last_day is None:
            raise InvalidInputError("A stand-in has a worker and a last day.", field="worker")
        begins = wish.valid_from or at.day
        post = service.office.stand_in(
            session, viewer, at, wish.stand_in_for, worker, begins, wish.last_day,
            duty_number=wish.duty_number,
        )  # fmt: skip
        return MadePost(post=post, as_of=AsOf.of(at))
    new = service.office.NewPost(
        wish.grid, wish.role, worker, wish.duty_number, wish.part_time, wish.valid_from,
        service.office.day_after(wish.last_day),
    )  # fmt: skip
    post = service.office.create_post(session, viewer, at, new)
    return MadePost(post=post, as_of=AsOf.of(at))


@router.patch(
    "/posts/{post}",
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError, ConflictError),
)
def change_post(
    session: SessionDep,
    viewer: PostKeepersDep,
    asked: AskedDep,
    post: NumberPath,
    wish: PostChange,
) -> MadePost:
    """Give a post to somebody from a day on, end it, or correct it.

    Raises
    ------
    NotFoundError
        If there is no such post in the own area: 404.
    ConflictError
        If the worker holds it already: 409.
    """
    at = asked.moment(session)
    changed: dict[str, Any] = {}
    if "duty_number" in wish.model_fields_set:
        changed["duty_number"] = wish.duty_number
    if changed or wish.part_time is not None:
        service.office.change_post(session, viewer, post, part_time=wish.part_time, **changed)
    if wish.worker is not None:
        seen = service.seen_workers(viewer)
        given = str(wish.worker)
        worker = service.office.worker_of(session, viewer, seen, given) if wish.worker else None
        post = service.office.assign(session, viewer, post, worker, wish.since or at.day)
    if wish.last_day is not None:
        service.office.end_post(session, viewer, post, wish.last_day)
    return MadePost(post=post, as_of=AsOf.of(at))


class RejectedRow(Form):
    """A row that cannot be taken."""

    row: int
    column: str
    reason: str
    value: str
    message: str


class ImportReport(Form):
    """What was understood of a file; nothing is written unless `taken`."""

    rows: int
    opened: int
    assigned: int
    changed: int
    ended: int
    unchanged: int
    new_workers: int
    left_out: list[str]
    rejected: list[RejectedRow]
    taken: bool
    as_of: AsOf


@router.post("/posts/import", responses=responses_for(*PROTECTED, NetNotFoundError))
def import_posts(
    request: Request,
    session: SessionDep,
    viewer: PostKeepersDep,
    asked: AskedDep,
    file: UploadFile,
    write: bool = False,
) -> ImportReport:
    """Read a roster (XLSX); with `write` take it over if every row can be taken."""
    at = asked.moment(session)
    seen = service.seen_workers(viewer)
    report = service.roster.take(session, viewer, at, seen, file.file.read(), write=write)
    word = i18n.translations(i18n.get_language(request)).gettext
    rejected = [
        {**vars(row), "message": office_words.sentence(word, row.reason, row.value)}
        for row in report.rejected[: service.roster.MOST_TOLD]
    ]
    return ImportReport.model_validate({**vars(report), "rejected": rejected, "as_of": AsOf.of(at)})


@router.get(
    "/posts.xlsx",
    response_class=Response,
    responses={**responses_for(*PROTECTED, NetNotFoundError), 200: {"content": {XLSX: {}}}},
)
def export_posts(
    request: Request, session: SessionDep, viewer: PostKeepersDep, asked: AskedDep
) -> Response:
    """Return the posts of the own area as a workbook."""
    at = asked.moment(session)
    language = i18n.get_language(request)
    content = service.roster.export(session, viewer, at, service.seen_workers(viewer), language)
    name = f"{at.slug}-posts-{at.day}-net{at.seq}.xlsx"
    disposition = f'attachment; filename="{name}"'
    return Response(content, media_type=XLSX, headers={"Content-Disposition": disposition})
