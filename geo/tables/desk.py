"""What a city's desks share: answer texts, and the columns of other platforms."""

from __future__ import annotations

from sqlalchemy import BigInteger, Identity
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import Base, CityKey, Now, TextKey, one_of, refers_to
from geo.terms import IssueAct


class AnswerText(Base):
    """A text with places to fill, for a category with all below it, for an act, or for all."""

    __tablename__ = "answer_text"
    __table_args__ = (
        refers_to("city"),
        refers_to("category", "category"),
        one_of("act", IssueAct),
    )

    city_id: Mapped[CityKey]
    text_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    category: Mapped[str | None]
    act: Mapped[str | None]
    title: Mapped[str]
    body: Mapped[str]
    changed_at: Mapped[Now]


class ExportSheet(Base):
    """How issues are written for another platform: its columns, as `geo.exports` reads them."""

    __tablename__ = "export_sheet"
    __table_args__ = (refers_to("city"),)

    city_id: Mapped[CityKey]
    name: Mapped[TextKey]
    title: Mapped[str]
    columns: Mapped[list[dict[str, object]]] = mapped_column(JSONB)
    changed_at: Mapped[Now]
