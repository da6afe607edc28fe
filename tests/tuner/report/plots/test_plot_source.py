from __future__ import annotations

from plot_records import search, trial

from tuner.records import SearchRecord
from tuner.report.plots.source import TOP, places, settings, top_trials


def test_the_best_finished_trials_stand_out() -> None:
    record = search(*(trial(number, [0.1 * number], "pruned" if number == 6 else "complete") for number in range(8)))
    assert [found.id for found in top_trials(record)] == ["t0008", "t0006", "t0005", "t0004", "t0003"]
    assert places(record) == {"t0008": 1, "t0006": 2, "t0005": 3, "t0004": 4, "t0003": 5}
    assert len(places(record)) == TOP


def test_while_none_has_finished_the_best_running_ones_stand_out() -> None:
    record = search(trial(0, [0.2], "running"), trial(1, [0.3], "running"), trial(2, [], "failed"))
    assert list(places(record)) == ["t0002", "t0001"]
    assert places(SearchRecord()) == {}


def test_lower_is_better_when_minimised() -> None:
    record = search(trial(0, [0.2]), trial(1, [0.1]), direction="minimize")
    assert list(places(record)) == ["t0002", "t0001"]


def test_settings_say_what_was_trained() -> None:
    config = {"backbone": "lite2", "freeze": "75%", "head": {"kind": "mlp", "width": 128, "dropout": 0.2}}
    assert settings(trial(0, config=config, freeze_blocks=6)) == "lite2, freeze 75% (6/9), mlp 128"
    assert settings(trial(0, config={"head": None}, freeze_blocks=None)) == ""
