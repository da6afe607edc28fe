from __future__ import annotations

import pytest
from small_runs import make_search, make_trial

from tuner.conclusions.curves import best_epochs, endings, overfitting, scored_on_test
from tuner.records import EpochRecord

OVERFIT = [(0.5, 0.4, 0.4), (0.6, 0.3, 0.3), (0.6, 0.35, 0.2), (0.6, 0.4, 0.1)]
UNDERFIT = [(0.5, 0.4, 0.4), (0.6, 0.35, 0.35), (0.65, 0.3, 0.3), (0.7, 0.25, 0.25)]
PLATEAU = [(0.5, 0.4, 0.4), (0.6, 0.3, 0.3), (0.6, 0.301, 0.29), (0.6, 0.302, 0.28)]
WORSE_AT_ALL = [(0.5, 0.4, 0.4), (0.6, 0.3, 0.3), (0.5, 0.5, 0.5), (0.4, 0.6, 0.6)]


def test_overfitting_is_validation_loss_that_rises_while_training_loss_falls() -> None:
    curves = (OVERFIT, UNDERFIT, PLATEAU, WORSE_AT_ALL, OVERFIT[:2])
    found = overfitting(make_search(*(make_trial(at, curve=curve) for at, curve in enumerate(curves, start=1))))
    assert found is not None
    assert (found.trials, found.looked_at, found.since, found.best_epoch) == (1, 4, 2, 2)


def test_without_losses_nothing_is_said_of_overfitting() -> None:
    bare = make_trial(
        1, epochs=tuple(EpochRecord(epoch=at, value=0.5, best_value=0.5, best_epoch=1) for at in (1, 2, 3))
    )
    assert overfitting(make_search(bare, make_trial(2), make_trial(3, 0.5))) is None


def test_best_epochs_are_those_of_trials_that_were_not_cut_short() -> None:
    config = {"epochs": 4}
    trials = [
        make_trial(1, curve=UNDERFIT, config=config),
        make_trial(2, curve=[(0.9, 1, 1), *UNDERFIT[1:]], config=config),
        make_trial(3, curve=UNDERFIT, config={"epochs": 8}),
        make_trial(4, curve=UNDERFIT, config=config, status="pruned"),
        make_trial(5, curve=UNDERFIT),
    ]
    found = best_epochs(make_search(*trials))
    assert found is not None
    assert (found.trials, found.at_the_end, found.early) == (2, 1, 1)
    assert best_epochs(make_search(make_trial(1), make_trial(2, 0.5, config={"epochs": 1}))) is None


def test_endings_count_by_status_and_know_divergence() -> None:
    broken = (EpochRecord(epoch=1, value=0.5, best_value=0.5, best_epoch=1), EpochRecord(epoch=2))
    trials = [
        make_trial(1, 0.5),
        make_trial(2, 0.5, status="pruned"),
        make_trial(3, 0.5, status="pruned", error="loss is NaN"),
        make_trial(4, epochs=broken, status="pruned"),
        make_trial(5, status="lost"),
    ]
    found = endings(make_search(*trials))
    assert found == {"complete": ["t0001"], "pruned": ["t0002"], "diverged": ["t0003", "t0004"], "lost": ["t0005"]}


def test_tested_trials_are_those_with_the_objective_on_test() -> None:
    trials = [make_trial(1, 0.5, test={"f1_macro": 0.4}), make_trial(2, 0.5, test={"loss": 1.0}), make_trial(3)]
    (found,) = scored_on_test(make_search(*trials))
    assert (found.trial, found.val, found.test) == ("t0001", 0.5, pytest.approx(0.4))
