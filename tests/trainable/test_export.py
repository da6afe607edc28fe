from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from small_data import small_dataset
from small_trials import CPU, job_of, reports_of, small_config

from trainable import export
from trainable.classifier import build_classifier
from trainable.config import parse_config
from trainable.data.dataset import ImageDataset
from trainable.errors import UserError
from trainable.export import FILES, TOLERANCE, DisagreementError, check_model, require_libraries, write_model
from trainable.exported import ExportedModel, read_exported
from trainable.predict import TrainedModel, load_model
from trainable.task import Task
from trainable.weights import require_weights

ORIGIN = {"search": "tinted", "trained_on": ["train"], "versions": {"torch": "2"}}


@dataclasses.dataclass(frozen=True)
class Exported:
    """A model, and the folder of its files."""

    model: TrainedModel
    folder: Path
    files: dict[str, ExportedModel]
    """as read back"""
    data: ImageDataset


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Task], Exported]:
    """exported("multilabel"): with thresholds that differ from label to label; written once."""

    def write(task: Task) -> Exported:
        folder, data = tmp_path_factory.mktemp(task), small_dataset(task)
        job = job_of(small_config(epochs=1, thresholds="fitted" if task == "multilabel" else "half"), folder)
        reports_of(job, data)
        model = load_model(job.files.best, CPU)
        write_model(model, folder, ORIGIN)
        return Exported(model, folder, {name: read_exported(folder / name) for name in FILES}, data)

    return functools.cache(write)


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_files_say_what_the_model_says(task: Task, file: str, exported: Callable[[Task], Exported]) -> None:
    found = exported(task)
    read, pixels = found.files[file], found.data.images
    expected, decided = found.model.answer(pixels)
    for images in (1, 2, 5, len(pixels)):
        probabilities, decisions = read.answer(pixels[:images])
        assert (probabilities.dtype, decisions.dtype) == (np.float32, np.uint8)
        assert np.abs(probabilities - expected[:images]).max() <= TOLERANCE
        assert np.array_equal(decisions, decided[:images])
    assert check_model(found.model, found.folder / file, pixels) <= TOLERANCE


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.real
def test_files_tell_what_they_are(task: Task, file: str, exported: Callable[[Task], Exported]) -> None:
    found = exported(task)
    read = found.files[file]
    assert (read.labels, read.image_size) == (found.model.labels, 32)
    told = read.metadata
    assert (told["task"], told["search"]) == (task, "tinted")
    assert json.loads(told["trained_on"]) == ["train"]
    assert json.loads(told["config"]) == found.model.config.model_dump(mode="json")
    if task == "multilabel":
        assert json.loads(told["thresholds"]) == list(found.model.thresholds)
        assert len(set(found.model.thresholds)) > 1
    else:
        assert "thresholds" not in told


@pytest.mark.real
def test_predictions_are_those_of_the_model(exported: Callable[[Task], Exported], tmp_path: Path) -> None:
    found = exported("multilabel")
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, image in zip(paths, found.data.images, strict=False):
        Image.fromarray(image).resize((50, 20)).save(path)  # decoded and stretched as in training
    for file in found.files.values():
        for said, expected in zip(file.predict(paths), found.model.predict(paths), strict=True):
            assert (said.path, said.labels) == (expected.path, expected.labels)
            assert said.probabilities == pytest.approx(expected.probabilities, abs=TOLERANCE)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.real
def test_a_file_of_another_model_fails(file: str, exported: Callable[[Task], Exported]) -> None:
    found = exported("multilabel")
    others = dataclasses.replace(found.model, thresholds=(0.01, 0.99, 0.5))
    with pytest.raises(DisagreementError, match="its decisions do not follow its probabilities"):
        check_model(others, found.folder / file, found.data.images)
    shifted = export.ShippedModel(found.model).classifier
    for bias, reason in ((9.0, r"differs from torch by \d\.\de.01 on 60 images"), (torch.nan, "by nan")):
        with torch.no_grad():
            shifted.head.bias.fill_(bias)  # type: ignore[union-attr, operator]  # a linear head
        with pytest.raises(DisagreementError, match=reason):
            check_model(dataclasses.replace(found.model, classifier=shifted), found.folder / file, found.data.images)


def test_missing_libraries_are_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LIBRARIES", ("json", "onnx_of_nobody"))
    with pytest.raises(UserError, match=r"needs onnx_of_nobody: pip install 'thaw-tuner\[export\]'"):
        require_libraries()


@pytest.mark.real
def test_pretrained_files_agree_on_a_hundred_crops_of_photographs(tmp_path: Path) -> None:
    config = parse_config({"backbone": "lite0", "image_size": 96, "head": {"kind": "mlp"}})
    classifier = build_classifier(config, 10, require_weights(["lite0"])["lite0"]).eval()
    labels = tuple("abcdefghij")
    model = TrainedModel(classifier, config, labels, "multilabel", (0.5,) * 10, CPU)
    write_model(model, tmp_path, ORIGIN)
    rng, photographs = np.random.default_rng(0), load_sample_images().images
    crops = []
    for number in range(100):
        side = int(rng.integers(96, 400))
        top, left = rng.integers(0, 427 - side), rng.integers(0, 640 - side)
        crop = Image.fromarray(photographs[number % 2][top : top + side, left : left + side])
        crops.append(np.asarray(crop.resize((96, 96), Image.Resampling.BICUBIC)))
    for file in FILES:
        assert check_model(model, tmp_path / file, np.stack(crops)) < TOLERANCE / 10
