"""Photos of the made-up city: simple drawn pictures of what is wrong, nobody on them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import Rng, Town

PHOTOS: Final = 36
MOST: Final = 60
SINCE_DAYS: Final = 30
WIDTH: Final = 720
HEIGHT: Final = 540
GROUND_Y: Final = 350
Pen = ImageDraw.ImageDraw


def frame(town: Town) -> pd.DataFrame:
    """Return the frame `photos`; a third of them was released by a desk."""
    rng = town.rng(9)
    scenes = list(SCENES.items())
    rows: list[dict[str, Any]] = []
    for turn in range(min(town.many(PHOTOS, 10), MOST)):
        code, draw = scenes[turn % len(scenes)]
        found = _issue(town, code, rng)
        if found is None:
            continue
        reported = found.reported_at.tz_localize(None).to_datetime64().astype("datetime64[s]")
        added = min(reported + np.timedelta64(90, "s"), town.now)
        released = None if turn % 3 else min(added + np.timedelta64(5 * 3600, "s"), town.now)
        rows.append({
            "photo_id": len(rows) + 1, "issue_id": found.issue_id, "name": f"photo-{turn + 1}",
            "content": _picture(draw, rng), "added_at": added, "released_at": released,
            "released_by": town.desk(found.subdistrict)[0] if released is not None else None,
        })  # fmt: skip
    names = ("photo_id", "issue_id", "name", "content", "added_at", "released_at", "released_by")
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in names}
    columns["released_by"] = pd.array(columns["released_by"], dtype="Int64")
    columns["released_at"] = pd.to_datetime(pd.Series(columns["released_at"]), utc=True)
    return shaped("photos", columns, METRE_SRID)


def _issue(town: Town, code: str, rng: Rng) -> Any:
    """Return an issue of a category for a photo: one that is open, else a late one."""
    rows = town.issues
    late = rows["reported_at"].dt.tz_localize(None).to_numpy() >= town.moment(-SINCE_DAYS, 0)
    fits = rows["category"].str.startswith(code) & late & rows["set_aside"].isna()
    still = fits & ~rows["state"].isin(["closed", "void"])
    able = rows.loc[still if still.any() else fits]
    return None if able.empty else next(able.iloc[[int(rng.integers(0, len(able)))]].itertuples())


def _picture(draw: Callable[[Pen, Rng], None], rng: Rng) -> str:
    """Return a street scene as JPEG in base64."""
    sky = (186 + int(rng.integers(0, 30)), 208, 226)
    image = Image.new("RGB", (WIDTH, HEIGHT), sky)
    pen = ImageDraw.Draw(image)
    x = -20
    while x < WIDTH:
        wide, high = int(rng.integers(70, 150)), int(rng.integers(90, 250))
        grey = int(rng.integers(150, 205))
        pen.rectangle(
            (x, GROUND_Y - 60 - high, x + wide, GROUND_Y), fill=(grey, grey - 6, grey - 14)
        )
        for at_x in range(x + 12, x + wide - 18, 26):
            for at_y in range(GROUND_Y - 50 - high, GROUND_Y - 40, 34):
                pen.rectangle((at_x, at_y, at_x + 12, at_y + 18), fill=(122, 144, 160))
        x += wide + int(rng.integers(4, 26))
    pen.rectangle((0, GROUND_Y, WIDTH, GROUND_Y + 46), fill=(188, 184, 176))
    for at_x in range(0, WIDTH, 40):
        pen.line((at_x, GROUND_Y, at_x - 18, GROUND_Y + 46), fill=(168, 164, 156), width=2)
    pen.rectangle((0, GROUND_Y + 46, WIDTH, HEIGHT), fill=(92, 94, 98))
    for at_x in range(20, WIDTH, 130):
        pen.rectangle((at_x, GROUND_Y + 122, at_x + 66, GROUND_Y + 130), fill=(226, 226, 220))
    draw(pen, rng)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=86)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _rubbish(pen: Pen, rng: Rng) -> None:
    for _ in range(26):
        x, y = 300 + int(rng.normal(60, 70)), GROUND_Y + 18 + int(rng.integers(0, 60))
        r = int(rng.integers(10, 26))
        tone = int(rng.integers(30, 120))
        pen.ellipse((x - r, y - r, x + r, y + r // 2), fill=(tone, tone + 10, tone - 20))


def _cars(pen: Pen, rng: Rng) -> None:
    for n in range(4):
        x, y = 40 + n * 168 + int(rng.integers(-12, 12)), GROUND_Y + 24 + 8 * (n % 2)
        paint = tuple(int(c) for c in rng.integers(70, 210, 3))
        pen.rounded_rectangle((x, y, x + 150, y + 46), 12, fill=paint)
        pen.rounded_rectangle((x + 30, y - 26, x + 112, y + 10), 12, fill=paint)
        pen.rectangle((x + 40, y - 18, x + 100, y + 4), fill=(60, 72, 84))
        for wheel in (x + 30, x + 118):
            pen.ellipse((wheel - 15, y + 32, wheel + 15, y + 62), fill=(28, 28, 30))


def _cycles(pen: Pen, rng: Rng) -> None:
    for n in range(11):
        x, y = 70 + n * 52 + int(rng.integers(-14, 14)), GROUND_Y + 30 + int(rng.integers(-8, 20))
        tone = ((236, 190, 40), (70, 150, 220), (90, 180, 110))[n % 3]
        for wheel in (x, x + 46):
            pen.ellipse((wheel - 17, y - 17, wheel + 17, y + 17), outline=(30, 30, 34), width=4)
        pen.line((x, y, x + 22, y - 26, x + 46, y), fill=tone, width=6)


def _lamp(pen: Pen, rng: Rng) -> None:
    x = 330 + int(rng.integers(-60, 60))
    pen.rectangle((0, 0, WIDTH, HEIGHT), fill=(24, 28, 44))
    pen.rectangle((0, GROUND_Y + 46, WIDTH, HEIGHT), fill=(40, 42, 50))
    pen.rectangle((x, 110, x + 10, GROUND_Y + 40), fill=(96, 100, 110))
    pen.line((x + 5, 112, x + 96, 92), fill=(96, 100, 110), width=9)
    pen.ellipse((x + 84, 84, x + 130, 108), fill=(60, 62, 70))
    for at in range(30, WIDTH, 190):
        pen.rectangle((at, 190, at + 18, 214), fill=(232, 206, 120))


def _manhole(pen: Pen, rng: Rng) -> None:
    x, y = 320 + int(rng.integers(-40, 40)), GROUND_Y + 110
    pen.ellipse((x - 120, y - 34, x + 120, y + 44), fill=(20, 20, 22))
    pen.ellipse((x - 70, y - 46, x + 150, y + 22), fill=(74, 72, 70), outline=(40, 40, 42), width=6)
    for n in range(5):
        pen.line((x - 40 + n * 36, y - 36, x - 26 + n * 36, y + 10), fill=(50, 50, 52), width=5)


def _water(pen: Pen, rng: Rng) -> None:
    pen.ellipse((60, GROUND_Y + 50, WIDTH - 80, HEIGHT - 20), fill=(108, 124, 132))
    for n in range(7):
        y = GROUND_Y + 74 + n * 14
        pen.arc((150 + n * 8, y, 420 + n * 22, y + 26), 10, 170, fill=(168, 186, 194), width=3)


def _works(pen: Pen, rng: Rng) -> None:
    for n in range(9):
        x = n * 84 + int(rng.integers(-4, 4))
        pen.rectangle((x, GROUND_Y - 110, x + 80, GROUND_Y + 20), fill=(64, 128, 170))
        pen.line((x, GROUND_Y - 110, x + 80, GROUND_Y - 110), fill=(230, 230, 230), width=8)
    for _ in range(420):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(150, GROUND_Y + 60))
        pen.point((x, y), fill=(206, 190, 160))
    pen.polygon(
        ((380, GROUND_Y + 44), (520, GROUND_Y - 40), (660, GROUND_Y + 44)), fill=(150, 124, 88)
    )


def _stairs(pen: Pen, rng: Rng) -> None:
    pen.rectangle((0, 0, WIDTH, HEIGHT), fill=(206, 202, 192))
    for n in range(9):
        pen.rectangle((90 + n * 60, 500 - n * 50, WIDTH, 512 - n * 50), fill=(160, 156, 148))
    for _ in range(8):
        x, y = 40 + int(rng.integers(0, 300)), 330 + int(rng.integers(0, 120))
        wide = int(rng.integers(50, 110))
        pen.rectangle(
            (x, y, x + wide, y + wide * 2 // 3), fill=(176, 134, 84), outline=(120, 88, 50), width=3
        )
        pen.line((x, y + wide // 3, x + wide, y + wide // 3), fill=(210, 182, 130), width=6)


SCENES: Final[dict[str, Callable[[Pen, Rng], None]]] = {
    "E0101": _rubbish, "E0403": _cars, "E0404": _cycles, "C0101": _lamp, "C0102": _manhole,
    "E0504": _water, "E0302": _works, "E0603": _stairs,
}  # fmt: skip
"""What is drawn for issues of a category."""
