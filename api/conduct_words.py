"""Words of the pages of property firms, of inspected places and of service points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from api.i18n import marked
from geo.terms import InspectionKind, InspectionResult, Offer, RatingAct, RatingState, ShopKind

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "kinds": {
        InspectionKind.FIRE: marked("fire safety"),
        InspectionKind.FOOD: marked("food"),
        InspectionKind.GAS: marked("gas"),
        InspectionKind.HYGIENE: marked("cleanliness"),
        InspectionKind.FRONTAGE: marked("frontage"),
        InspectionKind.LIFTS: marked("lifts"),
        InspectionKind.SERVICE: marked("service of the compound"),
    },
    "results": {
        InspectionResult.PASSED: marked("in order"),
        InspectionResult.MENDED: marked("mended on the spot"),
        InspectionResult.TO_MEND: marked("to be mended"),
        InspectionResult.STOPPED: marked("stopped until mended"),
    },
    "shops": {
        ShopKind.FOOD: marked("food and drink"),
        ShopKind.RETAIL: marked("retail"),
        ShopKind.SERVICE: marked("services"),
        ShopKind.WORKSHOP: marked("workshop"),
        ShopKind.LODGING: marked("lodging"),
        ShopKind.OTHER: marked("other shop"),
    },
    "offers": {
        Offer.WATER: marked("drinking water"),
        Offer.REST: marked("a place to rest"),
        Offer.MEDICINE: marked("first aid"),
        Offer.MENDING: marked("mending"),
        Offer.HAIRCUT: marked("haircuts"),
        Offer.MEALS: marked("meals"),
        Offer.LESSONS: marked("lessons"),
        Offer.ADVICE: marked("advice"),
        Offer.GREEN: marked("care of greenery"),
        Offer.OTHER: marked("other help"),
    },
    "acts": {
        RatingAct.TELL: marked("told"),
        RatingAct.ANSWER: marked("Answer"),
        RatingAct.APPEAL: marked("Appeal"),
        RatingAct.DECIDE: marked("Decision"),
        RatingAct.WITHDRAW: marked("Withdrawal"),
    },
    "counts": {
        "reported": marked("an issue that was reported"),
        "overdue": marked("an issue past its deadline, while it was the firm's"),
        "reworked": marked("an issue sent back, while it was the firm's"),
        "reopened": marked("an issue opened again, while it was the firm's"),
        "inspection": marked("an inspection of the compound"),
    },
    "states": {
        RatingState.TOLD: marked("told to the firm"),
        RatingState.APPEALED: marked("appeal open"),
        RatingState.DECIDED: marked("appeal decided"),
        RatingState.WITHDRAWN: marked("withdrawn"),
    },
}
"""Codes of fixed lists -> words."""


def told(word: Callable[[str], str]) -> dict[str, dict[str, str]]:
    """Return all lists in the reader's language."""
    return {
        name: {str(code): word(text) for code, text in codes.items()}
        for name, codes in WORDS.items()
    }
