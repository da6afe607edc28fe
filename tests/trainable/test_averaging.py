from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, TINY, equal_states, job_of, model_of, reports_of, small_config
from torch import nn

import trainable.learner
import trainable.train
from trainable.classifier import Classifier, build_classifier
from trainable.config import TrialConfig
from trainable.data.batches import epoch_batches
from trainable.errors import UserError
from trainable.evaluation import split_logits
from trainable.learner import Learner
from trainable.prefix.features import PrefixFeatures
from trainable.weights import Weights

States = list[dict[str, torch.Tensor]]
SGD = {"kind": "sgd", "lr": 0.05}


def copied(classifier: Classifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in classifier.state_dict().items()}


@pytest.fixture
def after_steps(monkeypatch: pytest.MonkeyPatch) -> States:
    """The plain classifier's state after each optimiser step of the trials that run while the test does."""
    states: States = []
    step = Learner._step

    def stepped(self: Learner, *given: Any) -> torch.Tensor:
        sums = step(self, *given)
        states.append(copied(self.classifier))
        return sums

    monkeypatch.setattr(Learner, "_step", stepped)
    return states


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> States:
    """The state of the classifier that was scored at each evaluation."""
    states: States = []

    def keep(classifier: Classifier, *given: Any) -> torch.Tensor:
        states.append(copied(classifier))
        return split_logits(classifier, *given)

    monkeypatch.setattr(trainable.train, "split_logits", keep)
    return states


def parameters_of(config: TrialConfig) -> set[str]:
    return {name for name, _ in build_classifier(config, 3, None).named_parameters()}


def frozen_names(state: dict[str, torch.Tensor], frozen: int) -> set[str]:
    return {name for name in state if name.startswith(tuple(f"blocks.{block}." for block in range(frozen)))}


def test_swa_is_the_mean_of_the_epochs_from_its_start(after_steps: States, scored: States, tmp_path: Path) -> None:
    config = small_config(epochs=5, averaging={"kind": "swa", "start": 0.5}, batch_size=12, optimizer=SGD)
    reports_of(job_of(config, tmp_path))
    epochs = after_steps[2::3]
    assert len(epochs) == len(scored) == 5
    for epoch in (1, 2):
        assert equal_states(scored[epoch - 1], epochs[epoch - 1])
    for epoch in (3, 4, 5):
        for name in parameters_of(config):
            mean = torch.stack([state[name].double() for state in epochs[2:epoch]]).mean(0)
            assert torch.allclose(scored[epoch - 1][name].double(), mean, rtol=1e-5, atol=1e-6), (epoch, name)
    assert not torch.equal(scored[-1]["head.weight"], epochs[-1]["head.weight"])


