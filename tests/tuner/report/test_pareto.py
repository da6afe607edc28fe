"""Score against latency."""

from __future__ import annotations

import csv
import io

import pytest

from tuner.records import EpochRecord, ModelCost, SearchRecord, TrialRecord
from tuner.report.leaderboard import to_csv, to_markdown
from tuner.report.pareto import pareto_front


def trial(number: int, backbone: str, value: float, status: str = "complete") -> TrialRecord:
    epoch = EpochRecord(1, value=value, best_value=value, best_epoch=1, val={"f2_macro": value})
    config = {"backbone": backbone, "image_size": 96}
    return TrialRecord(f"t{number:04d}", number, config=config, status=status, epochs=(epoch,))


def search_of(*trials: TrialRecord, direction: str = "maximize") -> SearchRecord:
    costs = (ModelCost("fast", 96, 1, 5.0, "cpu", 1), ModelCost("slow", 96, 2, 20.0, "cpu", 1))
    return SearchRecord(
        name="one",
        metric="f2_macro",
        direction=direction,
        trials=trials,
        model_costs=costs,  # type: ignore[arg-type]
    )


TRIALS = (
    trial(1, "fast", 0.5),
    trial(2, "fast", 0.6),
    trial(3, "slow", 0.6),
    trial(4, "slow", 0.8),
    trial(5, "slow", 0.9, "pruned"),
    trial(6, "unknown", 0.99),
)


@pytest.mark.parametrize(
    ("direction", "front"),
    [("maximize", {"t0002", "t0004"}), ("minimize", {"t0001"})],
)
def test_a_trial_is_beaten_by_one_as_good_and_as_fast_and_better_in_one(direction: str, front: set[str]) -> None:
    assert pareto_front(search_of(*TRIALS, direction=direction)) == front


def test_equal_trials_do_not_beat_each_other() -> None:
    assert pareto_front(search_of(trial(1, "fast", 0.5), trial(2, "fast", 0.5))) == {"t0001", "t0002"}


def test_the_csv_has_both_columns_at_its_end() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(search_of(*TRIALS)))))
    assert list(rows[0])[-2:] == ["latency_ms", "pareto"]
    assert {row["trial"]: (row["latency_ms"], row["pareto"]) for row in rows} == {
        "t0001": ("5.0", ""),
        "t0002": ("5.0", "true"),
        "t0003": ("20.0", ""),
        "t0004": ("20.0", "true"),
        "t0005": ("20.0", ""),
        "t0006": ("", ""),
    }


def test_the_table_marks_the_front_where_there_is_something_to_choose() -> None:
    text = to_markdown(search_of(*TRIALS))
    header, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    titles = [cell.strip() for cell in header.split("|")[1:-1]]
    assert titles[:3] == ["rank", "pareto", "trial"]
    assert "latency ms" in titles
    marked = {cells[3].strip() for row in rows if (cells := row.split("|"))[2].strip() == "✓"}
    assert marked == {"t0002", "t0004"}
    assert "latency of one image on cpu, 1 thread" in text
    alone = to_markdown(search_of(*TRIALS[:2]))
    assert "pareto" not in alone
