"""From the bytes of an image file to square 8-bit RGB pictures, or the reason why not."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

RESIZE_POLICY = "exif, white, stretch, bicubic"
"""Part of the cache's key: change it together with what `decode` does."""


@dataclass(frozen=True)
class Decoded:
    """What one file holds: size in pixels (upright), Pillow mode as stored, and why it cannot be read, if so."""

    width: int
    height: int
    mode: str
    error: str | None
    pictures: tuple[npt.NDArray[np.uint8], ...]
    """One per requested size, shape [size, size, 3]; empty with an error."""


def decode(data: bytes, sizes: Sequence[int]) -> Decoded:
    """Decode a whole file once and stretch it to each size x size; never raises for bad data.

    The EXIF orientation is applied, transparency is flattened on white, 16-bit grey is scaled to 8 bits, CMYK becomes
    RGB and an animation gives its first frame. The picture is stretched with antialiased bicubic filtering rather than
    cropped: labels of things at the edges stay true. Truncated files, decompression bombs and modes without a defined
    white (floating point) are unreadable: Pillow's `verify` passes truncated files, so everything is decoded in full.
    """
    from PIL import Image, ImageOps

    width, height, mode = 0, 0, ""
    try:
        with Image.open(io.BytesIO(data)) as image:
            (width, height), mode = image.size, image.mode
            if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
                raise ValueError(f"{width} x {height} pixels, more than the {Image.MAX_IMAGE_PIXELS} that are safe")
            image.load()
            upright = ImageOps.exif_transpose(image)
            width, height = upright.size
            rgb = to_rgb(upright)
            pictures = tuple(
                np.asarray(rgb.resize((size, size), Image.Resampling.BICUBIC), dtype=np.uint8) for size in sizes
            )
    except Exception as error:  # Pillow's plugins raise a dozen types for bad files; all of them mean unreadable
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Decoded(width, height, mode, "not an image file" if "cannot identify" in reason else reason, ())
    return Decoded(width, height, mode, None, pictures)


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, transparency flattened on white. Raises ValueError for modes without a defined white."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey: "I;16" and its byte orders, or "I" from older Pillow and TIFF
        values = np.asarray(image, dtype=np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"mode {image.mode} with values outside 16 bits; convert it to 8- or 16-bit")
        return Image.fromarray((values * 255 // 65535).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined white; convert the file to 8- or 16-bit")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        # "La" and "RGBa" (premultiplied) convert to RGBA only.
        opaque = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
