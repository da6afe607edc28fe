from __future__ import annotations

from pathlib import Path

import pytest
from plot_records import search, source, trial

from search_spaces.document import write_yaml
from tuner.report.plots.parallel import MOST_AXES, parallel


def test_positions_run_from_the_lowest_to_the_highest_value(tmp_path: Path) -> None:
    declared = {"optimizer.lr": {"float": [1e-5, 1], "log": True}}
    (tmp_path / "search.yaml").write_text(write_yaml({"space": write_yaml({"axes": declared})}))
    params = [{"optimizer.lr": lr, "head.dropout": lr} for lr in (1e-4, 1e-3, 1e-2)]
    found = parallel(source(tmp_path, search(*(trial(at, [0.5], params=given) for at, given in enumerate(params)))))
    assert found is not None
    positions = {thread.trial: thread.positions for thread in found.threads}
    assert positions["t0001"] == (0, 0)
    assert positions["t0002"] == (pytest.approx(0.5), pytest.approx(0.9 / 9.9))
    assert positions["t0003"] == (1, 1)


def test_levels_are_even_and_an_absent_axis_has_no_position(tmp_path: Path) -> None:
    params = [{"freeze": 0}, {"freeze": 2, "head.width": 8}, {"freeze": "all", "head.width": 9}]
    found = parallel(source(tmp_path, search(*(trial(at, [0.5], params=given) for at, given in enumerate(params)))))
    assert found is not None
    freeze = next(upright for upright in found.uprights if upright.path == "freeze")
    heights = [height for height, _ in freeze.levels]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1])
    assert found.threads[0].positions == (heights[0], None)


def test_unfinished_trials_are_told_apart_and_those_without_a_value_left_out(tmp_path: Path) -> None:
    trials = (
        trial(0, [0.5], params={"freeze": 0}),
        trial(1, [0.6], "pruned", params={"freeze": 1}),
        trial(2, params={"freeze": 2}),
    )
    found = parallel(source(tmp_path, search(*trials)))
    assert found is not None
    assert {thread.trial: (thread.finished, thread.place) for thread in found.threads} == {
        "t0002": (False, None),
        "t0001": (True, 1),
    }


def test_too_many_axes_are_counted(tmp_path: Path) -> None:
    trials = (trial(at, [0.5], params={f"axis{n}": at for n in range(MOST_AXES + 3)}) for at in range(2))
    found = parallel(source(tmp_path, search(*trials)))
    assert found is not None
    assert (len(found.uprights), found.axes_left_out) == (MOST_AXES, 3)


def test_nothing_to_show_where_nothing_varied(tmp_path: Path) -> None:
    assert parallel(source(tmp_path, search(trial(0, [0.5], params={"freeze": 0})))) is None
