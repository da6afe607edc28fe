from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_predictions import IMAGES, PredictedSearch, right_on

from tuner.evidence import bootstrap as bootstrap_module
from tuner.evidence.gathering import Difference, Gatherer, Spread, gather
from tuner.evidence.weighted import weighted_metric

ALL = range(IMAGES)


def repeat(search: PredictedSearch, of: str, number: int, right: np.ndarray, data_seed: int = 3, **more: Any) -> None:
    rerun = {"of": of, "kind": "repeat", "seed": number, "data_seed": data_seed} | more
    search.add(f"{of}-r{number}", right, rerun=rerun)


def log_finished(search: PredictedSearch, *accuracies: float) -> None:
    """Trials that are right on the first images, each on more than the one before where its accuracy is higher."""
    for number, accuracy in enumerate(accuracies, start=1):
        search.add(f"t{number:04}", right_on(range(round(accuracy * IMAGES))))


def test_every_finished_trial_has_an_interval_around_its_value(search: PredictedSearch) -> None:
    log_finished(search, 0.5, 0.8)
    search.add("t0003", right_on(range(20)), status="pruned")
    evidence = gather(search.store, search.record)
    assert set(evidence.intervals) == {"t0001", "t0002"}
    assert evidence.intervals["t0001"].low < 0.5 < evidence.intervals["t0001"].high
    assert (evidence.images, evidence.groups, evidence.seeds, evidence.by_value) == (IMAGES, IMAGES, False, ())


def test_clear_differences_are_ranked_and_the_best_stands_alone(search: PredictedSearch) -> None:
    log_finished(search, 0.2, 0.9, 0.5)
    evidence = gather(search.store, search.record)
    assert evidence.ranks == {"t0001": 3, "t0002": 1, "t0003": 2}
    assert (evidence.tied, evidence.cheapest) == (frozenset(), None)


def test_what_is_not_told_apart_is_tied_and_the_smallest_of_it_named(search: PredictedSearch) -> None:
    rows = [(48, 9, 1.0), (47, 5, 2.0), (46, 5, 7.0), (6, 1, 9.0)]
    for number, (images, parameters, speed) in enumerate(rows, start=1):
        measured = {"total_parameters": parameters, "images_per_second": speed}
        search.add(f"t{number:04}", right_on(range(images)), **measured)
    evidence = gather(search.store, search.record)
    assert evidence.tied == {"t0001", "t0002", "t0003"}
    assert evidence.cheapest == "t0003"


def test_a_little_more_speed_does_not_make_a_trial_the_cheapest(search: PredictedSearch) -> None:
    for number, (images, speed) in enumerate([(47, 100.0), (48, 99.0), (46, None)], start=1):
        search.add(f"t{number:04}", right_on(range(images)), total_parameters=5, images_per_second=speed)
    assert gather(search.store, search.record).cheapest == "t0002"


def test_the_last_row_is_below_all_that_are_tied(search: PredictedSearch) -> None:
    for number, images in enumerate((48, 47, 46, 6), start=1):
        search.add(f"t{number:04}", right_on(range(images)))
    evidence = gather(search.store, search.record)
    assert evidence.tied == {"t0001", "t0002", "t0003"}
    assert evidence.ranks["t0004"] == 4


def test_a_lower_value_is_better_when_minimised(tmp_path: Path) -> None:
    search = PredictedSearch(tmp_path, objective={"metric": "loss", "direction": "minimize"})
    for name, right in (("t0001", right_on(range(10))), ("t0002", right_on(range(55)))):
        search.score(name, right)
        loss = np.log1p(np.exp(-1.0)) + (1 - right.mean())  # logits of 1 either way
        search.log(name, float(loss))
    assert gather(search.store, search.record).ranks == {"t0001": 2, "t0002": 1}


def test_a_trial_whose_predictions_are_missing_or_another_epoch_s_is_ranked_by_value(search: PredictedSearch) -> None:
    log_finished(search, 0.5, 0.5, 0.8)
    search.store.predictions("t0001").unlink()
    search.score("t0002", right_on(range(6)))
    evidence = gather(search.store, search.record)
    assert set(evidence.by_value) == {"t0001", "t0002"}
    assert set(evidence.intervals) == {"t0003"}
    assert evidence.ranks == {"t0003": 1, "t0001": 2, "t0002": 2}
    assert evidence.tied == frozenset()


def test_without_any_predictions_value_ranks_all(search: PredictedSearch) -> None:
    search.log("t0001", 0.5)
    search.log("t0002", 0.6)
    evidence = gather(search.store, search.record)
    assert evidence.ranks == {"t0002": 1, "t0001": 2}
    assert (evidence.intervals, evidence.difference("t0001", "t0002")) == ({}, None)


def test_one_trial_and_none_are_no_special_case(search: PredictedSearch) -> None:
    assert gather(search.store, search.record).ranks == {}
    search.add("t0001", right_on(range(30)))
    evidence = gather(search.store, search.record)
    assert (evidence.ranks, evidence.tied) == ({"t0001": 1}, frozenset())


