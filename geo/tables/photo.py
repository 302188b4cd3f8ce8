"""What residents add to issues besides words: photos, and that they see the same."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import Base, BigInt, CityKey, IdKey, Moment, Now, SmallInt, TextKey, refers_to


class Photo(Base):
    """A photo of an issue, written anew without metadata; private until a desk releases it.

    Its name is the phone's own, so that the same photo sent again stays one.
    """

    __tablename__ = "photo"
    __table_args__ = (
        refers_to("issue", "issue_id"),
        refers_to("user_account", "released_by"),
        UniqueConstraint("city_id", "issue_id", "name", name="uq_photo_name"),
        CheckConstraint("octet_length(content) <= 4000000", name="size"),
    )

    city_id: Mapped[CityKey]
    photo_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    issue_id: Mapped[BigInt]
    name: Mapped[str]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    thumbnail: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[SmallInt]
    height: Mapped[SmallInt]
    sha256: Mapped[str]
    handed_sha256: Mapped[str]
    """Of what was handed over, which is not kept: tells the same photo from another one."""
    added_at: Mapped[Now]
    covered_at: Mapped[Moment | None]
    released_at: Mapped[Moment | None]
    released_by: Mapped[BigInt | None]


class IssueSecond(Base):
    """Somebody else saw the same; only that, by a key that says nothing of who."""

    __tablename__ = "issue_second"
    __table_args__ = (refers_to("issue", "issue_id"), Index("ix_issue_second_at", "city_id", "at"))

    city_id: Mapped[CityKey]
    issue_id: Mapped[IdKey]
    client_key: Mapped[TextKey]
    at: Mapped[Now]
