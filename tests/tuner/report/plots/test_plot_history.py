from __future__ import annotations

from pathlib import Path

import pytest
from plot_records import search, source, trial

from tuner.evidence.gathering import Evidence, Interval
from tuner.records import Reference, SearchRecord
from tuner.report.plots.history import Level, history


def test_the_best_so_far_is_of_finished_trials(tmp_path: Path) -> None:
    record = search(trial(0, [0.3]), trial(1, [0.9], "pruned"), trial(2, [0.2]), trial(3, [0.5], "early_stopped"))
    found = history(source(tmp_path, record))
    assert found is not None
    assert found.best_so_far == ((1, 0.3), (4, 0.5))
    assert [(point.number, point.status, point.value) for point in found.points][1] == (2, "pruned", 0.9)


def test_the_best_so_far_falls_when_minimised(tmp_path: Path) -> None:
    record = search(trial(0, [0.3]), trial(1, [0.4]), trial(2, [0.2]), direction="minimize")
    found = history(source(tmp_path, record))
    assert found is not None
    assert found.best_so_far == ((1, 0.3), (3, 0.2))


def test_baseline_and_references_are_levels(tmp_path: Path) -> None:
    references = (Reference("logistic_regression", val={"f1_macro": 0.4}), Reference("other", val={"accuracy": 0.9}))
    found = history(source(tmp_path, search(trial(0, [0.3]), references=references)))
    assert found is not None
    assert found.levels == (Level("baseline", 0.3), Level("logistic regression", 0.4))


@pytest.mark.parametrize(("trials", "with_intervals"), [(40, 40), (41, 5)])
def test_intervals_come_from_evidence_and_of_many_trials_only_the_top(
    tmp_path: Path, trials: int, with_intervals: int
) -> None:
    record = search(*(trial(number, [0.01 * number]) for number in range(trials)))
    intervals = {one.id: Interval(0.1, 0.2) for one in record.trials}
    evidence = Evidence(intervals=intervals, tied=frozenset({"t0040", "t0002"}))
    found = history(source(tmp_path, record, evidence=evidence))
    assert found is not None
    assert sum(point.interval == (0.1, 0.2) for point in found.points) == with_intervals
    assert found.tied == ("t0040", "t0002")


def test_nothing_to_show_before_the_first_value(tmp_path: Path) -> None:
    assert history(source(tmp_path, SearchRecord())) is None
