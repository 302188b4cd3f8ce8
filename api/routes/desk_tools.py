"""What desks of issues share: answer texts, other platforms' columns, live events."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api.asking import KNOWN_FIELDS, MOST_ID, AskedDep, Word
from api.deps import AdministratorDep, SessionDep, StaffDep
from api.desk_asking import DeskDep
from api.errors import responses_for
from api.formats import csv_file, plain_sheet
from api.routes.office import PROTECTED, XLSX, Line, Wish
from api.routes.plans_together import STREAM, Follow
from api.schemas import Form
from api.streams import DeskNews, Listener, Stream
from geo import service
from geo.errors import NetNotFoundError, NotFoundError, TooManyStreamsError
from geo.terms import IssueAct

router = APIRouter(prefix="/api/v1/cities/{city}", tags=["issues"], dependencies=[KNOWN_FIELDS])

TextPath = Annotated[int, Path(ge=1, le=MOST_ID)]
IssuePath = Annotated[int, Path(ge=1, le=MOST_ID)]
SheetPath = Annotated[str, Path(max_length=32, pattern=r"^[\w-]+$")]


# ---- answer texts --------------------------------------------------------------------------------


class AnswerTextItem(Form):
    """A text with places to fill, such as {category}; `filled` when it was asked for an issue."""

    text: int
    category: str | None
    act: IssueAct | None
    title: str
    body: str
    filled: str | None = None


class AnswerTexts(Form):
    """Answer texts, those of the nearest category first."""

    items: list[AnswerTextItem]


class AnswerTextWish(Wish):
    """What a text says, for a category with all below it and for an act, or for all."""

    title: Line
    body: Annotated[str, Field(max_length=2000)]
    category: Line | None = None
    act: IssueAct | None = None

    def wording(self) -> service.cases.Wording:
        """Return it as the service takes it."""
        return service.cases.Wording(self.title, self.body, self.category or None, self.act)


class MadeText(Form):
    """The text's number."""

    text: int


@router.get("/answer-texts", responses=responses_for(*PROTECTED))
def list_answer_texts(
    session: SessionDep,
    viewer: StaffDep,
    category: Word | None = None,
    act: IssueAct | None = None,
) -> AnswerTexts:
    """List the answer texts of the city's desks."""
    found = service.cases.texts(session, viewer, category=category, act=act)
    return AnswerTexts(items=[AnswerTextItem.model_validate(one) for one in found])


@router.get(
    "/issues/{issue}/answer-texts",
    responses=responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
)
def list_texts_for_issue(
    session: SessionDep, viewer: StaffDep, asked: AskedDep, issue: IssuePath
) -> AnswerTexts:
    """List the answer texts that fit an issue, with what is known put into their places.

    Raises
    ------
    NotFoundError
        If there is no such issue, or it belongs to others: 404.
    """
    at = asked.moment(session)
    found = service.cases.texts_for_issue(session, viewer, at, issue)
    return AnswerTexts(items=[AnswerTextItem.model_validate(one) for one in found])


@router.post("/answer-texts", status_code=201, responses=responses_for(*PROTECTED))
def create_answer_text(
    session: SessionDep, viewer: AdministratorDep, wish: AnswerTextWish
) -> MadeText:
    """Add an answer text."""
    return MadeText(text=service.cases.put_text(session, viewer, wish.wording()))


@router.put(
    "/answer-texts/{text}", status_code=204, responses=responses_for(*PROTECTED, NotFoundError)
)
def change_answer_text(
    session: SessionDep, viewer: AdministratorDep, text: TextPath, wish: AnswerTextWish
) -> Response:
    """Change an answer text.

    Raises
    ------
    NotFoundError
        If there is none: 404.
    """
    service.cases.put_text(session, viewer, wish.wording(), number=text)
    return Response(status_code=204)


@router.delete(
    "/answer-texts/{text}", status_code=204, responses=responses_for(*PROTECTED, NotFoundError)
)
def drop_answer_text(session: SessionDep, viewer: AdministratorDep, text: TextPath) -> Response:
    """Take an answer text away.

    Raises
    ------
    NotFoundError
        If there is none: 404.
    """
    service.cases.drop_text(session, viewer, text)
    return Response(status_code=204)