def test_references_have_intervals_but_no_rank(search: PredictedSearch) -> None:
    log_finished(search, 0.9)
    value = search.score("majority", right_on(range(12)))
    search.store.append("reference_scored", name="majority", given=False, val={"accuracy": value})
    search.store.append("reference_scored", name="paper", given=True, val={"accuracy": 0.95})
    evidence = gather(search.store, search.record)
    assert set(evidence.intervals) == {"t0001", "majority"}
    assert evidence.ranks == {"t0001": 1}
    found = evidence.difference("t0001", "majority")
    assert found
    assert found.value == pytest.approx(0.7)
    assert found.low < 0.7 < found.high
    assert found.images == IMAGES
    assert evidence.difference("t0001", "paper") is None
    assert evidence.difference("t0001", "majority", "test") is None


def test_differences_are_of_either_split_and_any_metric(search: PredictedSearch) -> None:
    log_finished(search, 0.5, 0.9)
    for name, right in (("t0001", right_on(range(50))), ("t0002", right_on(range(20)))):
        search.score(name, right, split="test")
    evidence = gather(search.store, search.record)
    on_test = evidence.difference("t0002", "t0001", "test")
    assert on_test
    assert on_test.value == pytest.approx(-0.5)
    losses = evidence.difference("t0002", "t0001", metric="loss")
    assert losses
    assert losses.high < 0


def test_repeats_give_mean_and_spread_without_the_run_that_was_chosen(search: PredictedSearch) -> None:
    log_finished(search, 0.9)
    repeat(search, "t0001", 1, right_on(range(30)))
    repeat(search, "t0001", 2, right_on(range(42)), data_seed=4)
    search.add("t0001-r3", right_on(ALL), status="failed", rerun={"of": "t0001", "kind": "repeat"})
    assert gather(search.store, search.record).spreads == {"t0001": Spread(0.6, pytest.approx(0.02**0.5), 2)}
    one = PredictedSearch(search.store.folder / "one")
    log_finished(one, 0.9)
    repeat(one, "t0001", 1, right_on(range(30)))
    assert gather(one.store, one.record).spreads == {"t0001": Spread(0.5, None, 1)}


def test_a_repeated_trial_is_ranked_by_its_repeats_on_the_same_split(search: PredictedSearch) -> None:
    log_finished(search, 0.9, 0.6)
    for number in (1, 2, 3):
        repeat(search, "t0001", number, right_on(range(12)))
        repeat(search, "t0001", number + 3, right_on(ALL), data_seed=4)  # of other images: no part in it
    evidence = gather(search.store, search.record)
    assert evidence.seeds
    assert evidence.ranks == {"t0002": 1, "t0001": 2}
    assert search.record.best
    assert search.record.best.id == "t0001"


def test_seeds_that_scatter_keep_trials_together(search: PredictedSearch) -> None:
    log_finished(search, 0.9, 0.5)
    assert gather(search.store, search.record).tied == frozenset()
    for number, images in enumerate((range(58), range(30), range(58), range(34)), start=1):
        repeat(search, "t0001", number, right_on(images))
    assert gather(search.store, search.record).tied == {"t0001", "t0002"}


def test_a_metric_without_a_value_in_most_resamples_ranks_by_value(tmp_path: Path) -> None:
    search = PredictedSearch(tmp_path, objective={"metric": "roc_auc_macro", "direction": "maximize"})
    search.score("t0001", right_on(range(30)))
    search.log("t0001", 0.5)  # of labels that all images or none have
    evidence = gather(search.store, search.record)
    assert (evidence.ranks, evidence.by_value, evidence.intervals) == ({"t0001": 1}, ("t0001",), {})


def test_each_end_of_a_trial_resamples_that_trial_only(
    search: PredictedSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(
        bootstrap_module, "weighted_metric", lambda *given: (calls.append(given), weighted_metric(*given))[1]
    )
    gatherer = Gatherer(search.store)
    log_finished(search, 0.5, 0.6)
    gatherer.evidence(search.record)
    before = len(calls)
    search.add("t0003", right_on(range(20)))
    gatherer.evidence(search.record)
    assert len(calls) - before == before / 2


def test_the_same_search_gives_the_same_evidence(search: PredictedSearch) -> None:
    log_finished(search, 0.5, 0.7, 0.72)
    repeat(search, "t0003", 1, right_on(range(40)))
    repeat(search, "t0003", 2, right_on(range(43)))
    one, other = (gather(search.store, search.record) for _ in range(2))
    assert (one.intervals, one.ranks, one.tied, one.spreads) == (
        other.intervals,
        other.ranks,
        other.tied,
        other.spreads,
    )


def test_a_perfect_score_has_no_interval_but_a_rank_and_equal_predictions_differ_by_nothing(
    search: PredictedSearch,
) -> None:
    log_finished(search, 1.0, 1.0, 0.5)
    evidence = gather(search.store, search.record)
    assert set(evidence.intervals) == {"t0003"}
    assert evidence.ranks == {"t0001": 1, "t0002": 1, "t0003": 3}
    assert evidence.difference("t0001", "t0002") == Difference(0.0, 0.0, 0.0, IMAGES)
    search.add("t0004", right_on())
    assert gather(search.store, search.record).difference("t0001", "t0004") is None  # 1 on whatever is drawn
