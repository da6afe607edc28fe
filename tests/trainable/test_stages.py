from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_trials import TINY, small_config

from trainable.config import TrialConfig, parse_config
from trainable.stages import Part, next_epoch, next_part, stage_of, steps_until


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_each_epoch_belongs_to_one_stage(lengths: list[int]) -> None:
    stages = [{"epochs": length} for length in lengths]
    config = parse_config({"backbone": TINY, "epochs": sum(lengths), "stages": stages})
    numbers_of = [stage_of(config, epoch)[0] for epoch in range(1, config.epochs + 1)]
    assert numbers_of == [number for number, length in enumerate(lengths) for _ in range(length)]
    assert stage_of(config, 0.25)[0] == 0
    with pytest.raises(ValueError, match="beyond"):
        stage_of(config, config.epochs + 1)


def parts_of(config: TrialConfig, steps: int) -> list[Part]:
    parts: list[Part] = []
    while not parts or parts[-1].trained < config.epochs:
        parts.append(next_part(config, parts[-1].trained if parts else 0, steps))
    return parts


@pytest.mark.parametrize(
    ("evaluations", "steps", "first_epoch"),
    [
        (1, 7, [(7, 1)]),
        (4, 8, [(2, 0.25), (4, 0.5), (6, 0.75), (8, 1)]),
        (4, 7, [(2, 0.25), (4, 0.5), (6, 0.75), (7, 1)]),
        (4, 5, [(2, 0.25), (3, 0.5), (4, 0.75), (5, 1)]),
        # parts that end with the same step are scored once, as the last of them
        (4, 3, [(1, 0.25), (2, 0.5), (3, 1)]),
        (4, 2, [(1, 0.5), (2, 1)]),
        (4, 1, [(1, 1)]),
    ],
)
def test_when_a_trial_is_scored(evaluations: int, steps: int, first_epoch: list[tuple[int, float]]) -> None:
    config = small_config(first_epoch_evaluations=evaluations, epochs=3)
    parts = parts_of(config, steps)
    assert [(part.stop, part.trained) for part in parts] == [*first_epoch, (steps, 2), (steps, 3)]
    assert [type(part.trained) is int for part in parts] == [part.ends_epoch for part in parts]


@given(st.integers(1, 30), st.integers(1, 60))
def test_the_parts_of_an_epoch_are_all_its_steps_once(evaluations: int, steps: int) -> None:
    config = small_config(first_epoch_evaluations=evaluations, epochs=2)
    parts = parts_of(config, steps)
    for epoch in (1, 2):
        taken = [step for part in parts if part.epoch == epoch for step in range(part.first, part.stop)]
        assert taken == list(range(steps))
    assert all(part.first < part.stop for part in parts)
    before = 0.0
    for part in parts:
        assert next_epoch(before) == part.epoch
        assert steps_until(config, part.trained, steps) == (part.epoch - 1) * steps + part.stop
        assert part.stop >= (part.trained - part.epoch + 1) * steps - 1e-9  # never scored before its share is trained
        before = part.trained
