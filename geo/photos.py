"""Photos of places: decoded, limited, covered where faces are, and written anew without metadata.

Pure: bytes in, bytes out. A photo that cannot be written anew is refused; its original is never
kept, so that no position, time, owner or thumbnail of a phone survives.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from geo.errors import PhotoRefusedError

FORMATS = ("JPEG", "PNG", "WEBP")
"""What phones and browsers hand over; no other decoder of the library is ever asked."""
MOST_BYTES = 12_000_000
MOST_PIXELS = 50_000_000
MOST_PIXELS_WHOLE = 25_000_000
"""Of formats that cannot be decoded smaller than they are."""
LEAST_SIDE_PX = 32
SIDE_PX = 1600
THUMBNAIL_PX = 320
QUALITY = 82
_COVER = (91, 103, 118)


@dataclass(frozen=True)
class Photo:
    """A photo that may be kept.

    Attributes
    ----------
    content : bytes
        A JPEG whose longer side is at most `SIDE_PX`.
    thumbnail : bytes
        The same at `THUMBNAIL_PX`.
    width, height : int
        Of `content`, in pixels.
    sha256 : str
        Of `content`, in hexadecimal digits.
    """

    content: bytes
    thumbnail: bytes
    width: int
    height: int
    sha256: str


@dataclass(frozen=True)
class Stroke:
    """A line of the brush that covers a face or a plate.

    Attributes
    ----------
    points : sequence of (float, float)
        Shares of the width and the height, from the upper left corner, each 0 to 1.
    radius : float
        Share of the longer side, above 0 and at most 0.5.
    """

    points: Sequence[tuple[float, float]]
    radius: float


def clean(content: bytes) -> Photo:
    """Return a photo written anew from its pixels alone.

    The turn that a camera noted is applied before the note is lost.

    Parameters
    ----------
    content : bytes
        A JPEG, PNG or WebP as it was handed over.

    Raises
    ------
    PhotoRefusedError
        Its `reason` is `bytes`, `kind`, `pixels`, `small` or `broken`.
    """
    return _written(_pixels(content))


def cover(content: bytes, strokes: Sequence[Stroke]) -> Photo:
    """Return the photo with everything under the brush painted over in one colour.

    Paint, not blur: blurred faces and plates can be recovered.

    Parameters
    ----------
    content : bytes
        A photo, as `clean` wrote it.
    strokes : sequence of Stroke
        At least one.

    Raises
    ------
    PhotoRefusedError
        As `clean`; with the `reason` `brush` where a stroke leaves the photo or has no width.
    """
    if not strokes:
        raise PhotoRefusedError("Nothing was covered: draw over the face or plate first.", "brush")
    image = _pixels(content)
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        _paint(pen, image.size, stroke)
    return _written(image)


def _pixels(content: bytes) -> Image.Image:
    if len(content) > MOST_BYTES:
        raise PhotoRefusedError(
            f"The photo has {len(content):,} bytes; {MOST_BYTES:,} are allowed.", "bytes"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a camera's damaged notes do not spoil the pixels
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(
                    *image.size, MOST_PIXELS if image.format == "JPEG" else MOST_PIXELS_WHOLE
                )
                return _flat(ImageOps.exif_transpose(_reduced(image)))
    except UnidentifiedImageError:
        raise PhotoRefusedError(
            "This is no photo that can be read: JPEG, PNG and WebP can.", "kind"
        ) from None
    except PhotoRefusedError:
        raise
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, EOFError, MemoryError) as error:
        raise PhotoRefusedError(
            "The photo is damaged: take it again, or choose another one.", "broken"
        ) from error
    except Image.DecompressionBombError as error:
        raise PhotoRefusedError("The photo is too large to be unpacked.", "pixels") from error


def _reduced(image: Image.Image) -> Image.Image:
    """Return the pixels at the size that is kept: only this much is ever copied."""
    if max(image.size) <= SIDE_PX:
        image.load()
        return image
    if image.mode not in {"1", "P", "PA"}:
        image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)  # a JPEG is decoded smaller
        return image
    notes = image.getexif()
    seen = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    seen.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    seen.info["exif"] = notes.tobytes()
    return seen


def _check_size(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise PhotoRefusedError(
            f"The photo has {width} x {height} pixels; {most:,} are allowed.", "pixels"
        )
    if min(width, height) < LEAST_SIDE_PX:
        raise PhotoRefusedError(
            f"The photo has {width} x {height} pixels: nothing can be seen on it.", "small"
        )


def _flat(image: Image.Image) -> Image.Image:
    """Return the pixels as red, green and blue on white; nothing else of the file."""
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        seen = image.convert("RGBA")
        flat = Image.new("RGB", seen.size, "white")
        flat.paste(seen, mask=seen.getchannel("A"))
        return flat
    flat = Image.new("RGB", image.size)
    flat.paste(image.convert("RGB"))
    return flat


def _written(image: Image.Image) -> Photo:
    kept = image.copy()
    kept.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    small = kept.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    content = _jpeg(kept)
    return Photo(content, _jpeg(small), *kept.size, hashlib.sha256(content).hexdigest())


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def _paint(pen: ImageDraw.ImageDraw, size: tuple[int, int], stroke: Stroke) -> None:
    inside = all(0 <= x <= 1 and 0 <= y <= 1 for x, y in stroke.points)
    if not stroke.points or not inside or not 0 < stroke.radius <= 0.5:
        raise PhotoRefusedError("A stroke of the brush lies outside the photo.", "brush")
    width, height = size
    radius = max(1.0, stroke.radius * max(size))
    points = [(x * width, y * height) for x, y in stroke.points]
    if len(points) > 1:
        pen.line(points, fill=_COVER, width=round(2 * radius), joint="curve")
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_COVER)
