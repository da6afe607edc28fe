"""A trained model as files that need nothing else: ONNX and torch.export, proved on images after they are written."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from trainable.errors import UserError
from trainable.exported import FORMAT, INPUT, INSTALL, METADATA_FILE, OUTPUTS, read_exported
from trainable.labelling import Pixels
from trainable.predict import TrainedModel, decide, likelihoods

FILES = ("model.onnx", "model.pt2")
TOLERANCE = 1e-4
"""An exported file's probabilities differ from torch's by no more."""
LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
TRACED_IMAGES = 2
CHECKED_BATCHES = (1, 7, 32)
"""images at once, in turns, none of them as traced"""


class DisagreementError(Exception):
    """An exported file does not say what the trained model says: not the user's mistake, and not to be shipped."""


class ShippedModel(nn.Module):
    """A classifier with all that it needs around it: normalisation before, probabilities and thresholds after."""

    thresholds: torch.Tensor

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        # channels-last strides would be part of the files, and mean nothing to other runtimes
        self.classifier = copy.deepcopy(model.classifier).eval().to(memory_format=torch.contiguous_format)
        self.task = model.task
        self.register_buffer("thresholds", torch.tensor(model.thresholds, dtype=torch.float64))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 RGB `[n, size, size, 3]` -> probabilities float32 and decisions uint8, both `[n, labels]`."""
        logits = self.classifier(images.permute(0, 3, 1, 2).float() / 255)
        probabilities = likelihoods(logits.float(), self.task)
        return probabilities, decide(probabilities, self.thresholds, self.task)


def require_libraries() -> None:
    """Find out early that the libraries of an export are missing.

    Raises:
        UserError: they are.
    """
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"an export needs {', '.join(missing)}: {INSTALL}")


def write_model(model: TrainedModel, folder: Path, origin: Mapping[str, Any]) -> None:
    """Write model.onnx and model.pt2 into a folder; `origin` goes into their metadata beside what the model knows."""
    metadata = _metadata(model, origin)
    size = model.config.image_size
    images = torch.zeros(TRACED_IMAGES, size, size, 3, dtype=torch.uint8)
    onnx, pt2 = (folder / name for name in FILES)
    program = torch.export.export(
        ShippedModel(model), (images,), dynamic_shapes={INPUT: {0: torch.export.Dim("n")}}, strict=False
    )
    torch.export.save(program, pt2, extra_files={METADATA_FILE: json.dumps(metadata)})
    graph = torch.onnx.export(
        program,
        (images,),
        dynamo=True,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        dynamic_shapes={INPUT: {0: "n"}},
        verbose=False,
    )
    assert graph is not None  # with dynamo
    graph.model.metadata_props.update(metadata)
    graph.save(onnx, external_data=False)


def check_model(model: TrainedModel, file: Path, pixels: Pixels) -> float:
    """The largest difference of probabilities between a file and the model that it was made of, on these images.

    Raises:
        DisagreementError: it is above TOLERANCE, or a decision does not follow from its probability.
    """
    exported = read_exported(file)
    expected = np.concatenate([model.answer(batch)[0] for batch in np.array_split(pixels, len(pixels) // 32 + 1)])
    answers = [exported.answer(batch) for batch in _batches(pixels)]
    probabilities, decisions = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    difference = float(np.abs(probabilities - expected).max())
    if not difference <= TOLERANCE:  # so that NaN does not pass
        raise DisagreementError(
            f"{file.name} differs from torch by {difference:.1e} on {len(pixels)} images (allowed: {TOLERANCE:g}); "
            "nothing was exported"
        )
    thresholds = torch.tensor(model.thresholds, dtype=torch.float64)
    if not np.array_equal(decisions, decide(torch.from_numpy(probabilities), thresholds, model.task).numpy()):
        raise DisagreementError(f"{file.name}: its decisions do not follow its probabilities; nothing was exported")
    return difference


def _metadata(model: TrainedModel, origin: Mapping[str, Any]) -> dict[str, str]:
    """What a file tells about itself: texts as they are, everything else as JSON."""
    told = {
        "format": FORMAT,
        "task": model.task,
        "labels": model.labels,
        "image_size": model.config.image_size,
        "config": model.config.model_dump(mode="json"),
        **({"thresholds": model.thresholds} if model.task == "multilabel" else {}),
        **origin,
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()}


def _batches(pixels: Pixels) -> Iterator[Pixels]:
    """The images in batches of CHECKED_BATCHES, in turns."""
    start = 0
    for images in itertools.cycle(CHECKED_BATCHES):
        if start >= len(pixels):
            return
        yield pixels[start : start + images]
        start += images
