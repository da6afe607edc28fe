"""What part of a GPU a trial gets."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_trials import small_config

from trainable.config import parse_config
from tuner.ray_backend.resources import (
    EIGHTHS,
    GpuNeed,
    GpuShares,
    MemoryKey,
    Peaks,
    fit,
    has_peaked,
    memory_key,
    share_of_gpu,
    tensors_share,
)

KEY = MemoryKey("resnet18", "fp32", 224, 32, 3)


@pytest.mark.parametrize(
    ("peak_gib", "gpu_gib", "eighths"),
    [(0.1, 24, 1), (1.9, 24, 1), (2.0, 24, 1), (2.1, 24, 2), (10, 24, 5), (18, 24, 8), (40, 24, 8), (1, 80, 1)],
)
def test_a_share_holds_the_peak_with_a_margin(peak_gib: float, gpu_gib: float, eighths: int) -> None:
    assert share_of_gpu(peak_gib, gpu_gib) == eighths / EIGHTHS


@given(st.floats(0, 200), st.floats(1, 200), st.floats(0, 50))
def test_shares_are_eighths_and_grow_with_the_peak(peak_gib: float, gpu_gib: float, more_gib: float) -> None:
    share = share_of_gpu(peak_gib, gpu_gib)
    assert share * EIGHTHS in range(1, EIGHTHS + 1)
    assert share <= share_of_gpu(peak_gib + more_gib, gpu_gib)
    assert share == 1 or share * gpu_gib >= peak_gib + 0.6


@given(st.lists(st.integers(1, EIGHTHS), max_size=12))
def test_as_many_trials_share_a_gpu_as_add_up_to_one(eighths: list[int]) -> None:
    shares = [number / EIGHTHS for number in eighths]
    assert fit(shares, 1) == (sum(eighths) <= EIGHTHS)
    assert fit(shares, len(shares))
    assert not fit([*shares, 1 / EIGHTHS], 0)


def test_what_torch_may_take_of_a_share_leaves_room_for_the_context() -> None:
    assert tensors_share(0.125, 24) == pytest.approx(0.125 - 0.6 / 24)
    assert tensors_share(0.125, 2) == 0
    assert tensors_share(1.0, 24) == 1


def test_a_share_lies_on_one_gpu() -> None:
    assert fit([0.625, 0.625, 0.375, 0.375], 2)
    assert not fit([0.625, 0.625, 0.75], 2)


def test_a_trial_s_memory_is_that_of_the_stage_that_trains_most() -> None:
    config = parse_config(
        {"backbone": "resnet18", "freeze": 2, "head_warmup_epochs": 1, "batch_size": 64, "micro_batch": 16}
    )
    assert memory_key(config, "bf16") == MemoryKey("resnet18", "bf16", 224, 16, 2)
    assert memory_key(small_config(freeze="all"), "fp32").frozen == 5


def test_a_trial_has_not_peaked_while_its_head_warms_up() -> None:
    config = parse_config({"backbone": "resnet18", "freeze": 2, "head_warmup_epochs": 2, "epochs": 5})
    assert [has_peaked(config, epoch) for epoch in (0.5, 2, 3, 5)] == [False, False, True, True]
    assert has_peaked(small_config(freeze="all"), 0.25)


def test_what_needs_no_more_is_expected_to_take_no_more(tmp_path: Path) -> None:
    peaks = Peaks(tmp_path / "peaks.json")
    assert peaks.expected(KEY) is None
    peaks.remember(KEY, 4.0)
    peaks.remember(KEY, 3.0)
    for smaller in ({}, {"images": 16}, {"frozen": 5}, {"image_size": 128}):
        assert peaks.expected(replace(KEY, **smaller)) == 4.0
    for other in ({"images": 64}, {"frozen": 2}, {"image_size": 256}, {"precision": "bf16"}, {"backbone": "lite0"}):
        assert peaks.expected(replace(KEY, **other)) is None
    peaks.remember(replace(KEY, images=16), 2.5)
    assert peaks.expected(replace(KEY, images=8)) == 2.5


def test_peaks_are_remembered_from_search_to_search(tmp_path: Path) -> None:
    file = tmp_path / "new" / "peaks.json"
    one, other = Peaks(file), Peaks(file)
    one.remember(KEY, 4.0)
    other.remember(replace(KEY, backbone="lite0"), 1.0)
    again = Peaks(file)
    assert (again.expected(KEY), again.expected(replace(KEY, backbone="lite0"))) == (4.0, 1.0)


@pytest.mark.parametrize("text", ["", "{", "[[1, 2]]", '{"peaks": 3}', '[[{"backbone": "resnet18"}, 4]]'])
def test_a_damaged_file_is_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "peaks.json").write_text(text)
    peaks = Peaks(tmp_path / "peaks.json")
    assert peaks.expected(KEY) is None
    peaks.remember(KEY, 4.0)
    assert Peaks(tmp_path / "peaks.json").expected(KEY) == 4.0


def test_a_file_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    peaks = Peaks(tmp_path / "file" / "peaks.json")
    peaks.remember(KEY, 4.0)
    assert peaks.expected(KEY) == 4.0


def shares_in(folder: Path) -> GpuShares:
    return GpuShares(Peaks(folder / "peaks.json"))


def share(shares: GpuShares, trial: str, key: MemoryKey = KEY) -> float:
    """Of GPUs of one kind."""
    return shares.of(trial, key, ["A"]).share


def test_a_trial_has_a_gpu_alone_until_one_like_it_is_measured(tmp_path: Path) -> None:
    shares = shares_in(tmp_path)
    assert share(shares, "t0001") == 1
    shares.learn(KEY, 2.0, "A", gpu_gib=24)
    assert share(shares, "t0002") == 0.125
    assert share(shares, "t0003", replace(KEY, frozen=0)) == 1
    shares.learn(KEY, 8.0, "A", gpu_gib=80)
    assert share(shares, "t0004") == 0.5  # the smaller GPU counts


def test_what_ran_out_of_memory_on_a_share_gets_a_gpu_alone(tmp_path: Path) -> None:
    shares = shares_in(tmp_path)
    shares.learn(KEY, 2.0, "A", gpu_gib=24)
    shares.did_not_fit("t0002", 0.125, "A", gpu_gib=24)
    assert (share(shares, "t0002"), share(shares, "t0003")) == (1, 0.125)
    assert shares.of("t0002", KEY, ("A", "B")).too_small == frozenset()


def test_a_known_peak_says_nothing_before_a_worker_tells_of_its_gpu(tmp_path: Path) -> None:
    Peaks(tmp_path / "peaks.json").remember(KEY, 2.0)
    shares = shares_in(tmp_path)
    assert share(shares, "t0001") == 1
    shares.learn(replace(KEY, frozen=5), 1.0, "A", gpu_gib=24)
    assert share(shares, "t0002") == 0.125


def test_a_trial_is_kept_off_gpus_that_do_not_hold_it(tmp_path: Path) -> None:
    shares = shares_in(tmp_path)
    large = replace(KEY, backbone="efficientnet_v2_l")
    shares.learn(KEY, 2.0, "small", gpu_gib=16)
    shares.learn(large, 30.0, "big", gpu_gib=80)
    kinds = ("small", "big", "never seen")
    assert shares.of("t0003", KEY, kinds) == GpuNeed(0.25, frozenset(), math.inf)
    assert shares.of("t0004", large, kinds) == GpuNeed(0.5, frozenset({"small"}), math.inf)
    assert shares.of("t0004", large, kinds[:2]) == GpuNeed(0.5, frozenset({"small"}), 80)
    assert shares.of("t0004", large, ["small"]) == GpuNeed(1.0, frozenset(), 0)  # it is all that there is


def test_what_ran_out_of_memory_on_a_gpu_gets_a_larger_one_until_there_is_none(tmp_path: Path) -> None:
    shares, kinds = shares_in(tmp_path), ("small", "middle", "big")
    assert shares.of("t0001", KEY, kinds) == GpuNeed(1.0, frozenset(), math.inf)
    shares.did_not_fit("t0001", 1.0, "small", gpu_gib=16)
    assert shares.of("t0001", KEY, kinds) == GpuNeed(1.0, frozenset({"small"}), math.inf)
    shares.learn(replace(KEY, frozen=5), 1.0, "big", gpu_gib=80)
    shares.did_not_fit("t0001", 1.0, "middle", gpu_gib=24)
    assert shares.of("t0001", KEY, kinds) == GpuNeed(1.0, frozenset({"small", "middle"}), 80)
    assert shares.of("t0001", KEY, kinds[:2]) == GpuNeed(1.0, frozenset({"small"}), 24)  # the largest left
    assert shares.of("t0002", KEY, kinds).too_small == frozenset()


@given(
    sizes=st.dictionaries(st.sampled_from("abcde"), st.one_of(st.none(), st.floats(4, 100)), min_size=1),
    peak=st.one_of(st.none(), st.floats(0.1, 90)),
    outgrown=st.lists(st.sampled_from("abcde")),
)
def test_some_gpu_is_always_left_and_a_share_of_it_holds_the_trial(
    sizes: dict[str, float | None], peak: float | None, outgrown: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shares = shares_in(Path(folder))
        for kind, gib in sizes.items():
            shares.learn(replace(KEY, backbone="another"), 0.1, kind, gib)
            if gib is not None and kind in outgrown:
                shares.did_not_fit("t0001", 1.0, kind, gib)
        if peak is not None:
            shares.learn(KEY, peak, "gone", 100.0)
        need = shares.of("t0001", KEY, sizes)
    left = sizes.keys() - need.too_small
    assert left
    known = [gib for kind in left if (gib := sizes[kind]) is not None]
    if need.share < 1:
        assert peak is not None
        assert need.share * min(known) >= peak * 1.2 + 0.6


def test_cpus_have_no_shares(tmp_path: Path) -> None:
    shares_in(tmp_path).learn(KEY, 2.0, "A", gpu_gib=None)
    assert not (tmp_path / "peaks.json").exists()
