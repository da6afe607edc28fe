"""Small copies of images as data URLs, so that a page shows them wherever it goes."""

from __future__ import annotations

import base64
import functools
import io
from pathlib import Path

from trainable.data.decoding import to_rgb

SIDE_PIXELS = 112
QUALITY = 72
MOST_CHARACTERS = 400_000
"""of all pictures of a page together"""
_KEPT = 256


class Thumbnails:
    """Those of one page: what no longer fits is left out, what cannot be read as well."""

    def __init__(self, root: Path | None) -> None:
        """`root` is the folder that images are named from; None: there are no images here."""
        self._root = root
        self._room = MOST_CHARACTERS
        self._given: dict[str, str] = {}

    def of(self, image: str) -> str:
        """A data URL; empty where there is none."""
        if image not in self._given:
            found = _made(self._root / image) if self._root else ""
            self._given[image] = found if len(found) <= self._room else ""
            self._room -= len(self._given[image])
        return self._given[image]


def _made(path: Path) -> str:
    try:
        changed = path.stat().st_mtime_ns
    except (OSError, ValueError):  # ValueError: a null character in a name
        return ""
    return _thumbnail(path, changed)


@functools.lru_cache(_KEPT)
def _thumbnail(path: Path, changed: int) -> str:  # noqa: ARG001  (a file that changes is another one)
    """While a search runs its page is written again and again; few of its pictures change."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * SIDE_PIXELS, 2 * SIDE_PIXELS))  # a JPEG is decoded at a fraction of its size
            small = to_rgb(ImageOps.exif_transpose(image))
            small.thumbnail((SIDE_PIXELS, SIDE_PIXELS))
            file = io.BytesIO()
            small.save(file, "webp", quality=QUALITY)
    except Exception:  # Pillow's plugins raise a dozen types for bad files; all of them mean that there is no picture
        return ""
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")
