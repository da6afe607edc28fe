from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, equal_states, small_config

from trainable import compute
from trainable.classifier import Classifier, build_classifier
from trainable.compute import PLAIN, Compute, Measured, Sample, choose_compute, compiled, fastest, probe

CONTIGUOUS = Compute(layout="contiguous")
COMPILED = Compute(compile="default")


def small_classifier(frozen: int = 2) -> Classifier:
    classifier = build_classifier(small_config(), 3, None)
    classifier.freeze(frozen)
    return classifier


def small_sample() -> Sample:
    data = small_dataset()
    pixels = torch.from_numpy(data.images[:8]).permute(0, 3, 1, 2).float() / 255
    loss = small_config().loss.build("multilabel", data.positives("train"), 36, CPU)
    return Sample(pixels, torch.from_numpy(data.targets[:8]), loss)


def way(chosen: Compute, step_seconds: float, **facts: Any) -> Measured:
    return Measured(chosen, step_seconds, **facts)


def test_the_fastest_way_is_chosen_where_it_gains_and_gives_the_same() -> None:
    plain = way(PLAIN, 0.010)
    assert fastest([plain, way(CONTIGUOUS, 0.008)], 100, 1e-4) == CONTIGUOUS
    assert fastest([plain, way(CONTIGUOUS, 0.0098)], 100, 1e-4) == PLAIN  # timings of equals differ by so much
    assert fastest([plain, way(CONTIGUOUS, 0.005, difference=1e-3)], 100, 1e-4) == PLAIN
    assert fastest([plain, way(CONTIGUOUS, 0.005, difference=float("nan"))], 100, 1e-4) == PLAIN
    assert fastest([plain, way(CONTIGUOUS, 0.0, error="no kernel")], 100, 1e-4) == PLAIN


def test_compiling_is_chosen_only_where_it_is_at_most_a_tenth_of_the_work() -> None:
    measured = [way(PLAIN, 0.010), way(COMPILED, 0.005, begin_seconds=30.0)]
    assert fastest(measured, 29_000, 1e-4) == PLAIN
    assert fastest(measured, 31_000, 1e-4) == COMPILED


def test_a_cpu_s_layouts_are_measured_and_the_classifier_is_left_as_it_was() -> None:
    classifier = small_classifier()
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    measured = probe(classifier, small_sample(), steps=100)
    assert [one.compute for one in measured] == [PLAIN, CONTIGUOUS]
    assert all(one.step_seconds > 0 and not one.error for one in measured)
    assert measured[0].difference == 0
    assert measured[1].difference <= compute.TOLERANCES["fp32"]
    assert equal_states(before, classifier.state_dict())
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_a_way_that_computes_something_else_shows_as_different(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(suffix: Any, _: str) -> Callable[[torch.Tensor], torch.Tensor]:
        return suffix if suffix.layout == "channels_last" else lambda x: 1.01 * suffix(x)

    monkeypatch.setattr(compute, "compiled", wrong)
    measured = probe(small_classifier(), small_sample(), steps=100)
    assert measured[1].difference > compute.TOLERANCES["fp32"]


def test_a_way_that_fails_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(suffix: Any, _: str) -> Any:
        if suffix.layout == "contiguous":
            raise RuntimeError("no such kernel\nand more")
        return suffix

    monkeypatch.setattr(compute, "compiled", failing)
    measured = probe(small_classifier(), small_sample(), steps=100)
    assert measured[1].error == "no such kernel"
    assert fastest(measured, 100, 1e-4) == PLAIN


def test_what_was_measured_is_remembered_for_steps_of_the_same_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def measure(classifier: Classifier, _sample: Sample, _steps: int, known: Any) -> list[Measured]:
        measured.append(classifier.frozen)
        return list(known) or [way(PLAIN, 0.010), way(CONTIGUOUS, 0.001)]

    monkeypatch.setattr(compute, "probe", measure)
    classifier, sample = small_classifier(), small_sample()
    for _ in range(2):
        assert choose_compute(classifier, sample, 10, {"backbone": "a"}, tmp_path) == CONTIGUOUS
    files = list((tmp_path / "compute").glob("*.json"))
    assert len(files) == 1
    choose_compute(classifier, sample, 10, {"backbone": "b"}, tmp_path)
    choose_compute(small_classifier(3), sample, 10, {"backbone": "a"}, tmp_path)
    choose_compute(classifier, replace(sample, pixels=sample.pixels[:4]), 10, {"backbone": "a"}, tmp_path)
    assert len(list((tmp_path / "compute").glob("*.json"))) == 4

    files[0].write_text("damaged")
    assert choose_compute(classifier, sample, 10, {"backbone": "a"}, tmp_path) == CONTIGUOUS
    assert compute._read(files[0]) == [way(PLAIN, 0.010), way(CONTIGUOUS, 0.001)]


def test_where_nothing_can_be_remembered_each_process_measures(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    classifier, sample = small_classifier(), small_sample()
    assert choose_compute(classifier, sample, 10, {"backbone": "a"}, tmp_path / "file") in (PLAIN, CONTIGUOUS)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def compile_(module: Any, **options: Any) -> Any:
        asked.append(options)
        return module

    monkeypatch.setattr(torch, "compile", compile_)
    return asked


def test_compiled_steps_draw_what_uncompiled_ones_draw(compilations: list[dict[str, Any]]) -> None:
    suffix = small_classifier().suffix
    assert compiled(suffix, "none") is suffix
    assert not compilations
    compiled(suffix, "default")
    compiled(suffix, "reduce-overhead")
    assert all(asked["options"]["fallback_random"] for asked in compilations)
    assert [asked["options"]["triton.cudagraphs"] for asked in compilations] == [False, True]