# ---- other platforms -----------------------------------------------------------------------------


class ExportColumn(Wish):
    """A column of another platform: a field of ours or a constant text."""

    title: Line
    field: Line | None = None
    text: Line | None = None
    words: Annotated[dict[str, Line], Field(max_length=100)] = Field(default_factory=dict)
    time: Line | None = None


class ExportItem(Form):
    """A mapping of the city's own, or one that is shipped."""

    name: str
    title: str
    own: bool
    columns: list[dict[str, Any]]


class Exports(Form):
    """Mappings, the city's own first."""

    items: list[ExportItem]


class ExportWish(Wish):
    """What a mapping is called, and its columns in their order."""

    title: Line
    columns: Annotated[list[ExportColumn], Field(min_length=1, max_length=60)]


@router.get("/exports", responses=responses_for(*PROTECTED))
def list_exports(session: SessionDep, viewer: StaffDep) -> Exports:
    """List the columns of other platforms in which issues can be exported."""
    found = service.cases.sheets(session, viewer)
    return Exports(items=[ExportItem.model_validate(one) for one in found])


@router.get(
    "/exports/{name}",
    response_class=Response,
    responses={
        **responses_for(*PROTECTED, NetNotFoundError, NotFoundError),
        200: {"content": {XLSX: {}, "text/csv": {}}},
    },
)
def export_issues(
    session: SessionDep,
    viewer: StaffDep,
    asked: AskedDep,
    narrow: DeskDep,
    name: SheetPath,
    f: Annotated[Literal["csv", "xlsx"], Query(description="Format of the file.")] = "xlsx",
    as_listed: Annotated[bool, Query(description="The list as it is narrowed.")] = False,
) -> Response:
    """Return the desk's issues in another platform's columns; a row of the log.

    With `from` and `to` everything reported in the period, closed or not, unless `as_listed`; else
    what is open.

    Raises
    ------
    NotFoundError
        If there is no such mapping: 404.
    """
    at = asked.moment(session)
    made = service.cases.export(session, viewer, at, name, narrow, as_listed=as_listed)
    file = f"{at.slug}-{name}-{at.day}"
    if f == "csv":
        return csv_file(plain_sheet(made.header, made.rows), file)
    headers = {"Content-Disposition": f'attachment; filename="{file}.xlsx"'}
    return Response(made.book(), media_type=XLSX, headers=headers)


@router.put("/exports/{name}", status_code=204, responses=responses_for(*PROTECTED))
def put_export(
    session: SessionDep, viewer: AdministratorDep, name: SheetPath, wish: ExportWish
) -> Response:
    """Keep a mapping under a name."""
    columns = [one.model_dump(exclude_none=True, exclude_defaults=True) for one in wish.columns]
    service.cases.put_sheet(session, viewer, name, wish.title, columns)
    return Response(status_code=204)


@router.delete(
    "/exports/{name}", status_code=204, responses=responses_for(*PROTECTED, NotFoundError)
)
def drop_export(session: SessionDep, viewer: AdministratorDep, name: SheetPath) -> Response:
    """Take a mapping of the city's own away.

    Raises
    ------
    NotFoundError
        If the city keeps none of this name: 404.
    """
    service.cases.drop_sheet(session, viewer, name)
    return Response(status_code=204)


# ---- live ----------------------------------------------------------------------------------------


@router.get(
    "/desk/events",
    response_model=None,
    responses=STREAM | responses_for(*PROTECTED, TooManyStreamsError),
)
def follow_desk(
    request: Request, viewer: StaffDep, asked: AskedDep, follow: Follow = True
) -> Stream:
    """Tell of changes on one's desk as server-sent events: `desk` with its counts.

    Raises
    ------
    TooManyStreamsError
        If the account has as many streams open as it may: 429.
    """
    listener = Listener(asked.city, viewer.user_id or 0, None, desk=True)
    return Stream(request, listener, DeskNews(asked), follow=follow)
