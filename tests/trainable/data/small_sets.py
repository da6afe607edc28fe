"""Manifests without files, and the type of the `images` fixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from trainable.data.manifest import Manifest, Row, Task

MakeImages = Callable[..., Path]


def manifest_of(
    labels: Mapping[str, tuple[str, ...]],
    *,
    groups: Mapping[str, str] | None = None,
    splits: Mapping[str, str] | None = None,
    task: Task = "multilabel",
) -> Manifest:
    """A manifest without files, from image id -> labels."""
    rows = tuple(
        Row(image, Path("/nowhere") / image, own, (splits or {}).get(image), (groups or {}).get(image), line)
        for line, (image, own) in enumerate(labels.items(), 2)
    )
    names = tuple(sorted({label for own in labels.values() for label in own}))
    return Manifest(Path("/nowhere"), rows, names, task, "test", Path("/nowhere/labels.csv"))
