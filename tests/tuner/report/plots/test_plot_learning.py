from __future__ import annotations

import math

from plot_records import search, trial

from tuner.records import SearchRecord
from tuner.report.plots.learning import learning_curves, losses

ASHA = {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3}


def test_every_trial_with_a_value_has_a_curve() -> None:
    found = learning_curves(search(trial(0, [0.1, None, 0.3]), trial(1, [0.5], "pruned"), trial(2, [], "failed")))
    assert found is not None
    first, second = found.curves
    assert (first.trial, first.place, first.baseline, first.halted) == ("t0001", 1, True, False)
    assert first.epochs == (1, 2, 3)
    assert math.isnan(first.values[1])
    assert (first.values[0], first.values[2], first.best) == (0.1, 0.3, (3, 0.3))
    assert (second.trial, second.place, second.halted) == ("t0002", None, True)


def test_rungs_are_where_halving_decides_as_far_as_any_trial_came() -> None:
    record = search(trial(0, [0.1] * 4), scheduler=ASHA)
    found = learning_curves(record)
    assert found is not None
    assert found.rungs == (1, 3)
    whole = learning_curves(search(trial(0, [0.1] * 9), scheduler=ASHA))
    assert whole is not None
    assert whole.rungs == (1, 3)  # at 9 every trial ends anyway


def test_first_rungs_may_be_parts_of_an_epoch() -> None:
    found = learning_curves(
        search(trial(0, [0.1, 0.2, 0.3], epochs=[0.25, 0.5, 1]), scheduler=ASHA | {"grace_epochs": 0.25})
    )
    assert found is not None
    assert found.rungs == (0.25, 0.75)
    assert found.curves[0].epochs == (0.25, 0.5, 1)


def test_no_rungs_without_halving() -> None:
    for scheduler in ({"kind": "none"}, {}, ASHA | {"reduction_factor": 1}, ASHA | {"grace_epochs": None}):
        found = learning_curves(search(trial(0, [0.1] * 4), scheduler=scheduler))
        assert found is not None
        assert found.rungs == ()


def test_nothing_to_show_before_the_first_value() -> None:
    assert learning_curves(SearchRecord()) is None
    assert learning_curves(search(trial(0, [None]))) is None
    assert losses(SearchRecord()) is None


def test_losses_are_those_of_the_top_trials_and_the_baseline() -> None:
    found = losses(search(*(trial(number, [0.1 * number, 0.1]) for number in range(7))))
    assert found is not None
    assert [curves.trial for curves in found.trials] == ["t0007", "t0006", "t0005", "t0004", "t0003", "t0001"]
    assert found.trials[0].train == (1.0, 0.5)
    assert found.trials[0].val == (0.6, 0.7)
    assert (found.trials[0].best_epoch, found.trials[0].place) == (1, 1)
    assert (found.trials[-1].place, found.trials[-1].baseline) == (None, True)
