"""Issues from report to close: an act is one transaction, one line of history, one of the log.

The contract for pages, API and commands (``service.cases``):

- `report(session, viewer, at, Report(...))` -> `Reported(issue, code, secret, created)`; exactly
  once by the client's id: the same again gives the same (created False), other content under the
  same id is `ReportTwiceError`. Anybody may report, an account is not needed.
- `act(session, viewer, issue, act, ActWish(...))` -> `Acted(issue, state, version, new)`; the table
  of `geo.issues` decides; `bulk` does it to many, each by itself, and says what became of each.
- `foresee(session, viewer, at, issues, act, ActWish(...))` -> who would get each and until when, by
  the code that does it; nothing is written.
- `desk(session, viewer, at, DeskFilter(...), turn)` -> page of issues on the viewer's desk, what
  falls due first first; `desk_counts` -> new, due_today, overdue, to_check, supervised.
- `texts`, `put_text`, `drop_text`, `texts_for_issue`: answer texts with places to fill;
  `sheets`, `put_sheet`, `drop_sheet`, `export`: issues in the columns of another platform.
- `show(session, viewer, at, issue)` -> the card: all columns, path of grids, `acts` that the viewer
  may do now; `history(session, viewer, issue)` -> lines, the oldest first.
- `contact(session, viewer, issue)` -> how the reporter is reached; the territory's desk alone,
  and the reading is a row of the log.
- `explain(session, at, category, line, moment)`, `explain_at` (by place) -> who would take it: a
  `Route` with its steps.
- `follow(session, code, secret)`, `answer(session, code, secret, satisfied, words)`,
  `reopen(session, code, secret, words)`, `near(session, lon, lat, radius_m)`: for residents, in the
  transaction of a public viewer of the city; they find nothing without the secret.
- `rates(session, viewer, at, RateFilter(...))` -> rows of rates for groups of a net of any date.
- `hand_over(session, city, seq)`: what is open follows a published net, with a reason.
- `warn_and_escalate(session, city, now)`, `retain(session, city, now, dry_run=True)`,
  `send(session, ...)`: the worker's.
"""

from geo.answers import PLACES
from geo.store.cases.acting import Acted, ActWish, act, bulk
from geo.store.cases.batch import take_in
from geo.store.cases.chores import do_chores
from geo.store.cases.desk import (
    DeskFilter,
    contact,
    desk,
    desk_counts,
    desk_levels,
    history,
    own_level,
    show,
)
from geo.store.cases.drawing import drawing
from geo.store.cases.exporting import Exported, drop_sheet, export, note_file, put_sheet, sheets
from geo.store.cases.following import answer, follow, near, reopen
from geo.store.cases.foreseeing import foresee
from geo.store.cases.handing import hand_over
from geo.store.cases.lapsing import warn_and_escalate
from geo.store.cases.rates import RateFilter, counts, rates
from geo.store.cases.reporting import Contact, Report, Reported, report
from geo.store.cases.retaining import Keep, erase, retain
from geo.store.cases.routing import NOT_OWN_RULES, Route, explain, explain_at
from geo.store.cases.rules import Rules, rules_of
from geo.store.cases.sending import send
from geo.store.cases.wording import Wording, drop_text, put_text, texts, texts_for_issue

__all__ = [
    "NOT_OWN_RULES",
    "PLACES",
    "ActWish",
    "Acted",
    "Contact",
    "DeskFilter",
    "Exported",
    "Keep",
    "RateFilter",
    "Report",
    "Reported",
    "Route",
    "Rules",
    "Wording",
    "act",
    "answer",
    "bulk",
    "contact",
    "counts",
    "desk",
    "desk_counts",
    "desk_levels",
    "do_chores",
    "drawing",
    "drop_sheet",
    "drop_text",
    "erase",
    "explain",
    "explain_at",
    "export",
    "follow",
    "foresee",
    "hand_over",
    "history",
    "near",
    "note_file",
    "own_level",
    "put_sheet",
    "put_text",
    "rates",
    "reopen",
    "report",
    "retain",
    "rules_of",
    "send",
    "sheets",
    "show",
    "take_in",
    "texts",
    "texts_for_issue",
    "warn_and_escalate",
]
