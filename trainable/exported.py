"""Models that `export.py` wrote, read from their files alone: no search, checkpoint or pretrained weights needed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainable.errors import UserError
from trainable.labelling import Answer, Pixels, Prediction, label_files

FORMAT = "1"
INPUT, OUTPUTS = "images", ("probabilities", "decisions")
METADATA_FILE = "thaw.json"
"""inside a .pt2"""
INSTALL = "pip install 'thaw-tuner[export]'"


@dataclass(frozen=True)
class ExportedModel:
    """A file that answers by itself: uint8 images in, probabilities and decisions out."""

    path: Path
    metadata: Mapping[str, str]
    """what its export wrote into it; lists and mappings as JSON"""
    labels: tuple[str, ...]
    image_size: int
    """pixels; images are square"""
    answer: Answer

    def predict(self, paths: Sequence[Path]) -> Iterator[Prediction]:
        """The labels of image files, in order.

        Raises:
            UserError: an image is missing or cannot be decoded.
        """
        return label_files(paths, self.labels, self.image_size, self.answer)


def is_exported(path: Path) -> bool:
    """Whether a name is one of an exported model's file, be it there or not."""
    return path.suffix in READERS and not path.is_dir()


def read_exported(path: Path) -> ExportedModel:
    """The model of a .onnx or .pt2 file, on the CPU.

    Raises:
        UserError: the file is missing or damaged, was not written by `tuner export`, or onnxruntime is not installed.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; `tuner export NAME` writes model.onnx and model.pt2")
    metadata, answer = READERS[path.suffix](path)
    if metadata.get("format") != FORMAT:
        raise UserError(f"{path}: format {metadata.get('format')!r} is not {FORMAT!r}, the one that this version reads")
    labels, image_size = tuple(json.loads(metadata["labels"])), int(metadata["image_size"])
    return ExportedModel(path, metadata, labels, image_size, answer)


def _read_onnx(path: Path) -> tuple[Mapping[str, str], Answer]:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{path}: needs onnxruntime: {INSTALL}; a model.pt2 needs torch alone") from None
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base class of their own
        raise _unreadable(path, error) from None
    metadata = session.get_modelmeta().custom_metadata_map
    if "labels" not in metadata:
        raise _not_ours(path)

    def answer(pixels: Pixels) -> Any:
        return tuple(session.run(OUTPUTS, {INPUT: pixels}))

    return metadata, answer


def _read_pt2(path: Path) -> tuple[Mapping[str, str], Answer]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if Path(name).name == METADATA_FILE]
            metadata = json.loads(archive.read(names[0])) if names else {}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None
    if "labels" not in metadata:
        raise _not_ours(path)
    import torch

    try:
        module = torch.export.load(path).module()
    except Exception as error:  # as many kinds as there are ways to damage a file
        raise _unreadable(path, error) from None

    def answer(pixels: Pixels) -> Any:
        with torch.no_grad():
            return tuple(output.numpy() for output in module(torch.from_numpy(pixels)))

    return metadata, answer


READERS: dict[str, Callable[[Path], tuple[Mapping[str, str], Answer]]] = {".onnx": _read_onnx, ".pt2": _read_pt2}


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(f"{path}: cannot be read ({reason}); export the model again")


def _not_ours(path: Path) -> UserError:
    return UserError(
        f"{path}: does not tell its labels, so `tuner export` did not write it; export a model with `tuner export NAME`"
    )
