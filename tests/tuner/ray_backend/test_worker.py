"""The actor without Ray: a dict goes in, JSON comes out, an epoch a step."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from small_searches import LABELS
from small_trials import numbers, reports_of, small_config

from trainable.data.splits import write_splits
from trainable.errors import DivergedError
from trainable.job import EpochReport, TrialJob
from trainable.learner import Learner
from trainable.metrics import parse_objective
from tuner.config import DataConfig
from tuner.preparation import examine, prepare
from tuner.ray_backend import worker
from tuner.ray_backend.worker import Assignment, TrialActor, Work, _ending


@pytest.fixture
def assignment(labels_csv: Path, tmp_path: Path) -> Assignment:
    data = prepare(examine(DataConfig(path=labels_csv), (32,)))
    folder = tmp_path / "search"
    folder.mkdir()
    write_splits(folder / "splits.csv", data.rows)
    return Assignment(str(folder), str(data.root), sorted(LABELS), "multilabel", 0, "f2_macro", {}, 1, 0)


@pytest.fixture
def actor() -> TrialActor:
    return object.__new__(TrialActor)  # Tune's constructor wants a Ray that runs


def given(assignment: Assignment, trial: str = "t0001", work: Work = "train", **fields: Any) -> dict[str, Any]:
    return {
        "trial": trial,
        "work": work,
        "config": small_config(**fields).model_dump(mode="json"),
        "assignment": asdict(assignment),
        "resources": {"cpu": 1, "gpu": 0},
        "more_gpu_gib": 0.0,
        "lineage": [],
    }


def stepped(actor: TrialActor) -> list[dict[str, Any]]:
    results = [actor.step()]
    while not results[-1]["done"]:
        results.append(actor.step())
    return results


def test_an_epoch_a_step_as_training_alone_reports_it(
    actor: TrialActor, assignment: Assignment, tmp_path: Path
) -> None:
    actor.setup(given(assignment))
    results = stepped(actor)
    assert [result["done"] for result in results] == [False, True]
    reports = [EpochReport(**json.loads(result["report"])) for result in results]
    job = TrialJob(small_config(), parse_objective("f2_macro"), assignment.job("alone", small_config()).files, None)
    assert numbers(reports) == numbers(reports_of(job, assignment.dataset(32)))
    assert (tmp_path / "search" / "checkpoints" / "t0001" / "best.pt").is_file()
    assert (tmp_path / "search" / "predictions" / "t0001.npz").is_file()


def test_an_actor_that_is_used_again_is_as_a_fresh_one(actor: TrialActor, assignment: Assignment) -> None:
    actor.setup(given(assignment, "t0001", seed=5, augment="light"))
    stepped(actor)
    assert actor.reset_config(given(assignment, "t0002"))
    again = [EpochReport(**json.loads(result["report"])) for result in stepped(actor)]
    fresh = object.__new__(TrialActor)
    fresh.setup(given(assignment, "t0003"))
    assert numbers(again) == numbers([EpochReport(**json.loads(result["report"])) for result in stepped(fresh)])


def test_another_image_size_opens_other_images(actor: TrialActor, assignment: Assignment, labels_csv: Path) -> None:
    examine(DataConfig(path=labels_csv), (32, 40))
    actor.setup(given(assignment))
    stepped(actor)
    first = actor._data
    actor.reset_config(given(assignment, "t0002", image_size=40))
    assert "ended" not in stepped(actor)[-1]
    assert first is not None
    assert actor._data is not None
    assert (first.image_size, actor._data.image_size) == (32, 40)


def test_a_trial_that_fails_says_why_and_the_actor_goes_on(actor: TrialActor, assignment: Assignment) -> None:
    absurd = {"kind": "sgd", "lr": 10.0, "head_lr_multiplier": 1000.0}
    actor.setup(given(assignment, "t0001", optimizer=absurd, freeze=0))
    ended = json.loads(stepped(actor)[-1]["ended"])
    assert ended["status"] == "pruned"
    assert "diverged" in ended["error"]
    actor.reset_config(given(assignment, "t0002", freeze=99))
    (result,) = stepped(actor)
    assert result["done"]
    ended = json.loads(result["ended"])
    assert ended["status"] == "failed"
    assert "99 is more than the 5 blocks" in ended["error"]
    actor.reset_config(given(assignment, "t0003"))
    assert "report" in stepped(actor)[-1]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (
            DivergedError("diverged: the training loss is nan in epoch 2"),
            "pruned",
            "diverged: the training loss is nan",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB\nmore"), "failed", "out of GPU memory with"),
        (MemoryError(), "failed", "out of memory with the fewest images at a time: MemoryError"),
        (FileNotFoundError(2, "No such file", "/x"), "failed", "FileNotFoundError: [Errno 2]"),
        (ValueError("two\nlines"), "failed", "ValueError: two"),
        (KeyError(), "failed", "KeyError: KeyError"),
    ],
)
def test_a_reason_is_one_line(error: Exception, status: str, reason: str) -> None:
    ending = _ending(error)
    assert ending["status"] == status
    assert ending["error"].startswith(reason)
    assert len(ending["error"].splitlines()) == 1


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="a bug") as caught:
        raise ValueError("a bug")
    assert "test_worker.py" in _ending(caught.value)["traceback"]


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """short_of_memory(at=3, images=6): memory runs out at the third pass, and whenever so many pass at once."""
    passes = 0

    def arrange(at: int = 0, images: int | None = None, error: Exception | None = None) -> None:
        backward = Learner._backward

        def limited(self: Learner, features: torch.Tensor, targets: torch.Tensor, batch_images: int) -> torch.Tensor:
            nonlocal passes
            passes += 1
            if passes == at or (images is not None and len(targets) >= images):
                raise error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return backward(self, features, targets, batch_images)

        monkeypatch.setattr(Learner, "_backward", limited)

    return arrange


def told(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those results that are about memory."""
    return [json.loads(result["short_of_memory"]) for result in results if "short_of_memory" in result]


