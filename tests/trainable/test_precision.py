from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, equal_states, job_of, model_of, numbers, reports_of, small_config

from trainable import learner as learning
from trainable.classifier import build_classifier
from trainable.data.batches import epoch_batches
from trainable.errors import UserError
from trainable.freezing import frozen_features
from trainable.learner import Learner
from trainable.precision import autocast, dtype_of, require_precision


@pytest.fixture
def _fp16_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head in fp16 is quick on a CPU, too."""
    monkeypatch.setattr(learning, "require_precision", lambda *_: None)


def test_fp16_on_a_cpu_is_refused_in_a_line() -> None:
    with pytest.raises(UserError, match="fp16: CPUs train in it hundreds of times slower than in fp32; use bf16"):
        Learner(small_config(), small_dataset(), CPU, None, precision="fp16")
    require_precision("fp16", "cuda")
    require_precision("bf16", "cpu")


def test_in_fp32_nothing_is_cast() -> None:
    with autocast("fp32", "cpu"):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("frozen", [0, 2, 5])
def test_features_are_kept_in_the_precision_and_logits_are_float32(frozen: int) -> None:
    images = torch.rand(4, 3, 32, 32)
    plain, half = (build_classifier(small_config(), 3, None, precision).eval() for precision in ("fp32", "bf16"))
    for classifier in (plain, half):
        classifier.freeze(frozen)
    features = frozen_features(half, images)
    assert features.dtype == dtype_of("bf16") == torch.bfloat16
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())
    with torch.no_grad():
        logits = half.suffix(features)
        assert logits.dtype == torch.float32
        assert torch.allclose(logits, plain(images), atol=0.05)


def test_half_features_do_not_depend_on_where_the_prefix_is_cut() -> None:
    classifier = build_classifier(small_config(), 3, None, "bf16").eval()
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        whole = classifier.between(images, 0, 4)
        assert torch.equal(whole, classifier.between(classifier.between(images, 0, 2), 2, 4))


@pytest.mark.parametrize("augment", ["none", "light"])
def test_a_bf16_trial_is_the_same_again_and_resumed(augment: str, tmp_path: Path) -> None:
    config = small_config(augment=augment, epochs=3)
    whole = job_of(config, tmp_path / "whole", precision="bf16", save_every_seconds=0)
    broken = job_of(config, tmp_path / "broken", precision="bf16", save_every_seconds=0)
    expected = numbers(reports_of(whole))
    reports_of(broken, stop_after=1)
    assert numbers(reports_of(broken, resume=True))[1:] == expected[1:]
    assert equal_states(model_of(whole.files.last), model_of(broken.files.last))
    plain = job_of(config, tmp_path / "plain")
    assert reports_of(plain)[0].train_loss == pytest.approx(expected[0]["train_loss"], rel=0.05)


def one_epoch(learner: Learner) -> learning.Losses:
    batches = epoch_batches(learner.data.split["train"], 12, 0, 1)
    learner.enter_stage_of(1, len(batches))
    return learner.learn(batches, 1, first=0, key=1)


@pytest.mark.usefixtures("_fp16_anywhere")
def test_a_step_whose_gradients_overflow_is_skipped_and_is_no_divergence() -> None:
    learner = Learner(small_config(freeze="all"), small_dataset(), CPU, None, precision="fp16")
    learner._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    before = {name: tensor.clone() for name, tensor in learner.classifier.state_dict().items()}
    losses = one_epoch(learner)
    assert math.isfinite(losses.weighted)
    assert learner._scaler.get_scale() == 2.0**117  # three steps, halved after each
    assert equal_states(before, learner.classifier.state_dict())


@pytest.mark.usefixtures("_fp16_anywhere")
def test_losses_of_steps_that_overflow_are_not_counted() -> None:
    learner = Learner(small_config(freeze="all"), small_dataset(), CPU, None, precision="fp16")
    real, calls = learner._loss, list[int]()

    def overflowing_once(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return real(logits, targets) * (float("inf") if len(calls) == 2 else 1.0)

    learner._loss = overflowing_once
    losses = one_epoch(learner)
    assert len(calls) == 3
    assert 0 < losses.weighted < 2
    assert all(torch.isfinite(parameter).all() for parameter in learner.classifier.parameters())


@pytest.mark.usefixtures("_fp16_anywhere")
def test_the_scale_of_fp16_gradients_is_in_the_checkpoint() -> None:
    learner = Learner(small_config(freeze="all"), small_dataset(), CPU, None, precision="fp16")
    one_epoch(learner)
    learner._scaler.update(8.0)
    state = learner.state_dict()
    other = Learner(small_config(freeze="all"), small_dataset(), CPU, None, precision="fp16")
    other.load_state_dict(state, 1, 3)
    assert other._scaler.get_scale() == 8.0
    assert Learner(small_config(), small_dataset(), CPU, None)._scaler.state_dict() == {}
