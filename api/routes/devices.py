"""Things that tell of themselves: the list of those that may, and their signed alarms."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api import auth
from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep
from api.deps import AccessDep, AdministratorDep, SessionDep, StaffDep
from api.errors import responses_for
from api.routes.office import PROTECTED, Line, Wish
from api.schemas import Form
from geo import service
from geo.errors import (
    AlarmRefusedError,
    CityNotFoundError,
    InvalidInputError,
    NetNotFoundError,
    NotFoundError,
    OutsideCityError,
    ReportTwiceError,
    TooManyReportsError,
)
from geo.terms import DeviceKind

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

MOST_BYTES = 4_096
DevicePath = Annotated[int, Path(ge=1, le=MOST_ID)]
CodePath = Annotated[str, Path(min_length=10, max_length=10, pattern=r"^[0-9A-Z]+$")]
Stamp = Annotated[
    int,
    Header(alias="Wangge-Timestamp", ge=0, le=2**40, description="Seconds since 1970, as signed."),
]
Signature = Annotated[
    str,
    Header(
        alias="Wangge-Signature", max_length=80, pattern=r"^sha256=[0-9a-f]{64}$",
        description="`sha256=` and the HMAC-SHA-256, by the device's key, of stamp, point, body.",
    ),
]  # fmt: skip


class DeviceItem(Form):
    """A thing that may tell of itself, and what it told last."""

    device: int
    code: str
    name: str
    kind: DeviceKind
    category: str
    category_name: str
    category_name_en: str
    grid: int
    lon: float
    lat: float
    enabled: bool
    last_at: datetime | None
    alarms: int = Field(description="Of the last 30 days.")
    last_issue: int | None
    open_issue: int | None = Field(description="The issue that its next alarm joins.")


class Devices(Form):
    """The things of one's own areas."""

    items: list[DeviceItem]


class AlarmItem(Form):
    """What a thing told."""

    alarm: str
    at: datetime
    value: float | None
    unit: str | None
    words: str | None
    issue: int | None


class Alarms(Form):
    """What a thing told last."""

    items: list[AlarmItem]


class NewDevice(Wish):
    """A thing at a place, degrees."""

    name: Line
    kind: DeviceKind
    category: Line
    lon: Annotated[float, Field(ge=-180, le=180)]
    lat: Annotated[float, Field(ge=-90, le=90)]


class MadeDevice(Form):
    """Code and key of a new thing; the key is told this once."""

    device: int
    code: str
    secret: str


class DeviceChange(Wish):
    """What is changed; `new_key` makes the old key worthless."""

    name: Line | None = None
    category: Line | None = None
    enabled: bool | None = None
    new_key: bool = False


class ChangedDevice(Form):
    """The new key, if one was asked for; it is told this once."""

    secret: str | None


class AlarmWish(BaseModel):
    """What is sent: the alarm's own name, which makes it come in once; a figure; a few words."""

    model_config = ConfigDict(extra="forbid")

    alarm: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.:-]+$")]
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    unit: Line | None = None
    words: Line | None = None


class TakenAlarm(Form):
    """The issue that an alarm became, or that was open already."""

    issue: int | None
    created: bool


@router.get("/devices", responses=responses_for(*PROTECTED))
def list_devices(session: SessionDep, viewer: StaffDep) -> Devices:
    """List the things of one's own areas, those in alarm first.

    Raises
    ------
    ForbiddenError
        If the account does not belong to the city: 403.
    """
    found = service.devices.listed(session, viewer)
    return Devices(items=[DeviceItem.model_validate(row) for row in found])


@router.get("/devices/{device}/alarms", responses=responses_for(*PROTECTED, NotFoundError))
def list_alarms(session: SessionDep, viewer: StaffDep, device: DevicePath) -> Alarms:
    """List what a thing told last.

    Raises
    ------
    NotFoundError
        If one may see no such thing: 404.
    """
    found = service.devices.alarms(session, viewer, device)
    return Alarms(items=[AlarmItem.model_validate(row) for row in found])


@router.post(
    "/devices",
    status_code=201,
    responses=responses_for(*PROTECTED, NetNotFoundError, OutsideCityError),
)
def add_device(
    session: SessionDep, viewer: AdministratorDep, asked: AskedDep, wish: NewDevice
) -> MadeDevice:
    """Put a thing on the list; its key is told this once.

    Raises
    ------
    OutsideCityError
        If its place lies outside the city: 404.
    InvalidInputError
        If there is no such category, or its name is about persons: 422.
    """
    made = service.devices.add(session, viewer, asked.moment(session), **wish.model_dump())
    return MadeDevice.model_validate(made)


@router.patch("/devices/{device}", responses=responses_for(*PROTECTED, NotFoundError))
def change_device(
    session: SessionDep, viewer: AdministratorDep, device: DevicePath, wish: DeviceChange
) -> ChangedDevice:
    """Rename a thing, shut it or give it a new key.

    Raises
    ------
    NotFoundError
        If the city has no such thing: 404.
    """
    return ChangedDevice(
        secret=service.devices.change(session, viewer, device, **wish.model_dump())
    )


async def read_body(request: Request) -> bytes:
    """Return the body as it came: the signature is over its bytes.

    Raises
    ------
    InvalidInputError
        If it is too long for an alarm.
    """
    body = await request.body()
    if len(body) > MOST_BYTES:
        raise InvalidInputError(f"An alarm has at most {MOST_BYTES} bytes.", field="body")
    return body


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": AlarmWish.model_json_schema()}},
    }
}


@router.post(
    "/alarms/{code}",
    status_code=201,
    openapi_extra=BODY,
    responses={
        200: {"model": TakenAlarm, "description": "Came before, or its issue was open already."},
        **responses_for(CityNotFoundError, AlarmRefusedError, TooManyReportsError,
                        ReportTwiceError, NetNotFoundError),
    },
)  # fmt: skip
def take_alarm(
    request: Request,
    response: Response,
    access: AccessDep,
    asked: AskedDep,
    code: CodePath,
    stamp: Stamp,
    signature: Signature,
    body: Annotated[bytes, Depends(read_body)],
) -> TakenAlarm:
    """Take the alarm of a thing in: it becomes an issue at the thing's place, once.

    Raises
    ------
    AlarmRefusedError
        If no device of the list has signed it, or more than five minutes ago: 401.
    ReportTwiceError
        If another alarm came under this name: 409.
    TooManyReportsError
        If the device told more than 60 times within an hour: 429.
    InvalidInputError
        If it is no alarm, or its words hold what is personal: 422.
    """
    try:
        told = AlarmWish.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidInputError(f"This is no alarm: {first['msg']}.", field=field) from None
    try:
        taken = service.devices.take(
            access.session, access.viewer, asked.moment(access.session), code, stamp=stamp,
            signature=signature.removeprefix("sha256="), body=body,
            alarm=service.devices.Alarm(told.alarm, told.value, told.unit, told.words),
        )  # fmt: skip
    except AlarmRefusedError:
        request.app.state.strangers.admit("refused alarms", auth.client_address(request))
        raise
    if not taken.created:
        response.status_code = 200
    return TakenAlarm(issue=taken.issue, created=taken.created)
