"""The log in words: what was done, and to what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from api import i18n
from api.i18n import marked

ACTIONS: Final[Mapping[str, str]] = {
    "account.areas_changed": marked("Areas of an account changed"),
    "account.created": marked("Account made"),
    "account.disabled": marked("Account shut"),
    "account.enabled": marked("Account opened again"),
    "account.password_set": marked("New password set"),
    "accounts.read": marked("Accounts read"),
    "address.decided": marked("Address decided"),
    "address.forgotten": marked("Address erased"),
    "answer_text.dropped": marked("Answer text taken away"),
    "answer_text.put": marked("Answer text set"),
    "backup.made": marked("Backup made"),
    "backup.restored": marked("Backup restored"),
    "category.put": marked("Category set"),
    "cells.cut": marked("Cells cut finer"),
    "cells.uncut": marked("Cutting of cells taken back"),
    "city.create": marked("City begun"),
    "city.demo": marked("Demo city made"),
    "city.drop": marked("City dropped"),
    "city.import": marked("City imported"),
    "city.load": marked("City loaded"),
    "export_sheet.dropped": marked("Columns of an export taken away"),
    "export_sheet.put": marked("Columns of an export set"),
    "import.done": marked("Delivery imported"),
    "import.undone": marked("Import taken back"),
    "issue.accept": marked("Issue accepted"),
    "issue.answer": marked("Reporter said satisfied or not"),
    "issue.check": marked("Issue checked on site"),
    "issue.close": marked("Issue closed"),
    "issue.contact_read": marked("Contact of a reporter read"),
    "issue.dispatch": marked("Issue dispatched"),
    "issue.end_supervision": marked("Supervision ended"),
    "issue.erase": marked("Words and contact of an issue erased"),
    "issue.erased_again": marked("Erased again what a backup brought back"),
    "issue.escalate": marked("Issue escalated"),
    "issue.export": marked("Issues exported for another platform"),
    "issue.hand_over": marked("Issues handed over to a new net"),
    "issue.handle": marked("Issue handled"),
    "issue.import": marked("Issues imported"),
    "issue.joint_dispatch": marked("Departments called together"),
    "issue.merge": marked("Issue merged into another"),
    "issue.note": marked("Note on an issue"),
    "issue.park": marked("Issue parked"),
    "issue.postpone": marked("Issue postponed"),
    "issue.put_back": marked("Issue counted again"),
    "issue.reclassify": marked("Issue put into another category"),
    "issue.register": marked("Issue registered"),
    "issue.reopen": marked("Issue opened again"),
    "issue.report": marked("Issue reported"),
    "issue.resume": marked("Issue resumed"),
    "issue.retain": marked("Old words and contacts erased"),
    "issue.return": marked("Issue returned"),
    "issue.rework": marked("Issue sent back for rework"),
    "issue.rules": marked("Rules of issues changed"),
    "issue.set_aside": marked("Issue set aside"),
    "issue.solve_on_the_spot": marked("Issue solved on the spot"),
    "issue.split": marked("Issue split"),
    "issue.supervise": marked("Issue supervised"),
    "issue.suspend": marked("Issue suspended"),
    "issue.take_up": marked("Parked issue taken up again"),
    "issue.verify": marked("Issue verified"),
    "issue.void": marked("Issue made void"),
    "issue.warn": marked("Desk warned of a deadline"),
    "level.changed": marked("Level changed"),
    "notice.changed": marked("Notice changed"),
    "photo.add": marked("Photo added"),
    "photo.cover": marked("Photo painted over"),
    "photo.hide": marked("Photo hidden"),
    "photo.read": marked("Private photo looked at"),
    "photo.release": marked("Photo released"),
    "plan.comment": marked("Plan commented on"),
    "net.activate": marked("Net begun"),
    "net.cancel": marked("Net cancelled"),
    "net.erratum": marked("Erratum of a net"),
    "net.publish": marked("Net published"),
    "plan.approve": marked("Plan approved"),
    "plan.delete": marked("Plan deleted"),
    "plan.edit": marked("Plan redrawn"),
    "plan.lapse": marked("Approval of a plan lapsed"),
    "plan.members": marked("Members of a plan changed"),
    "plan.lock": marked("Grids of a plan kept by a member"),
    "plan.open": marked("Plan opened"),
    "plan.resolve": marked("Comment on a plan resolved or opened again"),
    "plan.posts": marked("Posts of ended grids settled"),
    "plan.publish": marked("Publication asked for"),
    "plan.rebase": marked("Plan put on a later net"),
    "plan.rules": marked("Rules of a plan changed"),
    "plan.submit": marked("Plan submitted"),
    "plan.withdraw": marked("Plan withdrawn"),
    "plan.unlock": marked("Grids of a plan given back"),
    "notice.created": marked("Notice put up"),
    "notice.withdrawn": marked("Notice taken down"),
    "phone_link.created": marked("Link for a phone made"),
    "post.assigned": marked("Post given to somebody"),
    "post.changed": marked("Post changed"),
    "post.created": marked("Post opened"),
    "post.ended": marked("Post ended"),
    "posts.imported": marked("Roster taken in"),
    "schema.upgraded": marked("Database upgraded"),
    "session.closed": marked("Signed out"),
    "session.opened": marked("Signed in"),
    "session.refused": marked("Sign-in refused"),
    "session.revoked": marked("Session ended by the office"),
    "station_kind.put": marked("Kind of station set"),
    "worker.changed": marked("Worker changed"),
    "worker.created": marked("Worker entered"),
    "workers.read": marked("Workers read"),
}
"""What each action of the log is called."""

OBJECTS: Final[Mapping[str, str]] = {
    "account": marked("Account"),
    "accounts": marked("Accounts"),
    "address": marked("Address"),
    "answer_text": marked("Answer text"),
    "backup": marked("Backup"),
    "category": marked("Category"),
    "city": marked("City"),
    "delivery": marked("Delivery"),
    "export_sheet": marked("Columns of an export"),
    "issue": marked("Issue"),
    "issues": marked("Issues"),
    "level": marked("Level"),
    "limit_rule": marked("Limit"),
    "net": marked("Net"),
    "notice": marked("Notice"),
    "plan": marked("Plan"),
    "post": marked("Post"),
    "posts": marked("Posts"),
    "routing_rule": marked("Rule of who takes what"),
    "schema": marked("Database"),
    "station_kind": marked("Kind of station"),
    "worker": marked("Worker"),
    "workers": marked("Workers"),
    "working_calendar": marked("Working day"),
}
"""What the objects of the log are called, by the beginning of their path."""


def action_word(action: str, language: str) -> str:
    """Return an action in words; one of a later version stays as it is written."""
    word = ACTIONS.get(action)
    return action if word is None else str(i18n.translations(language).gettext(word))


def object_word(path: str, language: str) -> str:
    """Return an object in words, such as "Account 7"; one of a later version stays as it is."""
    kind, _, own = path.partition("/")
    word = OBJECTS.get(kind)
    if word is None:
        return path
    return f"{i18n.translations(language).gettext(word)} {own}".strip()
