"""Accounts, sign-ins and the log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from geo.tables.base import (
    Base,
    BigInt,
    CityKey,
    IdKey,
    Json,
    Moment,
    Now,
    SmallInt,
    TextKey,
    one_of,
    refers_to,
)
from geo.terms import Role


class UserAccount(Base):
    """A local account; the login is unique without regard to case."""

    __tablename__ = "user_account"
    __table_args__ = (
        refers_to("city"),
        ForeignKeyConstraint(["city_id", "worker_id"], ["worker.city_id", "worker.worker_id"]),
        refers_to("organisation", "organisation_id"),
        one_of("role", Role),
        UniqueConstraint("user_id"),
        Index("uq_user_account_login", text("lower(login)"), unique=True),
    )

    city_id: Mapped[CityKey]
    user_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    login: Mapped[str]
    display_name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    worker_id: Mapped[BigInt | None]
    organisation_id: Mapped[BigInt | None]
    demo: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Now]
    disabled_at: Mapped[datetime | None]


class AreaGrant(Base):
    """A grid, with all below it, in which an account acts."""

    __tablename__ = "area_grant"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "user_id"],
            ["user_account.city_id", "user_account.user_id"],
            ondelete="CASCADE",
        ),
        refers_to("grid", "grid_id"),
    )

    city_id: Mapped[CityKey]
    user_id: Mapped[IdKey]
    grid_id: Mapped[IdKey]


class UserSession(Base):
    """A sign-in; only the hash of its token is kept."""

    __tablename__ = "user_session"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "user_id"],
            ["user_account.city_id", "user_account.user_id"],
            ondelete="CASCADE",
        ),
        Index("ix_user_session_user", "city_id", "user_id"),
        UniqueConstraint("session_id"),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    city_id: Mapped[SmallInt]
    user_id: Mapped[BigInt]
    created_at: Mapped[Now]
    expires_at: Mapped[Moment]
    revoked_at: Mapped[datetime | None]
    remembered: Mapped[bool] = mapped_column(server_default=text("false"))
    device: Mapped[str | None]


class SignInLink(Base):
    """A link that signs one account in once; only the hash of its token is kept."""

    __tablename__ = "sign_in_link"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "user_id"],
            ["user_account.city_id", "user_account.user_id"],
            ondelete="CASCADE",
        ),
        Index("ix_sign_in_link_user", "city_id", "user_id"),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    city_id: Mapped[SmallInt]
    user_id: Mapped[BigInt]
    created_by: Mapped[BigInt]
    created_at: Mapped[Now]
    expires_at: Mapped[Moment]
    used_at: Mapped[datetime | None]


class SignInAttempt(Base):
    """Failed sign-ins of one account or address, under a hash of its name."""

    __tablename__ = "sign_in_attempt"

    key_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[Moment]


class Audit(Base):
    """Append-only log; each row's hash covers the row before it. City 0 is the installation."""

    __tablename__ = "audit"

    city_id: Mapped[CityKey]
    n: Mapped[IdKey]
    at: Mapped[Moment]
    actor_id: Mapped[BigInt | None]
    actor_role: Mapped[str | None]
    action: Mapped[str]
    object: Mapped[str]
    payload: Mapped[Json]
    prev_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(Base):
    """The last link of each city's log: the row that serialises appending."""

    __tablename__ = "audit_head"

    city_id: Mapped[CityKey]
    n: Mapped[BigInt]
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AppSecret(Base):
    """Secrets of the installation; the application role cannot read them."""

    __tablename__ = "app_secret"

    name: Mapped[TextKey]
    value: Mapped[bytes] = mapped_column(LargeBinary)
