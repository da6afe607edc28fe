from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, TINY, equal_states, job_of, model_of, numbers, reports_of, small_config

from trainable import learner
from trainable.classifier import build_classifier
from trainable.compute import PLAIN, Compute
from trainable.data.batches import epoch_batches
from trainable.job import EpochReport
from trainable.learner import Learner

SGD = {"kind": "sgd", "lr": 1.0, "momentum": 0}


def moved_by(**fields: Any) -> torch.Tensor:
    """How far one step of plain descent at a rate of 1 moves all weights: the clipped gradient."""
    config = small_config(batch_size=36, **fields)
    data = small_dataset()
    learner = Learner(config, data, CPU, None)
    batches = epoch_batches(data.split["train"], 36, config.seed, 1)
    learner.enter_stage_of(1, len(batches))
    before = [p.detach().clone() for p in learner.classifier.parameters()]
    learner.learn(batches, 1, first=0, key=1)
    after = learner.classifier.parameters()
    return torch.cat([(old - new.detach()).flatten() for old, new in zip(before, after, strict=True)])


@pytest.mark.parametrize("fields", [{}, {"micro_batch": 5}, {"mix": {"kind": "mixup"}}, {"freeze": "all"}])
def test_clipping_bounds_the_norm_of_the_whole_batch_s_gradient(fields: dict[str, Any]) -> None:
    free = moved_by(optimizer=SGD, **fields)
    assert free.norm() > 0.1
    clipped = moved_by(optimizer=SGD | {"clip_grad_norm": 0.1}, **fields)
    assert clipped.norm() == pytest.approx(0.1, rel=1e-3)
    assert torch.allclose(clipped / clipped.norm(), free / free.norm(), atol=1e-4)  # the same direction
    assert torch.equal(moved_by(optimizer=SGD | {"clip_grad_norm": 1e6}, **fields), free)


@pytest.mark.parametrize("fields", [{}, {"mix": {"kind": "cutmix"}, "augment": "light"}])
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_micro_batches_are_the_whole_batch_where_batch_norm_is_frozen(
    fields: dict[str, Any], task: Any, tmp_path: Path
) -> None:
    """Gradients add up to those of the batch, through the blocks too, clipped once after they have."""
    common = {
        "batch_norm": "frozen",
        "epochs": 1,
        "optimizer": SGD | {"lr": 0.1, "clip_grad_norm": 0.5},
        "loss": {"pos_weight": "balanced"},
    }
    whole = job_of(small_config(**common, **fields), tmp_path / "whole", "f1_macro")
    parts = job_of(small_config(**common, **fields, micro_batch=5), tmp_path / "parts", "f1_macro")
    for job in (whole, parts):
        reports_of(job, small_dataset(task))
    one, other = model_of(whole.files.last), model_of(parts.files.last)
    assert all(torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-5) for name in one)
    saved = torch.load(parts.files.best, weights_only=True)
    assert saved["config"]["micro_batch"] == 5  # another config under BatchNorm in train mode, so it is on record


def test_no_image_is_left_over_for_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    backward = Learner._backward

    def noted(self: Learner, features: torch.Tensor, targets: torch.Tensor, batch_images: int) -> torch.Tensor:
        sizes.append(len(targets))
        return backward(self, features, targets, batch_images)

    monkeypatch.setattr(Learner, "_backward", noted)
    data, config = small_dataset(), small_config(batch_size=7, micro_batch=2)
    learner = Learner(config, data, CPU, None)
    learner.enter_stage_of(1, 1)
    learner.learn([data.split["train"][:7]], 1, first=0, key=1)
    assert sizes == [3, 2, 2]


def test_blocks_learn_at_rates_of_their_own(tmp_path: Path) -> None:
    optimizer = {"kind": "sgd", "lr": 0.1, "block_lr_decay": 0.5, "head_lr_multiplier": 3.0, "weight_decay": 0.01}
    learner = Learner(small_config(freeze=1, optimizer=optimizer), small_dataset(), CPU, None)
    learner.enter_stage_of(1, 3)
    rates = {id(p): group["lr"] for group in learner.optimizer.param_groups for p in group["params"]}
    for name, parameter in learner.classifier.named_parameters():
        place = name.split(".")
        if place[0] == "head":
            assert rates[id(parameter)] == pytest.approx(0.3)
        elif int(place[1]) >= 1:
            assert rates[id(parameter)] == pytest.approx(0.1 * 0.5 ** (4 - int(place[1])))
        else:
            assert id(parameter) not in rates
    (report,) = reports_of(job_of(small_config(freeze=1, epochs=1, optimizer=optimizer), tmp_path))
    assert report.lr == 0.1


