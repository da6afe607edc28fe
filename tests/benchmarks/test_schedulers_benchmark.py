"""Schedulers on recorded curves: the numbers of the table follow from the curves, and from nothing else."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import schedulers as benchmark
from benchmarks.record_curves import as_grid
from benchmarks.recorded import CURVES, Curve, Grid, read_grid, write_grid
from benchmarks.simulated import replay_search
from search_spaces.schedulers import Asha, NoScheduler, OneEpoch, PausingAsha
from tuner.records import EpochRecord, SearchRecord, TrialRecord

EPOCHS = (0.5, *range(1, 10))
TRIALS = 12


def made_grid(held_out: bool = False) -> Grid:
    """Trial i ends at 0.01 * i and is at every earlier evaluation where its end says it should be."""
    curves = {
        f"t{trial:04}": Curve({"lr": trial}, [round(0.01 * trial * epoch / 9, 6) for epoch in EPOCHS], [*EPOCHS])
        for trial in range(TRIALS)
    }
    return Grid({"commit": "abc"}, held_out, "f1_macro", "maximize", EPOCHS, curves)


@pytest.fixture
def grid() -> Grid:
    return made_grid()


def replayed(grid: Grid, spec: benchmark.Spec, workers: int = 1) -> tuple[float, float]:
    """Epochs and regret of one search in a shuffled order."""
    order = random.Random(0).sample(sorted(grid.trials), TRIALS)
    outcome = replay_search(grid, order, benchmark.ours(spec)(grid, order), workers, benchmark.epochs_clock(grid))
    return outcome.epochs(grid), benchmark.regret(grid, order, outcome)


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_without_halving_every_epoch_is_trained_and_the_best_is_found(grid: Grid, workers: int) -> None:
    assert replayed(grid, NoScheduler(), workers) == (9 * TRIALS, 0)


def test_the_epochs_of_pausing_are_those_of_the_rungs(grid: Grid) -> None:
    # 12 for one epoch, 4 for two more, 1 for six more: on curves that never cross nothing else is worth an epoch
    assert replayed(grid, PausingAsha()) == (12 * 1 + 4 * 2 + 1 * 6, 0)
    assert replayed(grid, OneEpoch(keep=2)) == (12 * 1 + 2 * 8, 0)


def test_a_trial_that_is_halted_keeps_its_epochs_and_one_that_goes_on_is_not_trained_twice(grid: Grid) -> None:
    order = sorted(grid.trials)
    halving = benchmark.ours(PausingAsha())(grid, order)
    outcome = replay_search(grid, order, halving, 1, benchmark.epochs_clock(grid))
    assert outcome.finished == ["t0011"]
    assert {trial: EPOCHS[done - 1] for trial, done in outcome.evaluations.items()} == {
        **dict.fromkeys(order, 1),
        **dict.fromkeys(order[8:11], 3),
        "t0011": 9,
    }
    assert outcome.duration == outcome.epochs(grid)


def test_workers_share_the_time_and_wait_for_nothing(grid: Grid) -> None:
    order = sorted(grid.trials)
    clock = benchmark.seconds_clock(grid)
    outcome = replay_search(grid, order, benchmark.ours(NoScheduler())(grid, order), 5, clock)
    assert outcome.duration == 3 * 9  # 12 trials on 5 workers


def test_regret_is_what_the_best_finished_trial_lacks(grid: Grid) -> None:
    order = sorted(grid.trials)[:5]
    outcome = replay_search(
        grid, order[:3], benchmark.ours(NoScheduler())(grid, order), 1, benchmark.epochs_clock(grid)
    )
    assert benchmark.regret(grid, order, outcome) == pytest.approx(2)


def test_ours_stops_as_rays_own_class_does(grid: Grid) -> None:
    order = random.Random(1).sample(sorted(grid.trials), TRIALS)
    both = [benchmark.StockAsha(grid), benchmark.ours(Asha())(grid, order)]
    stock, asha = (replay_search(grid, order, halving, 4, benchmark.epochs_clock(grid)) for halving in both)
    # Ray has a last rung at the horizon itself, where there is nothing left to save
    assert stock.evaluations == asha.evaluations


def test_a_grid_is_read_as_it_was_written(grid: Grid, tmp_path: Path) -> None:
    write_grid(grid, tmp_path / "small.json")
    assert read_grid(tmp_path / "small.json") == Grid(**{**vars(grid), "epochs": [*EPOCHS]})
    assert len((tmp_path / "small.json").read_text().splitlines()) < TRIALS + 10


def test_a_finished_search_becomes_curves_and_an_unfinished_one_does_not() -> None:
    epochs = tuple(EpochRecord(epoch, value=epoch / 3, seconds=2.0 * epoch) for epoch in (1, 2))
    trial = TrialRecord("t0001", 0, params={"freeze": "all"}, status="complete", epochs=epochs)
    data = {"hash": "h", "sizes": {"train": 3}, "root": "/somewhere"}
    record = SearchRecord(name="fluent", metric="f1_macro", data=data, started="2026-01-02T03", trials=(trial,))
    grid = as_grid(record, held_out=False)
    assert grid.trials == {"t0001": Curve({"freeze": "all"}, [0.333333, 0.666667], [2.0, 4.0])}
    assert grid.horizon == 2
    assert "/somewhere" not in str(grid.made)

    halted = TrialRecord("t0002", 1, status="pruned", epochs=epochs[:1])
    with pytest.raises(ValueError, match="t0002 is pruned after 1 epochs"):
        as_grid(SearchRecord(data=data, trials=(trial, halted)), held_out=False)


def test_the_table_adds_up_and_is_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_grid(made_grid(), tmp_path / "one.json")
    write_grid(made_grid(held_out=True), tmp_path / "other.json")
    monkeypatch.setattr(benchmark, "CURVES", tmp_path)
    monkeypatch.setattr(sys, "argv", ["schedulers", "--sets", "one", "other", "--trials", "12", "--seeds", "3"])

    def run() -> str:
        benchmark.main()
        return capsys.readouterr().out

    first = run()
    assert run() == first
    assert "other, held out, 12 trials" in first
    assert "the 2 sets together, 12 trials" in first
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in first.splitlines() if line.startswith("| ")]
    of = {row[0]: row[1:] for row in rows}
    assert set(of) == {"scheduler", *benchmark.CONTENDERS}
    assert of["none"][0] == "108, 108, 108"
    assert of["pausing_asha"][0].startswith("26, ")  # on more workers some are promoted before all have come
    assert of["none"][3] == of["pausing_asha"][3] == "0.00"  # regret


def test_a_share_is_that_of_sums_and_certain_where_it_never_varies() -> None:
    whole = np.array([10.0, 20.0, 30.0])
    assert benchmark.share_of_sums(whole / 2, whole) == pytest.approx([0.5, 0.5, 0.5])
    assert benchmark.share_of_sums(np.array([6.0, 8.0, 10.0]), whole).mean() == pytest.approx(24 / 60)


@pytest.mark.parametrize("path", sorted(CURVES.glob("*.json")), ids=lambda path: path.stem)
def test_the_curves_that_are_kept_are_whole(path: Path) -> None:
    kept = read_grid(path)
    assert len(kept.trials) >= 60
    assert len({str(curve.config) for curve in kept.trials.values()}) == len(kept.trials)
    assert kept.epochs == [0.25, 0.5, 0.75, *range(1, 16)]
    assert kept.held_out == (path.stem == "stamps")
    for curve in kept.trials.values():
        assert len(curve.values) == len(curve.seconds) == len(kept.epochs)
        assert all(0 <= value <= 1 for value in curve.values)
        assert curve.seconds == sorted(curve.seconds)
