"""What an issue came of, and on whose lists it stands."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import NotFoundError
from geo.store import rights
from geo.store.together import devices, meetings
from geo.store.together.campaigns import of_issue as campaigns_of
from geo.tables import Issue


def of_issue(session: Session, viewer: Viewer, issue: int) -> dict[str, list[dict[str, Any]]]:
    """Return devices, meetings and campaigns of an issue, as far as the viewer sees them.

    Raises
    ------
    NotFoundError
        If the viewer may see no such issue.
    """
    own = rights.issues_seen(viewer) if not viewer.city_wide else Issue.city_id == viewer.city_id
    seen = select(Issue.issue_id).where(Issue.issue_id == issue, own)
    if not viewer.staff or session.scalar(seen) is None:
        raise NotFoundError(f"There is no issue {issue}.", issue=issue)
    return {
        "devices": devices.of_issue(session, viewer, issue),
        "meetings": meetings.of_issue(session, viewer, issue),
        "campaigns": campaigns_of(session, viewer, issue),
    }
