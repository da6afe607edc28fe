"""Predictions as CSV or JSON, and the image files to predict."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainable.data.manifest import IMAGE_SUFFIXES
from trainable.errors import UserError

if TYPE_CHECKING:
    from trainable.labelling import Prediction


def image_files(given: Iterable[Path]) -> list[Path]:
    """Files as given, folders as the images below them, in order.

    Raises:
        UserError: a path that does not exist, or a folder without images.
    """
    files: list[Path] = []
    for path in given:
        if not path.exists():
            raise UserError(f"{path}: there is no such file or folder")
        found = [path]
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise UserError(f"{path}: no images in this folder (files ending in {', '.join(IMAGE_SUFFIXES)})")
        files += found
    return files


def to_csv(predictions: Iterable[Prediction], labels: Sequence[str]) -> str:
    """A row an image: path, chosen labels joined by `;`, a probability a label."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "labels", *labels])
    for prediction in predictions:
        row = [f"{prediction.probabilities[label]:.6f}" for label in labels]
        writer.writerow([prediction.path, ";".join(prediction.labels), *row])
    return text.getvalue()


def to_json(predictions: Iterable[Prediction], labels: Sequence[str]) -> str:  # noqa: ARG001  (same shape as to_csv)
    """A list of `image`, `labels`, `probabilities`."""
    listed = [{"image": str(p.path), "labels": list(p.labels), "probabilities": p.probabilities} for p in predictions]
    return json.dumps(listed, indent=1) + "\n"


FORMATS: dict[str, Callable[[Iterable[Prediction], Sequence[str]], str]] = {"csv": to_csv, "json": to_json}