def test_swa_estimates_batch_norm_in_the_suffix_alone(
    tmp_path: Path, scored: States, weights_of: Callable[[str], Weights]
) -> None:
    """As the mean over the epoch's batches, under the averaged weights; frozen blocks keep theirs to the bit."""
    config = small_config(
        pretrained=True, epochs=2, averaging={"kind": "swa", "start": 0}, augment="light", optimizer=SGD
    )
    weights, data = weights_of(TINY), small_dataset()
    before = build_classifier(config, 3, weights)
    reports_of(job_of(config, tmp_path, weights=weights), data)
    frozen = frozen_names(scored[-1], 2)
    assert any(name.endswith("running_var") for name in frozen)
    assert all(torch.equal(scored[-1][name], before.state_dict()[name]) for name in frozen)
    again = build_classifier(config, 3, weights)
    again.load_state_dict(scored[-1])
    again.freeze(2)
    again.train()
    norms = [module for module in again.suffix.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None
    features = PrefixFeatures(again, data, CPU)
    with torch.no_grad():
        for batch in epoch_batches(data.split["train"], config.batch_size, config.seed, 2):
            again.suffix(features.view(batch, "light", 2))
    assert norms
    assert equal_states(again.state_dict(), scored[-1])


def test_swa_leaves_frozen_batch_norm_alone(
    tmp_path: Path, scored: States, weights_of: Callable[[str], Weights]
) -> None:
    averaging = {"kind": "swa", "start": 0}
    config = small_config(pretrained=True, batch_norm="frozen", averaging=averaging, optimizer=SGD)
    weights = weights_of(TINY)
    before = build_classifier(config, 3, weights).state_dict()
    reports_of(job_of(config, tmp_path, weights=weights))
    statistics = [name for name in before if name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert statistics
    assert all(torch.equal(scored[-1][name], before[name]) for name in statistics)
    assert not torch.equal(scored[-1]["blocks.4.0.conv1.weight"], before["blocks.4.0.conv1.weight"])


def test_ema_follows_each_step_buffers_too(after_steps: States, scored: States, tmp_path: Path) -> None:
    config = small_config(epochs=2, averaging={"kind": "ema", "decay": 0.6}, batch_size=12, optimizer=SGD)
    reports_of(job_of(config, tmp_path))
    averaged = {name: tensor.double() for name, tensor in after_steps[0].items()}
    for number, state in enumerate(after_steps[1:], start=2):
        for name, tensor in state.items():
            averaged[name] = 0.6 * averaged[name] + 0.4 * tensor.double()
        if number % 3 == 0:  # the end of an epoch
            for name, tensor in scored[number // 3 - 1].items():
                if tensor.is_floating_point():
                    assert torch.allclose(tensor.double(), averaged[name], rtol=1e-4, atol=1e-6), name
    assert not torch.equal(scored[-1]["head.weight"], after_steps[-1]["head.weight"])


@pytest.mark.parametrize("averaging", [{"kind": "swa", "start": 0}, {"kind": "ema", "decay": 0.5}])
@pytest.mark.parametrize("freeze", [0, 2, "all"])
def test_the_frozen_prefix_is_shared_and_not_copied(averaging: dict[str, Any], freeze: Any) -> None:
    config = small_config(freeze=freeze, averaging=averaging)
    learner = Learner(config, small_dataset(), CPU, None)
    learner.enter_stage_of(1, 3)
    plain = learner.classifier
    batches = epoch_batches(learner.data.split["train"], 12, 0, 1)
    learner.learn(batches, 1, first=0, key=1)
    learner.end_epoch(batches, 1)
    twin = learner.scored
    assert twin is not plain
    assert twin.state_dict().keys() == plain.state_dict().keys()
    own = {name: p.data_ptr() for name, p in plain.named_parameters()}
    shared = {name for name, p in twin.named_parameters() if p.data_ptr() == own[name]}
    assert shared == {name for name, p in plain.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize("averaging", [{"kind": "swa", "start": 0}, {"kind": "ema", "decay": 0.5}])
def test_an_average_belongs_to_the_last_stage(
    averaging: dict[str, Any], after_steps: States, scored: States, tmp_path: Path
) -> None:
    config = small_config(epochs=4, head_warmup_epochs=2, averaging=averaging, batch_size=12, optimizer=SGD)
    reports_of(job_of(config, tmp_path))
    epochs = after_steps[2::3]
    same = [all(torch.equal(scored[epoch][n], epochs[epoch][n]) for n in parameters_of(config)) for epoch in range(4)]
    assert same[:2] == [True, True]
    assert same[3] is False


def test_best_and_predictions_are_the_average_s(scored: States, tmp_path: Path) -> None:
    config = small_config(epochs=3, averaging={"kind": "swa", "start": 0}, optimizer=SGD)
    job = job_of(config, tmp_path, "loss")
    reports = reports_of(job)
    best = scored[int(reports[-1].best_epoch) - 1]
    kept = model_of(job.files.best)
    assert all(torch.equal(tensor, best[name]) for name, tensor in kept.items())
    last = model_of(job.files.last)
    assert not torch.equal(last["head.weight"], scored[-1]["head.weight"])  # which goes on from the plain weights


def test_before_swa_starts_nothing_differs(tmp_path: Path) -> None:
    plain = job_of(small_config(epochs=3), tmp_path / "plain", last_epoch=2)
    swa = job_of(small_config(epochs=3, averaging={"kind": "swa", "start": 0.75}), tmp_path / "swa", last_epoch=2)
    one, other = reports_of(plain), reports_of(swa)
    assert [report.val for report in one] == [report.val for report in other]
    assert equal_states(model_of(plain.files.best), model_of(swa.files.best))


def test_a_start_that_leaves_no_epoch_is_a_mistake() -> None:
    with pytest.raises(UserError, match=r"averaging\.start: input should be less than 1 \(given: 1\.0\)"):
        small_config(averaging={"kind": "swa", "start": 1.0})
