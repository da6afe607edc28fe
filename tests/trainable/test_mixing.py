from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, equal_states, job_of, model_of, numbers, reports_of, small_config

from trainable.classifier import build_classifier
from trainable.data.batches import epoch_batches
from trainable.errors import UserError
from trainable.learner import Learner
from trainable.losses import unweighted_loss
from trainable.mixing import CutMix, MixUp, NoMix, mix_batch
from trainable.prefix.features import PrefixFeatures

KEY = {"seed": 3, "epoch": 2, "batch": 5}
IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
TARGETS = (torch.rand(6, 4, generator=torch.Generator().manual_seed(1)) < 0.5).float()


def mixed(choice: MixUp | CutMix, targets: torch.Tensor = TARGETS, **key: int) -> tuple[torch.Tensor, torch.Tensor]:
    mixer = choice.build(4)
    assert mixer is not None
    return mix_batch(mixer, IMAGES.clone(), targets.clone(), **KEY | key)


def share_of(whole: torch.Tensor, part: torch.Tensor, result: torch.Tensor) -> float:
    """The share s for which `result = s * whole + (1 - s) * part`."""
    differs = (whole - part).abs() > 0.1
    return float(((result - part)[differs] / (whole - part)[differs]).mean())


def test_mixup_blends_images_and_targets_alike() -> None:
    images, targets = mixed(MixUp(kind="mixup", alpha=1.0))
    other, other_targets = IMAGES.roll(1, 0), TARGETS.roll(1, 0)
    share = share_of(IMAGES, other, images)
    assert 0 < share < 1
    assert torch.allclose(images, share * IMAGES + (1 - share) * other, atol=1e-5)
    assert torch.allclose(targets, share * TARGETS + (1 - share) * other_targets, atol=1e-5)


def test_cutmix_replaces_a_box_and_weighs_by_its_area() -> None:
    images, targets = mixed(CutMix(kind="cutmix"))
    other = IMAGES.roll(1, 0)
    replaced = (images != IMAGES).any(1)
    assert torch.equal(images[:, :, replaced[0]], other[:, :, replaced[0]])
    assert (replaced == replaced[0]).all()
    share = 1 - replaced[0].float().mean().item()
    assert 0 < share < 1
    assert torch.allclose(targets, share * TARGETS + (1 - share) * TARGETS.roll(1, 0), atol=1e-5)


def test_classes_become_shares_of_classes() -> None:
    classes = torch.tensor([0, 1, 2, 3, 1, 0])
    _, targets = mixed(MixUp(kind="mixup", alpha=1.0), classes)
    assert targets.shape == (6, 4)
    assert torch.allclose(targets.sum(1), torch.ones(6))
    assert torch.equal(targets[1] > 0, torch.tensor([True, True, False, False]))


@pytest.mark.parametrize("choice", [MixUp(kind="mixup", alpha=1.0), CutMix(kind="cutmix")])
def test_draws_are_keyed_and_leave_other_streams_alone(choice: MixUp | CutMix) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    images, targets = mixed(choice)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    again, again_targets = mixed(choice)
    assert torch.equal(images, again)
    assert torch.equal(targets, again_targets)
    for other in ({"seed": 4}, {"epoch": 3}, {"batch": 6}):
        assert not torch.equal(images, mixed(choice, **other)[0])


def test_none_mixes_nothing() -> None:
    assert NoMix().build(3) is None


@pytest.mark.parametrize("augment", ["none", "light"])
@pytest.mark.parametrize("freeze", [0, 2, "all"])
def test_a_mixed_batch_is_that_of_mixed_pixels(freeze: Any, augment: Any) -> None:
    """What the suffix is given: the prefix of images and targets mixed by hand."""
    config = small_config(mix={"kind": "mixup", "alpha": 1.0}, freeze=freeze, augment=augment, batch_size=7)
    data = small_dataset()
    learner = Learner(config, data, CPU, None)
    batches = epoch_batches(data.split["train"], 7, config.seed, 3)
    learner.enter_stage_of(1, len(batches))
    learner.classifier.eval()
    features = PrefixFeatures(learner.classifier, data, CPU)
    mixer = config.mix.build(3)
    assert mixer is not None
    for number, (found, targets) in enumerate(learner._inputs(batches[2:], 3, first=2), start=2):
        pixels = features.pixels(batches[number], augment, 3)
        key = {"seed": config.seed, "epoch": 3, "batch": number}
        expected, expected_targets = mix_batch(mixer, pixels, torch.from_numpy(data.targets[batches[number]]), **key)
        assert torch.equal(found, features.of(expected))
        assert torch.equal(targets, expected_targets)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_reported_loss_is_of_the_mixed_targets_unweighted(task: Any, kind: Any, tmp_path: Path) -> None:
    loss = {"pos_weight": "balanced", "label_smoothing": 0.2}
    config = small_config(freeze="all", epochs=1, batch_size=99, loss=loss, mix={"kind": kind, "alpha": 1.0})
    data = small_dataset(task)
    (report,) = reports_of(job_of(config, tmp_path, "f1_macro"), data)
    classifier = build_classifier(config, len(data.labels), None).eval()
    (batch,) = epoch_batches(data.split["train"], 99, config.seed, 1)
    images = torch.from_numpy(data.images[batch]).permute(0, 3, 1, 2).float() / 255
    mixer = config.mix.build(len(data.labels))
    assert mixer is not None
    images, targets = mix_batch(
        mixer, images, torch.from_numpy(data.targets[batch]), seed=config.seed, epoch=1, batch=0
    )
    with torch.no_grad():
        logits = classifier(images)
        weighted = config.loss.build(task, data.positives("train"), len(batch), CPU)(logits, targets)
        plain = unweighted_loss(logits, targets, task)
    assert report.train_loss == pytest.approx(plain.item(), rel=1e-4)
    assert report.train_loss_weighted == pytest.approx(weighted.item(), rel=1e-4)


def test_mixed_features_are_never_remembered(tmp_path: Path) -> None:
    """Frozen blocks see the mixed pixels of each epoch: remembering their output would train on the first one's."""
    config = small_config(freeze="all", mix={"kind": "mixup", "alpha": 1.0}, epochs=3)
    job = job_of(config, tmp_path / "mixed")
    reports = reports_of(job)
    plain = reports_of(job_of(small_config(freeze="all", epochs=3), tmp_path / "plain"))
    assert numbers(reports) != numbers(plain)
    again = job_of(config, tmp_path / "again")
    data = small_dataset()
    assert numbers(reports_of(again, dataclasses.replace(data, images=data.images.copy()))) == numbers(reports)
    assert equal_states(model_of(again.files.last), model_of(job.files.last))


def test_mixing_changes_no_validation_image(tmp_path: Path) -> None:
    """At a learning rate of nearly nothing, what is scored is what an unmixed trial scores."""
    frozen = {"optimizer": {"kind": "sgd", "lr": 1e-30}, "freeze": "all", "epochs": 1}
    one, other = (job_of(small_config(**frozen, mix={"kind": kind}), tmp_path / kind) for kind in ("none", "cutmix"))
    for job in (one, other):
        reports_of(job)
    assert np.array_equal(np.load(one.files.predictions)["logits"], np.load(other.files.predictions)["logits"])


def test_one_image_has_none_to_mix_with() -> None:
    with pytest.raises(UserError, match=r"mix\.kind mixup needs other images in the batch: raise batch_size above 1"):
        small_config(mix={"kind": "mixup"}, batch_size=1)
