from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from trainable.data.decoding import decode


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colour(data: bytes) -> list[int]:
    decoded = decode(data, [4])
    assert decoded.error is None, decoded.error
    return decoded.pictures[0][1, 1].tolist()


def grey16(value: int) -> Image.Image:
    return Image.fromarray(np.full((3, 5), value, dtype=np.uint16))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (saved(Image.new("RGB", (5, 3), (10, 20, 30)), "PNG"), [10, 20, 30]),
        (saved(Image.new("L", (5, 3), 77), "PNG"), [77, 77, 77]),
        (saved(Image.new("1", (5, 3), 1), "PNG"), [255, 255, 255]),
        (saved(Image.new("RGBA", (5, 3), (0, 0, 0, 0)), "PNG"), [255, 255, 255]),
        (saved(Image.new("RGBA", (5, 3), (0, 0, 0, 128)), "PNG"), [127, 127, 127]),
        (saved(Image.new("LA", (5, 3), (0, 0)), "PNG"), [255, 255, 255]),
        (saved(Image.new("P", (5, 3), 0), "PNG", transparency=0), [255, 255, 255]),
        (saved(Image.new("RGB", (5, 3), (9, 9, 9)), "PNG", transparency=(9, 9, 9)), [255, 255, 255]),
        (saved(grey16(65535), "PNG"), [255, 255, 255]),
        (saved(grey16(257 * 40), "PNG"), [40, 40, 40]),
        (saved(grey16(257 * 40), "TIFF"), [40, 40, 40]),
        (saved(Image.new("CMYK", (5, 3), (0, 0, 0, 0)), "TIFF"), [255, 255, 255]),
        (saved(Image.new("CMYK", (5, 3), (0, 0, 0, 255)), "JPEG"), [0, 0, 0]),
    ],
)
def test_every_mode_becomes_rgb(data: bytes, expected: list[int]) -> None:
    assert np.abs(np.subtract(colour(data), expected)).max() <= 1


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (5, 3), shade) for shade in ("red", "lime")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert colour(data) == [255, 0, 0]


def test_the_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (8, 4), "black")
    image.paste("white", (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    decoded = decode(saved(image, "PNG", exif=exif), [4])
    assert (decoded.width, decoded.height) == (4, 8)
    assert decoded.pictures[0][0].min() > 200
    assert decoded.pictures[0][-1].max() < 50


def test_pictures_are_stretched_with_antialiasing() -> None:
    stripes = np.zeros((64, 128), dtype=np.uint8)
    stripes[:, ::2] = 255
    small, large = decode(saved(Image.fromarray(stripes), "PNG"), [8, 16]).pictures
    assert (small.shape, large.shape, small.dtype) == ((8, 8, 3), (16, 16, 3), np.uint8)
    assert np.abs(small.astype(int) - 127).max() < 12


def test_what_cannot_be_read_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = saved(noise, "JPEG")
    truncated = decode(whole[: len(whole) // 2], [4])
    assert truncated.error is not None
    assert "truncated" in truncated.error
    assert (truncated.width, truncated.height, truncated.mode, truncated.pictures) == (64, 64, "RGB", ())
    assert decode(saved(noise, "PNG")[:-600], [4]).error is not None
    assert decode(b"text", [4]).error == "not an image file"
    assert decode(b"", [4]).error == "not an image file"
    assert "floating-point" in str(decode(saved(Image.new("F", (2, 2)), "TIFF"), [4]).error)
    assert "16 bits" in str(decode(saved(Image.new("I", (2, 2), 70_000), "TIFF"), [4]).error)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with pytest.warns(Image.DecompressionBombWarning):
        assert "more than" in str(decode(whole, [4]).error)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "bomb" in str(decode(whole, [4]).error)