def reported(results: list[dict[str, Any]]) -> list[EpochReport]:
    return [EpochReport(**json.loads(result["report"])) for result in results if "report" in result]


def test_too_many_images_at_once_are_halved_and_the_stored_config_gives_the_result(
    actor: TrialActor, assignment: Assignment, short_of_memory: Callable[..., None]
) -> None:
    short_of_memory(images=4)
    actor.setup(given(assignment))
    results = stepped(actor)
    assert [less["micro_batch"] for less in told(results)] == [6, 3]
    assert all(less["trains_batch_norm"] for less in told(results))
    small = object.__new__(TrialActor)
    small.setup(given(assignment, "t0002", micro_batch=3))
    again = stepped(small)
    assert not told(again)
    assert numbers(reported(results)) == numbers(reported(again))


def test_memory_that_was_short_for_once_changes_nothing(
    actor: TrialActor, assignment: Assignment, short_of_memory: Callable[..., None]
) -> None:
    short_of_memory(at=5)  # in the second epoch of three steps
    actor.setup(given(assignment, epochs=3))
    results = stepped(actor)
    assert told(results) == [{"micro_batch": None}]
    fresh = object.__new__(TrialActor)
    fresh.setup(given(assignment, "t0002", epochs=3))
    found = {report.epoch: report for report in reported(results)}
    assert numbers(list(found.values())) == numbers(reported(stepped(fresh)))


def test_a_stage_that_does_not_fit_begins_anew_with_less(
    actor: TrialActor, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = Learner._backward

    def limited(self: Learner, features: torch.Tensor, targets: torch.Tensor, batch_images: int) -> torch.Tensor:
        if not self.classifier.wholly_frozen and len(targets) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return backward(self, features, targets, batch_images)

    monkeypatch.setattr(Learner, "_backward", limited)
    actor.setup(given(assignment, epochs=3, head_warmup_epochs=1))
    results = stepped(actor)
    assert [less["micro_batch"] for less in told(results)] == [None, 6]
    assert [report.epoch for report in reported(results)] == [1, 1, 1, 2, 3]
    small = object.__new__(TrialActor)
    small.setup(given(assignment, "t0002", epochs=3, head_warmup_epochs=1, micro_batch=6))
    assert numbers(reported(results)[-3:]) == numbers(reported(stepped(small)))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_trial_that_never_fits_fails_with_the_reason(
    error: Exception, actor: TrialActor, assignment: Assignment, short_of_memory: Callable[..., None]
) -> None:
    short_of_memory(images=1, error=error)
    actor.setup(given(assignment, freeze="all"))
    results = stepped(actor)
    assert [less["micro_batch"] for less in told(results)] == [6, 3, 1]
    assert not told(results)[-1]["trains_batch_norm"]
    ended = json.loads(results[-1]["ended"])
    assert ended["status"] == "failed"
    assert ended["error"].startswith("out of memory with the fewest images at a time")


def test_a_trial_that_can_have_more_of_a_gpu_is_not_cut(
    actor: TrialActor,
    assignment: Assignment,
    short_of_memory: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short_of_memory(images=4)
    monkeypatch.setattr(worker, "gpu_memory_gib", lambda _: 16.0)
    actor.setup(given(assignment) | {"more_gpu_gib": 80.0})
    assert stepped(actor) == [{"crowded_out": 16.0, "done": True}]
    actor.setup(given(assignment) | {"more_gpu_gib": 16.0})
    assert "short_of_memory" in actor.step()


def test_test_is_scored_by_the_best_epoch(actor: TrialActor, assignment: Assignment) -> None:
    actor.setup(given(assignment))
    stepped(actor)
    actor.reset_config(given(assignment, work="test"))
    (result,) = stepped(actor)
    assert 0 <= json.loads(result["report"])["scores"]["f2_macro"] <= 1
    assert assignment.job("t0001", small_config()).files.test_predictions.is_file()


def test_what_cannot_be_scored_ends_with_its_reason(actor: TrialActor, assignment: Assignment) -> None:
    actor.setup(given(assignment, work="test"))
    (result,) = stepped(actor)
    assert "best.pt" in json.loads(result["ended"])["error"]


def test_on_a_full_disk_a_trial_ends_as_it_was_saved_last(
    actor: TrialActor, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _no_room)
        actor.setup(given(assignment))
        assert "the disk is full on " in json.loads(stepped(actor)[-1]["hold"])
        actor.reset_config(given(assignment, epochs=3))
        actor.step()
        actor.cleanup()  # which would save it
    files = assignment.job("t0001", small_config()).files
    assert not files.checkpoints.exists() or list(files.checkpoints.iterdir()) == []
    actor.reset_config(given(assignment))
    assert reported(stepped(actor))[-1].status == "complete"


def _no_room(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
