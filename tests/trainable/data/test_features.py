from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_data import small_dataset
from small_trials import CPU, job_of, numbers, reports_of, small_config

import trainable.learner
from trainable.augment import AUGMENTS
from trainable.classifier import Classifier, build_classifier
from trainable.data import features
from trainable.data.features import PrefixFeatures
from trainable.data.views import keyed_uniform
from trainable.weights import Weights

DATA = small_dataset(images=70)
FAMILIES = {
    "resnet18": 3,
    "efficientnet_b0": 4,
    "mobilenet_v3_large": 8,
    "lite0": 5,
    "timm:test_convnext": 3,
    "timm:test_resnet": 5,
}


@pytest.fixture(scope="module")
def classifier_of(weights_of: Callable[[str], Weights]) -> Callable[[str, int], Classifier]:
    def build(backbone: str, frozen: int) -> Classifier:
        config = small_config(backbone=backbone, pretrained=True)
        classifier = build_classifier(config, 3, weights_of(backbone)).eval()
        classifier.freeze(frozen)
        return classifier

    return functools.cache(build)


@pytest.fixture(scope="module")
def reference(classifier_of: Callable[[str, int], Classifier]) -> Callable[[str, int], torch.Tensor]:
    """Features of all images in one call."""

    def compute(backbone: str, frozen: int) -> torch.Tensor:
        found = PrefixFeatures(classifier_of(backbone, frozen), DATA, CPU, 0).plain(np.arange(len(DATA)))
        assert (found - found[:1]).abs().amax(tuple(range(1, found.ndim)))[1:].min() > 1e-3  # they tell images apart
        return found

    return functools.cache(compute)


@pytest.mark.parametrize(("backbone", "frozen"), [*FAMILIES.items(), ("lite0", 9), ("resnet18", 5)])
@settings(max_examples=4, deadline=None)
@given(images=st.lists(st.integers(0, len(DATA) - 1), min_size=1, max_size=40), remembered=st.booleans())
def test_features_do_not_depend_on_company_order_batch_or_memory(
    backbone: str,
    frozen: int,
    images: list[int],
    remembered: bool,
    classifier_of: Callable[[str, int], Classifier],
    reference: Callable[[str, int], torch.Tensor],
) -> None:
    """To the bit, and so are the logits made of them: a kernel's last bits can depend on its input's memory layout."""
    classifier = classifier_of(backbone, frozen)
    features = PrefixFeatures(classifier, DATA, CPU, 1.0 if remembered else 0.0)
    expected = reference(backbone, frozen)
    for asked in (images[:1], images, images[::-1]):
        # a trial never asks for an image twice in a batch
        unique = np.array(list(dict.fromkeys(asked)), dtype=np.int64)
        found = features.plain(unique)
        assert torch.equal(found, expected[torch.from_numpy(unique)])
        with torch.no_grad():
            laid_out_otherwise = classifier.suffix(found.contiguous())
            assert torch.equal(classifier.suffix(found), laid_out_otherwise)


