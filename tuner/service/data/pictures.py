"""Small pictures of a data set's images: always made anew, so that no byte that somebody uploaded reaches a browser."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from trainable.data.decoding import decode
from tuner.service.data.listing import Picture, is_beneath
from tuner.service.errors import NotFoundError

SIDE_PIXELS = 160
_FILE_BYTES = 64 << 20
_PIXELS = 50_000_000


def thumbnail(picture: Picture, roots: Sequence[Path]) -> bytes:
    """A JPEG of an image, stretched to a square as training sees it.

    Raises:
        NotFoundError: it is gone, leads elsewhere, is too large or cannot be read.
    """
    path = Path(picture.path)
    if not is_beneath(path, roots):
        raise NotFoundError(f"{picture.image}: is not there any more")
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES + 1)
        with Image.open(io.BytesIO(data)) as image:
            pixels = image.width * image.height
    except Exception:  # Pillow's plugins raise a dozen types for bad files
        raise NotFoundError(f"{picture.image}: cannot be read") from None
    if len(data) > _FILE_BYTES or pixels > _PIXELS:
        raise NotFoundError(f"{picture.image}: is too large to be shown")
    decoded = decode(data, [SIDE_PIXELS])
    if not decoded.pictures:
        raise NotFoundError(f"{picture.image}: cannot be read ({decoded.error})")
    out = io.BytesIO()
    Image.fromarray(decoded.pictures[0]).save(out, "JPEG", quality=85)
    return out.getvalue()
