"""Every named error: a stable code and plain data; no HTTP status, no translated text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class WanggeError(Exception):
    """Base of all errors that a caller is expected to handle.

    Parameters
    ----------
    message : str
        What happened, where, and what to do next, in plain English for logs and the command line.
    **data
        Plain values (str, int, float, list, dict) that identify the place.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class NotFoundError(WanggeError):
    """Something named does not exist, or the viewer may not know that it does."""

    code = "not_found"


class CityNotFoundError(NotFoundError):
    """No city has this short name."""

    code = "city_not_found"


class NetNotFoundError(NotFoundError):
    """The city has no net at this date or with this number."""

    code = "net_not_found"


class GridNotFoundError(NotFoundError):
    """The net of this date has no such grid."""

    code = "grid_not_found"


class PlanNotFoundError(NotFoundError):
    """The viewer is a member of no plan of this number."""

    code = "plan_not_found"


class OutsideCityError(NotFoundError):
    """A place lies in no cell of the city."""

    code = "outside_city"


class ForbiddenError(WanggeError):
    """The viewer is known and may not do this."""

    code = "forbidden"


class NotSignedInError(WanggeError):
    """What is asked for needs an account, and nobody is signed in."""

    code = "not_signed_in"


class SignInError(WanggeError):
    """Login and password do not match an enabled account."""

    code = "sign_in_failed"


class TooManyAttemptsError(WanggeError):
    """Sign-in is held back for a while; `retry_after_s` says how long."""

    code = "too_many_attempts"


class TooBusyError(WanggeError):
    """It cannot be answered at this moment; `retry_after_s` says when to come again."""

    code = "too_busy"


class TooManyReportsError(WanggeError):
    """A network hands in more than strangers may; `retry_after_s` says for how long."""

    code = "too_many_reports"


class AlarmRefusedError(WanggeError):
    """An alarm that no device of the list has signed, or too long ago."""

    code = "alarm_refused"


class ConflictError(WanggeError):
    """What is asked for contradicts what is stored."""

    code = "conflict"


class PlanStateError(ConflictError):
    """A plan is not in the state in which this can be done to it."""

    code = "plan_state"


class RebaseNeededError(ConflictError):
    """A later net was published since the plan was opened; `last_seq` is the one to rebase on."""

    code = "rebase_needed"


class RebaseConflictError(ConflictError):
    """A plan and a later net changed the same; `conflicts` lists each with its place as GeoJSON."""

    code = "rebase_conflict"


class PostsUnsettledError(ConflictError):
    """A plan ends grids whose posts have neither a successor nor are vacant; `posts` names them."""

    code = "posts_unsettled"


class StaleEditError(WanggeError):
    """Somebody has changed what an edit was made on; `newer` holds the grids as they are now."""

    code = "stale_edit"


class GridLockedError(WanggeError):
    """Another member keeps a grid of a plan for a while; `locked_by` says who."""

    code = "grid_locked"


class TooManyStreamsError(WanggeError):
    """An account, or this server, listens to as many streams of events as it may."""

    code = "too_many_streams"


class VersionMissingError(WanggeError):
    """An edit does not say on which versions it was made; `missing` holds the grids as they are."""

    code = "version_missing"


class PlanRuleError(WanggeError):
    """An edit breaks rules; `faults` lists each with its place as GeoJSON."""

    code = "plan_rule"


class IssueActError(ConflictError):
    """An issue cannot be treated so: in its state, by this account, or without a reason."""

    code = "issue_act"


class ReportTwiceError(ConflictError):
    """A report came under an id that another one, of other content, came under before."""

    code = "report_twice"


class InvalidInputError(WanggeError):
    """A value from outside cannot be used; `field` names it."""

    code = "invalid_input"


class PhotoRefusedError(InvalidInputError):
    """A photo cannot be kept; `reason`: `bytes`, `kind`, `pixels`, `small`, `broken`, `brush`."""

    code = "photo_refused"

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, field="photo", reason=reason)


class DivisionError(InvalidInputError):
    """A division that is wished for cannot be made; the message says which rule forbids it."""

    code = "cannot_divide"


class DatasetError(WanggeError):
    """A city handed to the loader has defects; `defects` lists them all.

    Parameters
    ----------
    defects : sequence of str
        One sentence for each defect.
    """

    code = "dataset_invalid"
    subject: ClassVar[str] = "The city's data has"

    def __init__(self, defects: Sequence[str]) -> None:
        listed = "\n".join(f"- {defect}" for defect in defects)
        super().__init__(f"{self.subject} {len(defects)} defect(s):\n{listed}")
        self.data = {"defects": list(defects)}


class ProfileError(DatasetError):
    """A country profile is incomplete or contradicts itself; `defects` lists all places."""

    code = "profile_invalid"
    subject = "The country profile has"


class RecipeError(DatasetError):
    """A recipe for an import is incomplete or contradicts itself; `defects` lists all places."""

    code = "recipe_invalid"
    subject = "The recipe has"


class DeliveryError(DatasetError):
    """Files that were handed over cannot be taken as they are; `defects` lists all reasons."""

    code = "delivery_invalid"
    subject = "What was delivered has"


class FileRefusedError(DeliveryError):
    """A file is not read: what it is, what is in it, or how large it is; `reason` is one word.

    Parameters
    ----------
    reason : str
        A stable word for programs: `unknown_format`, `too_large`, `hostile` ...
    defects : sequence of str
        One sentence for each: what, where, what to do.
    """

    code = "file_refused"
    subject: ClassVar[str] = "The file has"

    def __init__(self, reason: str, defects: Sequence[str]) -> None:
        super().__init__(defects)
        self.data = {"reason": reason, "defects": list(defects)}


class SandboxError(WanggeError):
    """Files from strangers are not opened here: the walls around the reader cannot be set up."""

    code = "sandbox_missing"


class TopologyError(WanggeError):
    """A geometry function got shapes it cannot work on (no metre CRS, invalid coverage ...)."""

    code = "topology"


class CutRefusedError(TopologyError):
    """Cells cannot be cut like this; `places` lists points, in the CRS of the cells."""

    code = "cut_refused"


class DatumError(TopologyError):
    """Places are in no datum that is known, or cannot tell in which one they are."""

    code = "datum"


class HierarchyError(DatasetError):
    """Parents, levels or children of grids contradict each other; `defects` lists all places."""

    code = "hierarchy"
    subject = "The hierarchy of grids has"


class CodeOverflowError(WanggeError):
    """A segment of a code scheme has no number left."""

    code = "code_overflow"


class CodeFormatError(WanggeError):
    """A code does not follow its scheme."""

    code = "code_format"


class DatabaseAwayError(WanggeError):
    """The database cannot be reached now."""

    code = "database_away"


class TookTooLongError(DatabaseAwayError):
    """A statement took longer than the application's transactions may, and was stopped."""

    code = "took_too_long"


class SetupError(WanggeError):
    """The machine lacks something that the program needs; `command` is the one line to type."""

    code = "setup"


class KeepingError(WanggeError):
    """A backup, a restoring or an upgrade cannot be done; nothing in use was changed."""

    code = "keeping"
