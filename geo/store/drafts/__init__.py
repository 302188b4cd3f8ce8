"""Drafts of the next net: opened at once, redrawn by many people, whole at every moment.

An edit is one transaction. It holds the cells of the city (a cut waits), keeps the plan a draft,
locks the rows of all grids that it touches and of their ancestors below the first common one in the
order of their numbers, looks again, and only then compares versions, writes, checks the rules where
something changed, and notes what takes it back.
"""

from geo.store.drafts import asking, comments, locks, news, proposing
from geo.store.drafts.acting import acting
from geo.store.drafts.dividing import divide
from geo.store.drafts.editing import Applied, apply, return_to, undo, undoes_a_cut
from geo.store.drafts.opening import delete, open_plan, set_members, set_rules
from geo.store.drafts.sweeping import pick, redraw
from geo.store.drafts.telling import cells, edits, grids, outlines, show, state
from geo.store.drafts.validating import check

__all__ = [
    "Applied",
    "acting",
    "apply",
    "asking",
    "cells",
    "check",
    "comments",
    "delete",
    "divide",
    "edits",
    "grids",
    "locks",
    "news",
    "open_plan",
    "outlines",
    "pick",
    "proposing",
    "redraw",
    "return_to",
    "set_members",
    "set_rules",
    "show",
    "state",
    "undo",
    "undoes_a_cut",
]
