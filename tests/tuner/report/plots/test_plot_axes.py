from __future__ import annotations

from pathlib import Path
from typing import Any

from plot_records import search, source, trial

from search_spaces.document import write_yaml
from tuner.report.plots.axes import SearchedAxis, searched_axes


def axes_of(folder: Path, *params: dict[str, Any], declared: dict[str, Any] | None = None) -> dict[str, SearchedAxis]:
    record = search(*(trial(number, [0.5], params=given) for number, given in enumerate(params)))
    if declared is not None:
        (folder / "search.yaml").write_text(write_yaml({"space": write_yaml({"axes": declared})}))
    return {axis.path: axis for axis in searched_axes(source(folder, record), record.trials)}


def test_numbers_keep_their_values_and_the_scale_of_the_space(tmp_path: Path) -> None:
    declared = {"optimizer.lr": {"float": [1e-5, 1e-2], "log": True}, "head.dropout": {"float": [0.1, 0.5]}}
    params = ({"optimizer.lr": 1e-3, "head.dropout": 0.2}, {"optimizer.lr": 1e-4, "head.dropout": 0.3})
    found = axes_of(tmp_path, *params, declared=declared)
    assert found["optimizer.lr"] == SearchedAxis("optimizer.lr", (), True, {"t0001": 1e-3, "t0002": 1e-4})
    assert not found["head.dropout"].log


def test_options_are_levels_in_a_sensible_order(tmp_path: Path) -> None:
    freezes = ["all", "75%", 4, "50%", 10, 2, None]
    found = axes_of(tmp_path, *({"freeze": freeze} for freeze in freezes))
    assert found["freeze"].levels == ("2", "4", "10", "50%", "75%", "null", "all")
    assert found["freeze"].values["t0003"] == 1


def test_few_options_of_numbers_are_levels_and_many_a_scale(tmp_path: Path) -> None:
    sizes = [8, 64, 16, 128]
    found = axes_of(tmp_path, *({"batch_size": size} for size in sizes), declared={"batch_size": {"choice": sizes}})
    assert found["batch_size"].levels == ("8", "16", "64", "128")
    many = list(range(1, 20))
    found = axes_of(tmp_path, *({"batch_size": size} for size in many), declared={"batch_size": {"choice": many}})
    assert found["batch_size"].levels == ()


def test_truth_values_are_levels(tmp_path: Path) -> None:
    assert axes_of(tmp_path, {"pretrained": True}, {"pretrained": False})["pretrained"].levels == ("false", "true")


def test_an_axis_that_did_not_vary_is_no_axis(tmp_path: Path) -> None:
    assert axes_of(tmp_path, {"backbone": "lite0"}, {"backbone": "lite0"}) == {}


def test_trials_without_a_conditional_axis_are_left_out_of_it(tmp_path: Path) -> None:
    params = ({"head.kind": "linear"}, {"head.kind": "mlp", "head.width": 64}, {"head.kind": "mlp", "head.width": 128})
    assert axes_of(tmp_path, *params)["head.width"].values == {"t0002": 64.0, "t0003": 128.0}


def test_a_broken_search_yaml_costs_only_the_scales(tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text("space: [unclosed")
    found = axes_of(tmp_path, {"optimizer.lr": 1e-3}, {"optimizer.lr": 1e-4})
    assert not found["optimizer.lr"].log
