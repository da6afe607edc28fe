"""`tuner export`, and `tuner predict` of what it wrote."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from small_searches import Ran, RunTuner

from trainable import export
from trainable.errors import UserError
from trainable.export import DisagreementError
from tuner.result import Result, load
from tuner.shipping.card import SNIPPET


@pytest.fixture
def _without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports write no models, which takes seconds, and find nothing wrong with them."""
    monkeypatch.setattr(export, "write_model", lambda *_: None)
    monkeypatch.setattr(export, "check_model", lambda *_: 0.0)


def labels_of(ran: Ran) -> list[dict[str, Any]]:
    assert ran.code == 0
    listed: list[dict[str, Any]] = json.loads(ran.out)
    return listed


@pytest.mark.real
def test_exported_files_stand_alone(
    fitted: Result, labels_csv: Path, run_tuner: RunTuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.retrain("t0001")
    ran = run_tuner("export", fitted.store.folder, "--retrained")
    folder = fitted.store.folder / "export" / "t0001-train-val"
    assert ran.code == 0
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "model.pt2", "MODEL_CARD.md"}
    assert all(f"{file}: differs from torch by at most " in ran.out for file in ("model.onnx", "model.pt2"))
    assert "on 34 images" in ran.out  # validation and training
    images = labels_csv.parent / "images"
    expected = labels_of(run_tuner("predict", fitted.store.folder, images, "--retrained", "--format", "json"))

    alone = shutil.copytree(folder, tmp_path / "alone")
    shutil.rmtree(fitted.store.folder)
    for file in ("model.onnx", "model.pt2"):
        said = labels_of(run_tuner("predict", alone / file, images, "--format", "json"))
        assert len(said) == 40
        for one, other in zip(said, expected, strict=True):
            assert (one["image"], one["labels"]) == (other["image"], other["labels"])
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
    rows = list(csv.reader(io.StringIO(run_tuner("predict", alone / "model.onnx", images).out)))
    assert rows[0] == ["image", "labels", *expected[0]["probabilities"]]

    assert SNIPPET in (alone / "MODEL_CARD.md").read_text()
    Image.open(images / "003.png").resize((60, 40)).save(alone / "image.jpg")
    monkeypatch.chdir(alone)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(SNIPPET, "MODEL_CARD.md", "exec"), {})
    (said_of_it,) = labels_of(run_tuner("predict", "model.onnx", "image.jpg", "--format", "json"))
    lines = [line.split() for line in printed.getvalue().splitlines()]
    assert [label for label, _, decided in lines if decided == "yes"] == said_of_it["labels"]
    assert {label: float(value) for label, value, _ in lines} == pytest.approx(said_of_it["probabilities"], abs=1e-6)


@pytest.mark.usefixtures("_without_files")
def test_an_export_has_a_folder_by_its_model_and_is_not_repeated(
    fitted: Result, run_tuner: RunTuner, tmp_path: Path
) -> None:
    best = fitted.record.best
    assert best
    assert fitted.export().folder == fitted.store.folder / "export" / best.id
    other = next(trial.id for trial in fitted.record.trials if trial != best)
    assert fitted.export(trial=other).folder == fitted.store.folder / "export" / other
    ran = run_tuner("export", fitted.store.folder)
    assert ran.code == 2
    assert "exists, and nothing is overwritten; it is this model's export; another copy goes to --out DIR" in ran.err
    for code in (0, 2):
        ran = run_tuner("export", fitted.store.folder, "--out", tmp_path / "shipped" / "flowers")
        assert ran.code == code
    assert "give another folder with --out" in ran.err
    assert {path.name for path in (tmp_path / "shipped").iterdir()} == {"flowers"}


def test_a_file_that_disagrees_leaves_nothing(
    fitted: Result, run_tuner: RunTuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_: object, folder: Path, __: object) -> None:
        (folder / "model.onnx").touch()

    def disagree(*_: object) -> float:
        raise DisagreementError("model.onnx differs from torch by 1.0e-02 on 34 images")

    monkeypatch.setattr(export, "write_model", write)
    monkeypatch.setattr(export, "check_model", disagree)
    before = sorted(fitted.store.folder.rglob("*"))
    ran = run_tuner("export", fitted.store.folder)
    assert (ran.code, ran.err) == (1, "error: model.onnx differs from torch by 1.0e-02 on 34 images\n")
    assert sorted(fitted.store.folder.rglob("*")) == before


@pytest.mark.usefixtures("_without_files")
def test_without_the_images_nothing_is_exported(fitted: Result) -> None:
    log = fitted.store.events_jsonl
    root = json.loads(log.read_text().splitlines()[0])["data"]["root"]
    log.write_text(log.read_text().replace(root, f"{root}-gone"))
    with pytest.raises(UserError, match=r"-gone.*: missing; restore the image"):
        load(fitted.store.folder).export()
    assert not (fitted.store.folder / "export").exists()


def test_missing_libraries_are_told_before_anything_is_done(
    fitted: Result, run_tuner: RunTuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LIBRARIES", ("onnx_of_nobody",))
    ran = run_tuner("export", fitted.store.folder)
    assert (ran.code, ran.err) == (2, "error: an export needs onnx_of_nobody: pip install 'thaw-tuner[export]'\n")


def test_an_exported_file_is_one_model(run_tuner: RunTuner, labels_csv: Path) -> None:
    for more in (["--retrained"], ["--trial", "t0001"]):
        ran = run_tuner("predict", "model.onnx", labels_csv.parent, *more)
        assert (ran.code, "is one model, so --trial and --retrained choose nothing" in ran.err) == (2, True)
    ran = run_tuner("predict", "missing/model.onnx", labels_csv.parent)
    assert (ran.code, "there is no such file" in ran.err) == (2, True)
