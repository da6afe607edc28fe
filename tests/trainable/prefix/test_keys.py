from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_data import small_dataset
from small_trials import TINY, job_of, reports_of, small_config

from trainable.classifier import build_classifier
from trainable.data.dataset import ImageDataset
from trainable.prefix import keys
from trainable.prefix.keys import PLAIN, View, feature_key, view_of
from trainable.prefix.planner import Measured
from trainable.prefix.shelf import Origin
from trainable.weights import Weights

CPU = torch.device("cpu")
DATA = small_dataset()
ORIGIN = Origin("resnet18", ("1", "2", "3", "4", "5"), "neck")
LIGHT = View("light", 2)


def key(data: ImageDataset = DATA, origin: Origin = ORIGIN, blocks: int = 2, view: View = LIGHT) -> str:
    return feature_key(data, origin, blocks, view, CPU).name


def changed_image() -> ImageDataset:
    images = DATA.images.copy()
    images[7, 0, 0, 0] ^= 1
    return dataclasses.replace(DATA, images=images)


@pytest.mark.parametrize(
    "change",
    [
        {"data": changed_image()},
        {"data": dataclasses.replace(DATA, rows=DATA.rows[::-1])},
        {"data": dataclasses.replace(DATA, data_seed=8)},
        {"data": dataclasses.replace(DATA, files_hash="of other files")},
        {"origin": dataclasses.replace(ORIGIN, backbone="resnet50")},
        {"origin": dataclasses.replace(ORIGIN, blocks=("1", "flipped", "3", "4", "5"))},
        {"blocks": 1},
        {"blocks": 3},
        {"view": PLAIN},
        {"view": View("light", 3)},
        {"view": View("strong", 2)},
    ],
)
def test_whatever_features_depend_on_is_a_miss(change: dict[str, Any]) -> None:
    assert key(**change) != key()


@pytest.mark.parametrize(
    "same",
    [
        {"data": dataclasses.replace(DATA, labels=("a", "b", "c"), data_hash="1" * 64)},
        {"data": dataclasses.replace(DATA, split={"train": DATA.split["val"]})},
        {"origin": dataclasses.replace(ORIGIN, blocks=("1", "2", "3", "4", "trained"))},
        {"origin": dataclasses.replace(ORIGIN, neck="trained")},
    ],
)
def test_labels_splits_and_later_blocks_do_not_matter(same: dict[str, Any]) -> None:
    assert key(**same) == key()


def test_plain_views_are_the_same_for_every_data_seed() -> None:
    assert key(dataclasses.replace(DATA, data_seed=8), view=PLAIN) == key(view=PLAIN)
    assert (view_of("none", 3), view_of("light", 3)) == (PLAIN, View("light", 3))


def test_the_neck_counts_behind_the_last_block() -> None:
    assert key(blocks=5) != key(origin=dataclasses.replace(ORIGIN, neck="other"), blocks=5)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_libraries_are_in_it(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert f"{threads} threads" in feature_key(DATA, ORIGIN, 2, PLAIN, CPU).device
    before = key()
    monkeypatch.setattr(keys, "_versions", lambda: "torch 99")
    assert key() != before


def test_a_flipped_weight_of_the_file_is_a_miss(
    tmp_path: Path, weights_of: Callable[[str], Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first block's features differ, deeper in the file nothing does: only what is made with the weight is new."""
    monkeypatch.setattr(Measured, "worth_keeping", lambda _, readings: readings > 1)
    path = tmp_path / "copy.pth"
    shutil.copy(weights_of(TINY).path, path)
    config = small_config(pretrained=True, freeze=2)

    def misses(name: str) -> int:
        (first, *_) = reports_of(job_of(config, tmp_path / name, weights=Weights(TINY, path)))
        return first.features["misses"]

    assert [misses("first"), misses("again")] == [48, 0]
    state = torch.load(path)
    next(tensor for name, tensor in state.items() if name.startswith("layer4")).view(-1)[0] += 1
    torch.save(state, path)
    assert misses("beyond the frozen blocks") == 0
    next(iter(state.values())).view(-1)[0] += 1e-6
    torch.save(state, path)
    assert misses("within them") == 48


def test_another_s_augmentation_is_known_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainable.augment import AUGMENTS, Policy
    from trainable.plugins import Plugin

    def flipped(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return images.flip(2)

    monkeypatch.setitem(AUGMENTS, "flipped", Policy(1, flipped))
    monkeypatch.setattr(keys, "loaded_plugins", lambda: (Plugin("mine.py", "one"),))
    before, own = key(view=View("flipped", 1)), key()
    monkeypatch.setattr(keys, "loaded_plugins", lambda: (Plugin("mine.py", "other"),))
    assert key(view=View("flipped", 1)) != before
    assert key() == own


def test_a_classifier_s_origin_is_what_it_was_built_of(weights_of: Callable[[str], Weights]) -> None:
    config = small_config(pretrained=True)
    one, other = (build_classifier(config, labels, weights_of(TINY)).origin for labels in (3, 5))
    assert one == other
    random = build_classifier(small_config(), 3, None).origin
    assert random is not None
    assert random != one
    assert build_classifier(small_config(), 3, None).origin == random
    assert build_classifier(small_config(seed=1), 3, None).origin != random
