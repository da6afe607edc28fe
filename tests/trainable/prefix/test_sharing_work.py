"""Several processes, killed ones, and disks that are full: the features are the same to the bit."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, TINY, job_of, numbers, reports_of, small_config

from trainable.classifier import Classifier, build_classifier
from trainable.data.cache import cache_folder, drop_entry
from trainable.prefix import features as feature_module
from trainable.prefix.features import PrefixFeatures
from trainable.prefix.planner import Measured, Sharing
from trainable.prefix.store import Entry
from trainable.weights import Weights

DATA = small_dataset(images=70)
EVERYTHING = np.arange(len(DATA))
WORTH_KEEPING = Measured.worth_keeping
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _keep_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Measured, "worth_keeping", lambda _, readings: readings > 1)
    monkeypatch.setattr(feature_module, "CLAIMED_IMAGES", 16)


@pytest.fixture
def classifier(weights_of: Callable[[str], Weights]) -> Classifier:
    built = build_classifier(small_config(pretrained=True, freeze=3), 3, weights_of(TINY)).eval()
    built.freeze(3)
    return built


def when_computing(monkeypatch: pytest.MonkeyPatch, heed: Callable[[np.ndarray], None]) -> None:
    """Have `heed` told of images that are about to pass the prefix."""
    really = PrefixFeatures._pass

    def telling(self: PrefixFeatures, images: np.ndarray, *more: Any) -> Any:
        heed(images)
        return really(self, images, *more)

    monkeypatch.setattr(PrefixFeatures, "_pass", telling)


def build_beside(classifier: Classifier, log: Path, barrier: Barrier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build all features; the first ones not before the other process has begun as well."""
    first = [True]

    def note(images: np.ndarray) -> None:
        if first.pop() if first else False:
            barrier.wait(60)
        with log.open("a") as file:
            file.writelines(f"{image}\n" for image in images)

    when_computing(monkeypatch, note)
    found = PrefixFeatures(classifier, DATA, CPU, epochs=2).plain(EVERYTHING)
    torch.save(found, log.with_suffix(".pt"))


def test_two_processes_share_the_work(classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = PrefixFeatures(classifier, DATA, CPU).plain(EVERYTHING)
    barrier, logs = FORK.Barrier(2), [tmp_path / "one", tmp_path / "other"]
    processes = [FORK.Process(target=build_beside, args=(classifier, log, barrier, monkeypatch)) for log in logs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    computed = [log.read_text().split() for log in logs]
    assert all(computed)
    assert sorted(map(int, computed[0] + computed[1])) == EVERYTHING.tolist()
    for log in logs:
        assert torch.equal(torch.load(log.with_suffix(".pt")), expected)


def build_until_killed(classifier: Classifier, reached: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def stop_at_the_third(images: np.ndarray) -> None:
        calls.append(images)
        if len(calls) == 3:
            reached.set()
            signal.pause()

    when_computing(monkeypatch, stop_at_the_third)
    PrefixFeatures(classifier, DATA, CPU, epochs=2).plain(EVERYTHING)


def test_a_killed_builder_holds_nobody_up(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has finished is read, what it was at is computed again."""
    expected = PrefixFeatures(classifier, DATA, CPU).plain(EVERYTHING)
    reached = FORK.Event()
    process = FORK.Process(target=build_until_killed, args=(classifier, reached, monkeypatch))
    process.start()
    assert reached.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    features = PrefixFeatures(classifier, DATA, CPU, epochs=2)
    assert torch.equal(features.plain(EVERYTHING), expected)
    assert features.counts.take()["misses"] == len(DATA) - 2 * 16


@pytest.mark.parametrize("fails", ["pwrite", "link", "open"])
def test_without_room_on_the_disk_a_trial_goes_on(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full at the first row, when the file is made, or not to be written to at all: one warning, the same numbers."""
    config = small_config(head_warmup_epochs=1, epochs=3)
    expected = numbers(reports_of(job_of(config, tmp_path / "whole")))
    monkeypatch.setenv("THAW_CACHE", str(tmp_path / "small"))
    really = getattr(os, fails)

    def full(path: Any, *more: Any, **named: Any) -> Any:
        if fails == "open" and not str(path).startswith(str(tmp_path / "small")):
            return really(path, *more, **named)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, fails, full)
    text = f"{tmp_path / 'small'}: features cannot be kept (No space left on device); trials compute them"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reports = reports_of(job_of(config, tmp_path / "trial"))
    assert [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)] == [text]
    assert reports[-1].warning == text
    assert numbers([replace(report, warning="") for report in reports]) == expected


def test_a_shallower_depth_that_is_dropped_meanwhile_disturbs_nobody(
    weights_of: Callable[[str], Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may find, while this one computes, that a depth on the way is not worth keeping."""
    classifier = build_classifier(small_config(pretrained=True, freeze=3), 3, weights_of(TINY)).eval()
    classifier.freeze(3)
    expected = PrefixFeatures(classifier, DATA, CPU).plain(EVERYTHING)
    really = PrefixFeatures._keep
    dropped = []

    def drop_first(self: PrefixFeatures, entry: Entry, depth: int, *more: Any) -> bool:
        if depth == 2 and not dropped:
            dropped.append(depth)
            drop_entry(entry.folder)
        return really(self, entry, depth, *more)

    monkeypatch.setattr(PrefixFeatures, "_keep", drop_first)
    features = PrefixFeatures(classifier, DATA, CPU, Sharing(4, (2, 3)), epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert torch.equal(features.plain(EVERYTHING), expected)
    assert dropped
    assert features.counts.take()["misses"] == len(DATA)


def test_what_the_limit_leaves_no_room_for_is_computed(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = PrefixFeatures(classifier, DATA, CPU).plain(EVERYTHING)
    monkeypatch.setenv("THAW_CACHE_GIB", "1e-6")
    features = PrefixFeatures(classifier, DATA, CPU, epochs=2)
    for _ in range(2):
        assert torch.equal(features.plain(EVERYTHING), expected)
    assert features.counts.take() == {"hits": 0, "misses": 2 * len(DATA) + 16, "bytes": 0}
    assert not list((cache_folder() / "features").iterdir())


def test_what_is_slower_to_read_is_computed(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first images are computed to find out, once a process."""
    monkeypatch.setattr(Measured, "worth_keeping", lambda *_: False)
    monkeypatch.setattr(feature_module, "_MEASURED", {})
    for tried in (16, 0):
        features = PrefixFeatures(classifier, DATA, CPU, epochs=2)
        features.plain(EVERYTHING)
        assert features.counts.take()["misses"] == tried + len(DATA)
    assert not list((cache_folder() / "features").iterdir())


@pytest.mark.parametrize(
    ("computing", "reading", "readings", "pays"),
    [(1, 0.1, 2, True), (1, 0.1, 1, False), (1, 0.9, 5, False), (1, 0.9, 50, True), (1, 2, 1e9, False)],
)
def test_what_keeping_must_save(computing: float, reading: float, readings: float, pays: bool) -> None:
    """At a writing time of 0.5: computing once, writing and reading must be faster than computing each time."""
    assert WORTH_KEEPING(Measured(computing, 0.5, reading), readings) == pays