def count_prefix_images(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counted: list[int] = []
    prefix = classifier.prefix

    def counting(images: torch.Tensor) -> torch.Tensor:
        counted.append(len(images))
        return prefix(images)

    monkeypatch.setattr(classifier, "prefix", counting)
    return counted


def test_plain_views_pass_the_prefix_once(
    monkeypatch: pytest.MonkeyPatch, classifier_of: Callable[[str, int], Classifier]
) -> None:
    classifier = classifier_of("timm:test_resnet", 5)
    counted = count_prefix_images(classifier, monkeypatch)
    features = PrefixFeatures(classifier, DATA, CPU)
    for _ in range(3):
        features.plain(np.arange(20))
        features.view(np.arange(10, 40), "none", 2)
    assert counted == [32, 32]  # 0..19 and then 20..39


@pytest.mark.parametrize(("share", "passes"), [(0.0, 2), (0.99, 2), (1.0, 1)])
def test_features_beyond_the_budget_are_computed_again(
    share: float,
    passes: int,
    monkeypatch: pytest.MonkeyPatch,
    classifier_of: Callable[[str, int], Classifier],
    reference: Callable[[str, int], torch.Tensor],
) -> None:
    classifier, expected = classifier_of("timm:test_resnet", 5), reference("timm:test_resnet", 5)
    counted = count_prefix_images(classifier, monkeypatch)
    features = PrefixFeatures(classifier, DATA, CPU, share * expected.nbytes / 2**30)
    for _ in range(2):
        assert torch.equal(features.plain(np.arange(20)), expected[:20])
    assert len(counted) == passes


def test_with_nothing_frozen_nothing_is_remembered() -> None:
    classifier = build_classifier(small_config(), 3, None).eval()
    classifier.freeze(0)
    features = PrefixFeatures(classifier, DATA, CPU)
    expected = (torch.from_numpy(DATA.images[:4]).permute(0, 3, 1, 2).float() / 255 - classifier.mean) / classifier.std
    assert torch.equal(features.plain(np.arange(4)), expected)
    assert features._kept is None


@pytest.mark.parametrize("augment", tuple(AUGMENTS))
@pytest.mark.parametrize("frozen", [0, 2])
def test_views_are_those_of_the_image_and_the_epoch(
    augment: str, frozen: int, classifier_of: Callable[[str, int], Classifier]
) -> None:
    classifier = classifier_of("timm:test_resnet", frozen)
    features = PrefixFeatures(classifier, DATA, CPU)
    policy = AUGMENTS[augment]
    images = np.array([3, 50, 4, 66])
    together = features.view(images, augment, 5)
    whole = features.view(np.arange(70)[::-1].copy(), augment, 5).flip(0)
    assert torch.equal(together, whole[torch.from_numpy(images)])
    draws = torch.from_numpy(keyed_uniform(DATA.data_seed, 5, images, policy.draws))
    pixels = policy.apply(torch.from_numpy(DATA.batch(images)), draws).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        assert torch.allclose(together, classifier.prefix(pixels), rtol=1e-4, atol=1e-5)
    assert torch.equal(together, features.view(images, augment, 6)) == (augment == "none")


@pytest.mark.parametrize("backbone", ["timm:test_resnet", "timm:test_convnext"])
@pytest.mark.parametrize("freeze", [1, "all"])
def test_a_trial_is_the_same_with_and_without_memory(
    backbone: str,
    freeze: int | str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    weights_of: Callable[[str], Weights],
) -> None:
    config = small_config(backbone=backbone, pretrained=True, freeze=freeze)
    remembered = reports_of(job_of(config, tmp_path / "remembered", weights=weights_of(backbone)))
    monkeypatch.setattr(trainable.learner, "PrefixFeatures", functools.partial(PrefixFeatures, remembered_gib=0.0))
    computed = reports_of(job_of(config, tmp_path / "computed", weights=weights_of(backbone)))
    assert numbers(remembered) == numbers(computed)


def test_many_images_pass_some_at_a_time(
    classifier_of: Callable[[str, int], Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    pixels = PrefixFeatures.pixels

    def counted(self: PrefixFeatures, images: np.ndarray, augment: str, epoch: int) -> torch.Tensor:
        asked.append(len(images))
        return pixels(self, images, augment, epoch)

    monkeypatch.setattr(PrefixFeatures, "pixels", counted)
    monkeypatch.setattr(features, "BATCH_IMAGES", 32)
    classifier = classifier_of("resnet18", 3)
    found = torch.cat(list(PrefixFeatures(classifier, DATA, CPU, 0).batches(np.arange(70))))
    assert asked == [32, 32, 6]
    assert torch.equal(found, PrefixFeatures(classifier, DATA, CPU, 0).plain(np.arange(70)))
