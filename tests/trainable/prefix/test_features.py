from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_data import small_dataset
from small_trials import CPU, job_of, numbers, reports_of, small_config

from trainable.augment import AUGMENTS
from trainable.classifier import Classifier, build_classifier
from trainable.data.cache import cache_folder
from trainable.data.views import keyed_uniform
from trainable.prefix import features
from trainable.prefix.features import PrefixFeatures
from trainable.prefix.planner import Measured, Sharing
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
def reference(classifier_of: Callable[[str, int], Classifier]) -> Callable[..., torch.Tensor]:
    """Features of all images in one call, computed."""

    def compute(backbone: str, frozen: int, augment: str = "none", epoch: int = 1) -> torch.Tensor:
        found = PrefixFeatures(classifier_of(backbone, frozen), DATA, CPU).view(np.arange(len(DATA)), augment, epoch)
        assert (found - found[:1]).abs().amax(tuple(range(1, found.ndim)))[1:].min() > 1e-3  # they tell images apart
        return found

    return functools.cache(compute)


@pytest.fixture(autouse=True)
def _keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep whatever is wanted twice: these features are so small that the clock would decide by chance."""
    monkeypatch.setattr(Measured, "worth_keeping", lambda _, readings: readings > 1)


@pytest.mark.parametrize(("backbone", "frozen"), [*FAMILIES.items(), ("lite0", 9), ("resnet18", 5)])
@settings(max_examples=4, deadline=None)
@given(
    images=st.lists(st.integers(0, len(DATA) - 1), min_size=1, max_size=40),
    first=st.lists(st.integers(0, len(DATA) - 1), max_size=40),
    seed=st.integers(0, 2**32),
)
def test_features_do_not_depend_on_company_order_batch_or_store(
    backbone: str,
    frozen: int,
    images: list[int],
    first: list[int],
    seed: int,
    classifier_of: Callable[[str, int], Classifier],
    reference: Callable[..., torch.Tensor],
) -> None:
    """To the bit, and so are the logits made of them: a kernel's last bits can depend on its input's memory layout."""
    classifier = classifier_of(backbone, frozen)
    expected = reference(backbone, frozen)
    data = dataclasses.replace(DATA, files_hash=str(seed))  # a store of its own
    computed = PrefixFeatures(classifier, data, CPU)
    kept = PrefixFeatures(classifier, data, CPU, epochs=2)
    kept.ensure(np.array(first, dtype=np.int64))
    for asked in (images[:1], images, images[::-1]):
        # a trial never asks for an image twice in a batch
        unique = np.array(list(dict.fromkeys(asked)), dtype=np.int64)
        for way in (computed, kept):
            found = way.plain(unique)
            assert torch.equal(found, expected[torch.from_numpy(unique)])
            with torch.no_grad():
                laid_out_otherwise = classifier.suffix(found.contiguous())
                assert torch.equal(classifier.suffix(found), laid_out_otherwise)


def count_prefix_images(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The stretches of blocks that chunks pass, as they do."""
    counted: list[tuple[int, int]] = []
    between = classifier.between

    def counting(x: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        counted.append((start, stop))
        return between(x, start, stop)

    monkeypatch.setattr(classifier, "between", counting)
    return counted


def test_plain_views_pass_the_prefix_once(
    monkeypatch: pytest.MonkeyPatch, classifier_of: Callable[[str, int], Classifier]
) -> None:
    classifier = classifier_of("timm:test_resnet", 5)
    counted = count_prefix_images(classifier, monkeypatch)
    features = PrefixFeatures(classifier, DATA, CPU, epochs=3)
    for _ in range(3):
        features.plain(np.arange(20))
        features.view(np.arange(10, 40), "none", 2)
    assert counted == [(0, 5)] * 2  # 0..19 and then 20..39
    again = PrefixFeatures(classifier, DATA, CPU)
    again.plain(np.arange(40))
    assert counted == [(0, 5)] * 2
    assert features.counts.take() == {"hits": 110, "misses": 40, "bytes": 40 * 96 * 4}
    assert again.counts.take() == {"hits": 40, "misses": 0, "bytes": 0}


def test_what_is_wanted_once_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, classifier_of: Callable[[str, int], Classifier]
) -> None:
    classifier = classifier_of("timm:test_resnet", 5)
    counted = count_prefix_images(classifier, monkeypatch)
    features = PrefixFeatures(classifier, DATA, CPU)
    for _ in range(2):
        features.plain(np.arange(20))
    assert len(counted) == 2
    assert features.counts.take() == {"hits": 0, "misses": 40, "bytes": 0}
    assert not (cache_folder() / "features").exists()


def test_with_nothing_frozen_nothing_is_kept() -> None:
    classifier = build_classifier(small_config(), 3, None).eval()
    classifier.freeze(0)
    features = PrefixFeatures(classifier, DATA, CPU, epochs=9)
    expected = (torch.from_numpy(DATA.images[:4]).permute(0, 3, 1, 2).float() / 255 - classifier.mean) / classifier.std
    assert torch.equal(features.plain(np.arange(4)), expected)
    assert not (cache_folder() / "features").exists()
    assert features.counts.take() == {"hits": 0, "misses": 0, "bytes": 0}


def test_a_prefix_that_has_been_trained_shares_nothing() -> None:
    classifier = build_classifier(small_config(), 3, None).eval()
    classifier.freeze(1)
    classifier.freeze(3)
    PrefixFeatures(classifier, DATA, CPU, epochs=9).plain(np.arange(40))
    assert not (cache_folder() / "features").exists()
    classifier.freeze(1)
    PrefixFeatures(classifier, DATA, CPU, epochs=9).plain(np.arange(40))
    assert (cache_folder() / "features").exists()


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


TRIALS = st.fixed_dictionaries(
    {
        "backbone": st.sampled_from(["timm:test_resnet", "timm:test_convnext"]),
        "freeze": st.sampled_from([1, 2, 3, "all"]),
        "head": st.sampled_from([{"kind": "linear"}, {"kind": "mlp", "width": 8, "dropout": 0.5}]),
        "augment": st.sampled_from(list(AUGMENTS)),
        "head_warmup_epochs": st.sampled_from([0, 1]),
    }
)


@pytest.mark.real
@settings(max_examples=12, deadline=None)
@given(fields=TRIALS)
def test_a_trial_is_the_same_with_whatever_is_kept(
    fields: dict[str, Any], weights_of: Callable[[str], Weights], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With a cache of its own, with that of an equal trial, from a shallower depth, and with none: to the bit."""
    config = small_config(pretrained=True, **fields)

    def trained(cache: Path | None, trials: float, **others: Any) -> list[dict[str, Any]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("THAW_CACHE", str(cache or tmp_path_factory.mktemp("none")))
            if cache is None:
                patch.setattr(Measured, "worth_keeping", lambda *_: False)
            job = job_of(
                config.model_copy(update=others),
                tmp_path_factory.mktemp("trial"),
                weights=weights_of(config.backbone),
                sharing=Sharing(trials, depths=(1, 2)),
            )
            return numbers(reports_of(job))

    computed = trained(None, 1)
    own, seeded = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("seeded")
    assert trained(own, 1) == computed
    assert trained(own, 2) == computed
    trained(seeded, 2, freeze=1, head_warmup_epochs=0)
    assert trained(seeded, 2) == computed


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
    found = torch.cat(list(PrefixFeatures(classifier, DATA, CPU).batches(np.arange(70))))
    assert asked == [32, 32, 6]
    assert torch.equal(found, PrefixFeatures(classifier, DATA, CPU).plain(np.arange(70)))
