"""The precision of a search, and how its trials compute: decided, shown, and used again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from small_searches import MakeSpace, RunTuner
from small_trials import TINY

from trainable import learner
from trainable.compute import Compute
from trainable.errors import UserError
from tuner.ray_backend import worker
from tuner.result import Result, search
from tuner.saved_trial import read_saved, train_again


@pytest.fixture
def half(
    labels_csv: Path, make_space: MakeSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _without_ray: None
) -> Result:
    """A search in bf16 whose trials were found to be fastest in another layout."""
    with monkeypatch.context() as patch:
        patch.setattr(learner, "choose_compute", lambda *_: Compute(layout="contiguous"))
        return search(
            make_space(axes={"freeze": {"choice": [0, 2]}}),
            labels_csv,
            "half",
            trials=2,
            results=tmp_path / "results",
            precision="bf16",
            compute="auto",
        )


def test_a_search_s_precision_and_ways_to_compute_are_told_and_lead_to_the_same_score_again(
    half: Result, tmp_path: Path, run_tuner: RunTuner
) -> None:
    best = YAML(typ="safe").load(half.store.best_yaml)
    assert best["provenance"]["precision"] == "bf16"
    assert best["provenance"]["compute"] == {"layout": "contiguous", "compile": "none"}
    resolved = YAML(typ="safe").load(half.store.search_yaml)["search"]
    assert (resolved["precision"], resolved["compute"]) == ("bf16", "auto")
    assert half.record.precision == "bf16"
    leaderboard = half.store.leaderboard_md.read_text()
    assert "layout contiguous: t0001, t0002" in leaderboard
    assert "layout: contiguous" in run_tuner("show", str(half.store.folder), "t0001").out

    saved = read_saved(half.store.best_yaml, None)
    assert (saved.precision, saved.compute) == ("bf16", Compute(layout="contiguous"))
    outcome = train_again(saved, tmp_path / "again", None, lambda _: None)
    assert outcome.difference == 0


def test_what_a_file_says_of_its_arithmetic_must_be_right(half: Result, tmp_path: Path) -> None:
    def refused(**changes: Any) -> str:
        record = YAML(typ="safe").load(half.store.best_yaml)
        record["provenance"] |= changes
        YAML().dump(record, tmp_path / "changed.yaml")
        with pytest.raises(UserError) as caught:
            read_saved(tmp_path / "changed.yaml", None)
        return str(caught.value)

    assert "provenance.precision is 'fp8' but must be one of fp32, bf16, fp16" in refused(precision="fp8")
    assert "provenance.compute.layout: Input should be" in refused(compute={"layout": "sideways"})


def test_a_bare_config_is_trained_in_fp32_and_plainly(tmp_path: Path, labels_csv: Path) -> None:
    file = tmp_path / "config.yaml"
    YAML().dump({"backbone": TINY, "pretrained": False, "epochs": 1}, file)
    saved = read_saved(file, labels_csv)
    assert (saved.precision, saved.compute) == ("fp32", Compute())


@pytest.mark.usefixtures("_without_ray")
def test_fp16_is_refused_where_trials_have_no_gpu(labels_csv: Path, make_space: MakeSpace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--precision fp16: CPUs train in it hundreds of times slower"):
        search(make_space(), labels_csv, "half", trials=2, results=tmp_path / "results", precision="fp16")
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("_without_ray")
def test_each_trial_s_device_is_its_worker_s(
    labels_csv: Path, make_space: MakeSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head of a cluster may have none of the GPUs that its workers have."""
    asked: list[torch.device] = []

    def of_worker() -> torch.device:
        asked.append(torch.device("cpu"))
        return asked[-1]

    monkeypatch.setattr(worker, "trial_device", of_worker)
    search(make_space(), labels_csv, "two", trials=2, results=tmp_path / "results")
    assert len(asked) >= 2  # and its scoring on test
