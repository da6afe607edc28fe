"""Labelled images as one archive."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainable.errors import UserError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""endings of names; images do not get smaller by being packed"""


@contextmanager
def packed(data: Path) -> Iterator[Path]:
    """An archive of a folder, for as long as it is needed; an archive as it is.

    Raises:
        UserError: it is neither, or cannot be read.
    """
    if data.is_file() and data.name.lower().endswith(ARCHIVES):
        yield data
        return
    if not data.is_dir():
        kind = "is a file" if data.exists() else "is not there"
        raise UserError(f"data {data}: {kind}; give the folder with the images and their table, or an archive of it")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "data.tar"
        try:
            with tarfile.open(archive, "w", dereference=True) as tar:
                for path in sorted(data.iterdir()):
                    tar.add(path, path.name)
        except OSError as error:
            raise UserError(f"data {data}: cannot be packed ({error})") from None
        yield archive
