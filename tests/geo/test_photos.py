"""Photos: only pixels survive, what cannot be written anew is refused, paint covers."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from random import Random

import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from geo.errors import PhotoRefusedError
from geo.photos import MOST_BYTES, SIDE_PX, THUMBNAIL_PX, Stroke, clean, cover

CANARY = b"CANARY-31.2304N-121.4737E"


def scene(width: int = 800, height: int = 600, mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (width, height), "white")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width // 2, height // 2), fill="red")
    return image


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_secrets(kind: str) -> bytes:
    """A photo with position, camera, XMP, comment and tail, a canary in each."""
    exif = Image.Exif()
    exif[0x010F] = CANARY.decode()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[29] = CANARY.decode()
    options: dict[str, object] = {"exif": exif}
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Comment", CANARY.decode())
        options["pnginfo"] = texts
    else:
        options["xmp"] = b"<x:xmpmeta>" + CANARY + b"</x:xmpmeta>"
    if kind == "JPEG":
        options["comment"] = CANARY
    return written(scene(), kind, **options) + CANARY


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_pixels_survives(kind: str) -> None:
    handed = with_secrets(kind)
    assert CANARY in handed
    photo = clean(handed)
    for content in (photo.content, photo.thumbnail):
        for trace in (CANARY, b"Exif", b"xmp", b"XMP", b"Photoshop", b"ICC_PROFILE"):
            assert trace not in content
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "JPEG"
            assert not image.getexif()
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert photo.sha256 == hashlib.sha256(photo.content).hexdigest()


def test_the_turn_of_the_camera_is_applied_before_it_is_lost() -> None:
    photo = clean(with_secrets("JPEG"))
    assert (photo.width, photo.height) == (600, 800)
    with Image.open(io.BytesIO(photo.content)) as image:
        right_upper = image.getpixel((500, 100))
    assert isinstance(right_upper, tuple)
    assert right_upper[0] > 200 > 60 > right_upper[1]


def test_large_photos_are_made_smaller_and_small_ones_stay() -> None:
    large = clean(written(scene(4000, 3000), "JPEG"))
    assert (large.width, large.height) == (SIDE_PX, SIDE_PX * 3 // 4)
    with Image.open(io.BytesIO(large.thumbnail)) as image:
        assert max(image.size) == THUMBNAIL_PX
    small = clean(written(scene(64, 48), "PNG"))
    assert (small.width, small.height) == (64, 48)


def test_what_can_be_seen_through_lies_on_white() -> None:
    glass = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    with Image.open(io.BytesIO(clean(written(glass, "PNG")).content)) as image:
        assert image.getpixel((50, 50)) == (255, 255, 255)


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is huge, with almost nothing in it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + end

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "kind"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "kind"),
        (b"GIF89a" + bytes(200), "kind"),
        (b"%PDF-1.7 " + bytes(100), "kind"),
        (bytes(MOST_BYTES + 1), "bytes"),
        (bomb(30_000, 30_000), "pixels"),
        (bomb(7_000, 7_000), "pixels"),
        (bomb(4_900, 5_000), "broken"),
        (written(scene(16, 400), "PNG"), "small"),
        (written(scene(), "JPEG")[:3000], "broken"),
    ],
)
def test_what_cannot_be_written_anew_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(PhotoRefusedError) as caught:
        clean(content)
    assert caught.value.data == {"field": "photo", "reason": reason}


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "JPEG"), ("P", "PNG"), ("RGBA", "WEBP")])
def test_the_turn_of_a_large_photo_survives_its_being_made_smaller(mode: str, kind: str) -> None:
    wide = Image.new("RGB", (2400, 1200), "white")
    wide.paste((200, 0, 0), (0, 0, 1200, 1200))
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright: what is left becomes the top
    buffer = io.BytesIO()
    wide.convert(mode).save(buffer, kind, exif=turned)
    photo = clean(buffer.getvalue())
    assert (photo.width, photo.height) == (800, 1600)
    with Image.open(io.BytesIO(photo.content)) as image:
        top, bottom = image.getpixel((400, 400)), image.getpixel((400, 1200))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[1] < 60
    assert bottom[1] > 200


def test_formats_that_no_phone_sends_are_not_even_decoded() -> None:
    for kind in ("TIFF", "BMP", "GIF", "PPM", "ICO"):
        with pytest.raises(PhotoRefusedError) as caught:
            clean(written(scene(), kind))
        assert caught.value.data["reason"] == "kind"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_bytes_are_refused_or_written_anew_and_never_raise_anything_else(kind: str) -> None:
    whole, random = with_secrets(kind), Random(7)
    refused = 0
    for _ in range(120):
        damaged = bytearray(whole)
        for _ in range(random.randint(1, 30)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        del damaged[random.randrange(len(damaged) // 2, len(damaged)) :]
        try:
            assert CANARY not in clean(bytes(damaged)).content
        except PhotoRefusedError:
            refused += 1
    assert refused > 0


def test_paint_covers_what_lies_under_the_brush_and_nothing_else() -> None:
    photo = clean(written(scene(), "JPEG"))
    covered = cover(photo.content, [Stroke([(0.1, 0.1), (0.3, 0.1)], 0.05)])
    assert covered.sha256 != photo.sha256
    with Image.open(io.BytesIO(covered.content)) as image:
        middle, far = image.getpixel((160, 60)), image.getpixel((700, 500))
    assert isinstance(middle, tuple)
    assert isinstance(far, tuple)
    assert max(abs(a - b) for a, b in zip(middle, (91, 103, 118), strict=True)) < 12
    assert min(far) > 245


@pytest.mark.parametrize(
    "strokes",
    [
        [],
        [Stroke([], 0.1)],
        [Stroke([(1.2, 0.5)], 0.1)],
        [Stroke([(0.5, float("nan"))], 0.1)],
        [Stroke([(0.5, 0.5)], 0.0)],
        [Stroke([(0.5, 0.5)], float("inf"))],
    ],
)
def test_a_brush_that_leaves_the_photo_is_refused(strokes: list[Stroke]) -> None:
    with pytest.raises(PhotoRefusedError) as caught:
        cover(written(scene(), "JPEG"), strokes)
    assert caught.value.data["reason"] == "brush"
