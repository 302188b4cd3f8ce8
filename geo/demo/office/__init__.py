"""What the made-up city's office does beside issues, so that none of its pages begins empty."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from geo.dataset import CityDataset
from geo.demo.office import (
    campaigns,
    devices,
    firms,
    meetings,
    pictures,
    points,
    projects,
    shops,
    texts,
    wording,
)
from geo.demo.office.town import Town
from geo.terms import IssueAct

__all__ = ["furnish"]


def furnish(city: CityDataset, seed: int, until: np.datetime64) -> CityDataset:
    """Give a made-up city the life of its office in the year before a day.

    Parameters
    ----------
    city : CityDataset
        With its issues and their lives; one without issues is returned as it is.
    seed : int
        Same seed, same rows.
    until : datetime64
        First day after the year of requests, in the city's zone.

    Returns
    -------
    CityDataset
        With the frames of `geo.frames_office.OFFICE`. A few issues have come from a meeting or a
        thing, as `channel` says then.
    """
    if not len(city.issues):
        return city
    town = Town.of(city, seed, until)
    made: dict[str, Any] = {"accounts": town.accounts.frame()}
    said = wording.Said(town)
    made |= devices.frames(town, said)
    made |= meetings.frames(town, said)
    made |= shops.frames(town)
    made |= firms.frames(town)
    lead, made["issue_helpers"] = firms.led(town)
    made |= campaigns.frames(town, said)
    made |= projects.frames(town)
    made |= points.frames(town)
    made["answer_texts"] = texts.frame(town)
    made["photos"] = pictures.frame(town)
    made["issue_words"] = said.frame()
    issues = city.issues.copy()
    issues["channel"] = said.channels(issues["issue_id"], issues["channel"])
    firm = issues["issue_id"].map(lead).astype("Int64")
    issues["organisation_id"] = firm.fillna(issues["organisation_id"])
    events = _sent_to(city.issue_events, issues, made["issue_helpers"])
    return replace(city, issues=issues, issue_events=events, **made)


def _sent_to(events: pd.DataFrame, issues: pd.DataFrame, helpers: pd.DataFrame) -> pd.DataFrame:
    """Return histories whose lines of dispatch say to whom an issue was sent."""
    lead = issues.set_index("issue_id")["organisation_id"]
    helps = helpers.set_index("issue_id")["organisation_id"]
    sent = (events["act"] == IssueAct.DISPATCH.value).to_numpy()
    rows = events.loc[sent, "issue_id"]
    said = [
        json.dumps({
            "organisation": None if pd.isna(body) else int(body),
            "assisting": None if pd.isna(firm) else [int(firm)],
        })
        for body, firm in zip(rows.map(lead), rows.map(helps), strict=True)
    ]  # fmt: skip
    events = events.copy()
    events.loc[sent, "details"] = said
    return events
