"""The pictures of a data set, listed by a process of its own: tables of strangers are read there, not in the server.

    python -m tuner.service.data.listing CONFIG ROOTS LIST

writes a line for each picture, in an order that is as good as random and always the same.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from trainable.data.manifest import read_manifest
from trainable.errors import UserError
from tuner.config import DataConfig

_SHOWN_MISTAKES = 20


@dataclass(frozen=True)
class Picture:
    """An image of a data set."""

    image: str
    """as the data call it"""
    path: str
    labels: tuple[str, ...]
    split: str | None


def list_pictures(config: DataConfig, roots: Sequence[Path]) -> list[Picture]:
    """All images, each of which lies beneath one of the roots, links followed.

    Raises:
        UserError: the data cannot be read, or lead elsewhere.
    """
    manifest = read_manifest(
        config.path,
        task=config.task,
        layout=config.layout,
        image_column=config.image_column,
        label_column=config.label_column,
        labels_separator=config.labels_separator,
    )
    astray = [row.image for row in manifest.rows if not is_beneath(row.path, roots)]
    if astray:
        more = [f"and {len(astray) - _SHOWN_MISTAKES} more"] if len(astray) > _SHOWN_MISTAKES else []
        told = (f"{image}: lies outside the folders that data may come from" for image in astray[:_SHOWN_MISTAKES])
        raise UserError(*told, *more)
    rows = sorted(manifest.rows, key=lambda row: hashlib.sha256(row.image.encode("utf-8", "replace")).digest())
    return [Picture(row.image, str(row.path), row.labels, row.split) for row in rows]


def is_beneath(path: Path, roots: Iterable[Path]) -> bool:
    """Whether a path leads beneath one of these folders, which have no links in them, once links are followed."""
    try:
        found = path.resolve()
    except (OSError, RuntimeError):  # links that lead in a circle
        return False
    return any(found.is_relative_to(root) for root in roots)


def read_listing(file: Path, start: int, count: int) -> list[Picture]:
    """Some of a list; none where there is no list."""
    try:
        with file.open(encoding="utf-8") as lines:
            return [Picture(**json.loads(line)) for line in islice(lines, start, start + count)]
    except OSError:
        return []


def arguments(config: DataConfig, roots: Sequence[Path], file: Path) -> list[str]:
    """What starts the process that lists; it tells its mistakes on stderr and ends with 2."""
    given = config.model_dump_json(), json.dumps([str(root) for root in roots]), str(file)
    return [sys.executable, "-m", "tuner.service.data.listing", *given]


def main(config: str, roots: str, file: str) -> None:
    """What the process does."""
    try:
        pictures = list_pictures(DataConfig.model_validate_json(config), [Path(root) for root in json.loads(roots)])
    except UserError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        sys.exit(2)
    with Path(file).open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(asdict(picture)) + "\n" for picture in pictures)


if __name__ == "__main__":
    main(*sys.argv[1:])
