"""From plan to net: submitted, approved by a second person, rebased, published, begun, cancelled.

The application turns states and asks; nets are written by the owner alone, one transaction each.
"""

from geo.store.publishing.asking import ask, cancel, keep_up, work
from geo.store.publishing.errata import listing as errata
from geo.store.publishing.errata import put as put_erratum
from geo.store.publishing.handing import Begun, activate, settle, waiting
from geo.store.publishing.rebasing import Rebasing, rebase
from geo.store.publishing.settling import posts
from geo.store.publishing.settling import settle as settle_posts
from geo.store.publishing.turning import approve, card, submit, withdraw
from geo.store.publishing.writing import Published, publish

__all__ = [
    "Begun",
    "Published",
    "Rebasing",
    "activate",
    "approve",
    "ask",
    "cancel",
    "card",
    "errata",
    "keep_up",
    "posts",
    "publish",
    "put_erratum",
    "rebase",
    "settle",
    "settle_posts",
    "submit",
    "waiting",
    "withdraw",
    "work",
]
