"""In whose name the operator's command line works on plans."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import NotFoundError
from geo.saying import phrase
from geo.tables import UserAccount
from geo.terms import Role


def acting(session: Session, login: str) -> Viewer:
    """Return the account of a login as one who works on plans; for the owner.

    Raises
    ------
    NotFoundError
        If no enabled account has this login.
    """
    account = session.scalar(
        select(UserAccount).where(
            func.lower(UserAccount.login) == login.lower(), UserAccount.disabled_at.is_(None)
        )
    )
    if account is None:
        raise NotFoundError(phrase("Nobody has the login '%(login)s'.", login=login), login=login)
    return Viewer(Role(account.role), account.city_id, account.user_id)
