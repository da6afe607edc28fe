from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tuner.evidence.halted import audited_trials, halted_trials, rung_agreements, rungs_of, standing
from tuner.records import EpochRecord, SearchRecord, TrialRecord


def trial(number: int, values: Sequence[float], status: str = "complete", **facts: int) -> TrialRecord:
    """A trial with these best values by epoch."""
    epochs = tuple(EpochRecord(epoch=n, best_value=value, best_epoch=n) for n, value in enumerate(values, start=1))
    return TrialRecord(
        f"t{number:04d}", number, {"epochs": 4}, status=status, epochs=epochs, facts=facts, baseline=number == 0
    )


def search(*trials: TrialRecord, **fields: Any) -> SearchRecord:
    scheduler = {"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 2}
    return SearchRecord(**{"trials": trials, "scheduler": scheduler, **fields})


def test_halted_and_audited_trials_are_told_apart() -> None:
    record = search(
        trial(0, [0.1] * 4),
        trial(1, [0.2], "paused", rung=1),
        trial(2, [0.2], "paused"),  # its time was up
        trial(3, [0.2] * 4, audit=1),
        trial(4, [0.2, 0.2], "pruned", rung=2),
        trial(5, [0.2], "pruned"),  # it diverged
    )
    assert [found.id for found in halted_trials(record)] == ["t0001", "t0004"]
    assert [found.id for found in audited_trials(record)] == ["t0003"]


def test_rungs_are_those_of_the_scheduler_below_the_horizon() -> None:
    assert rungs_of(search(trial(0, [0.1]))) == (1, 2)
    assert rungs_of(search(trial(0, [0.1]), scheduler={"kind": "one_epoch", "keep": 2})) == (1,)
    assert rungs_of(search(trial(0, [0.1]), scheduler={})) == ()
    assert rungs_of(SearchRecord()) == ()


def test_a_rung_agrees_with_the_end_as_far_as_its_order_does() -> None:
    record = search(
        trial(0, [0.1, 0.4, 0.4, 0.5]),
        trial(1, [0.2, 0.3, 0.3, 0.6]),
        trial(2, [0.3, 0.5, 0.5, 0.7]),
        trial(3, [0.9], "paused", rung=1),
    )
    first, second = rung_agreements(record)
    assert (first.rung, first.epochs, first.trials, first.correlation) == (1, 1, 3, pytest.approx(1.0))
    assert (second.rung, second.epochs, second.trials, second.correlation) == (2, 2, 3, pytest.approx(0.5))
    assert first.interval is second.interval is None


def test_a_trial_that_patience_ended_before_a_rung_stands_there_with_its_best() -> None:
    record = search(trial(0, [0.1, 0.2, 0.2, 0.2]), trial(1, [0.4], "early_stopped"), trial(2, [0.2, 0.3, 0.3, 0.3]))
    assert [found.trials for found in rung_agreements(record)] == [3, 3]
    assert rung_agreements(record)[1].correlation == pytest.approx(1.0)


def test_few_or_equal_trials_have_no_correlation() -> None:
    for trials in ([trial(0, [0.1, 0.2]), trial(1, [0.3, 0.4])], [trial(n, [0.1, 0.2]) for n in range(5)]):
        assert {found.correlation for found in rung_agreements(search(*trials))} == {None}


def test_ten_trials_have_an_interval() -> None:
    values = [3, 1, 2, 5, 4, 7, 6, 9, 8, 10]
    record = search(*(trial(n, [value / 10, 0.5, 0.5, n / 10 + 0.5]) for n, value in enumerate(values)))
    first = rung_agreements(record)[0]
    assert first.correlation is not None
    assert first.interval is not None
    low, high = first.interval
    assert -1 < low < first.correlation < high < 1


@pytest.mark.parametrize(("direction", "place"), [("maximize", 1), ("minimize", 3)])
def test_an_audited_trial_stands_among_those_that_went_on_by_themselves(direction: str, place: int) -> None:
    middling, high = trial(3, [0.2, 0.5, 0.5, 0.55], audit=1), trial(4, [0.2, 0.9, 0.9, 0.95], audit=1)
    others = trial(0, [0.5] * 4), trial(1, [0.6] * 4), trial(2, [0.9], "paused", rung=1)
    record = search(*others, middling, high, direction=direction)
    assert standing(record, middling) == (2, 3)
    assert standing(record, high) == (place, 3)