def test_a_decay_of_one_is_one_rate_for_all_blocks(tmp_path: Path) -> None:
    plain, one = (
        job_of(small_config(freeze=0, optimizer={"kind": "adamw", "weight_decay": 0.1} | decay), tmp_path / str(decay))
        for decay in ({}, {"block_lr_decay": 1.0})
    )
    assert numbers(reports_of(plain)) == numbers(reports_of(one))
    assert equal_states(model_of(plain.files.last), model_of(one.files.last))
    groups = torch.load(one.files.last, weights_only=True)["optimizer"]["param_groups"]
    assert len(groups) == 4  # blocks and head, decayed and not


def test_lower_blocks_move_less(tmp_path: Path) -> None:
    def moved(decay: float) -> list[float]:
        optimizer = {"kind": "adamw", "lr": 1e-3, "block_lr_decay": decay}
        config = small_config(freeze=0, epochs=1, optimizer=optimizer)
        job = job_of(config, tmp_path / str(decay))
        reports_of(job)
        before, after = build_classifier(config, 3, None).state_dict(), model_of(job.files.last)
        weights = [name for name in after if name.endswith("weight") and name.startswith("blocks.")]
        return [
            max(float((before[name] - after[name]).abs().max()) for name in weights if name.startswith(f"blocks.{k}."))
            for k in range(5)
        ]

    even, decayed = moved(1.0), moved(0.1)
    assert decayed == sorted(decayed)
    assert decayed[4] == pytest.approx(even[4], rel=0.1)
    assert decayed[0] == pytest.approx(1e-4 * even[0], rel=0.5)


@pytest.fixture
def compiled_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of a compiled suffix was for."""
    calls: list[int] = []

    def compile_(suffix: torch.nn.Module, **_: Any) -> Any:
        def call(features: torch.Tensor) -> torch.Tensor:
            calls.append(len(features))
            result: torch.Tensor = suffix(features)
            return result

        return call

    monkeypatch.setattr(torch, "compile", compile_)
    return calls


def test_whole_batches_alone_are_compiled_and_learn_the_same(compiled_calls: list[int], tmp_path: Path) -> None:
    config = small_config(batch_size=16, epochs=1)  # of 36 images: 16, 16 and 4
    plain, compiled = (
        job_of(config, tmp_path / "plain"),
        job_of(config, tmp_path / "compiled", compute=Compute(compile="default")),
    )
    expected, found = (without_compute(reports_of(job)) for job in (plain, compiled))
    assert compiled_calls == [16, 16]
    assert found == expected
    compiled_calls.clear()
    reports_of(job_of(small_config(freeze="all"), tmp_path / "head", compute=Compute(compile="default")))
    assert not compiled_calls  # a head alone is not worth it


def without_compute(reports: list[EpochReport]) -> list[dict[str, Any]]:
    return [{name: value for name, value in report.items() if name != "compute"} for report in numbers(reports)]


def test_a_trial_tells_how_it_was_computed_and_goes_on_in_that_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def choose(classifier: Any, sample: Any, steps: int, kind: Any, _: Path) -> Compute:
        asked.append(steps)
        assert (classifier.frozen, len(sample.pixels), kind) == (2, 12, {"backbone": TINY})
        return Compute(layout="contiguous")

    monkeypatch.setattr(learner, "choose_compute", choose)
    config = small_config(epochs=3, head_warmup_epochs=1)
    job = job_of(config, tmp_path, compute=None, save_every_seconds=0)
    reports = reports_of(job, stop_after=2)
    assert asked == [9]  # three epochs of three steps
    assert all(report.compute == {"layout": "contiguous", "compile": "none"} for report in reports)

    monkeypatch.setattr(learner, "choose_compute", lambda *_: PLAIN)  # what another machine would find
    resumed = reports_of(job, resume=True)
    assert [report.epoch for report in resumed] == [2, 3]
    assert resumed[-1].compute["layout"] == "contiguous"
    again = job_of(config, tmp_path / "again", compute=Compute(layout="contiguous"))
    reports_of(again)
    assert equal_states(model_of(job.files.last), model_of(again.files.last))


def test_a_head_alone_is_not_probed(tmp_path: Path) -> None:
    reports = reports_of(job_of(small_config(freeze="all", epochs=1), tmp_path, compute=None))
    assert reports[0].compute == PLAIN.model_dump()
