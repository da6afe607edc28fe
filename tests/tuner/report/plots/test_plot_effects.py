from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plot_records import search, source, trial

from tuner.report.plots.effects import Effects, Mean, effects


def effects_of(folder: Path, *trials: Any, **fields: Any) -> Effects:
    found = effects(source(folder, search(*trials, **fields)))
    assert found is not None
    return found


def test_means_are_of_finished_trials_level_by_level(tmp_path: Path) -> None:
    kinds = [("linear", 0.2, "complete"), ("linear", 0.4, "early_stopped"), ("mlp", 0.5, "complete")]
    kinds.append(("mlp", 0.1, "pruned"))
    trials = (trial(at, [value], status, {"head.kind": kind}) for at, (kind, value, status) in enumerate(kinds))
    (panel,) = effects_of(tmp_path, *trials).panels
    assert panel.levels == ("linear", "mlp")
    assert panel.means == (Mean(0.0, pytest.approx(0.3), 2), Mean(1.0, 0.5, 1))
    assert [dot.finished for dot in panel.dots if dot.trial == "t0004"] == [False]


def test_freeze_is_shown_by_backbone(tmp_path: Path) -> None:
    params = [{"backbone": name, "freeze": freeze} for name in ("lite2", "lite0") for freeze in (2, "all")]
    found = effects_of(tmp_path, *(trial(at, [0.1 * at], params=given) for at, given in enumerate(params)))
    assert [(panel.path, panel.stratum) for panel in found.panels] == [
        ("backbone", ""),
        ("freeze", "lite0"),
        ("freeze", "lite2"),
    ]
    assert [mean.trials for mean in found.panels[1].means] == [1, 1]


def test_freeze_with_one_backbone_is_one_panel(tmp_path: Path) -> None:
    (panel,) = effects_of(tmp_path, *(trial(at, [0.1], params={"freeze": (at, "all")[at]}) for at in range(2))).panels
    assert panel.stratum == ""


def test_pairs_differ_on_one_axis_alone(tmp_path: Path) -> None:
    grid = [(kind, smoothing) for kind in ("constant", "cosine") for smoothing in (0.0, 0.1, 0.2)]
    trials = (
        trial(at, [0.1 * at], params={"schedule.kind": kind, "loss.label_smoothing": smoothing})
        for at, (kind, smoothing) in enumerate(grid)
    )
    kind, smoothing = effects_of(tmp_path, *trials).panels
    assert len(kind.pairs) == 3
    assert ((0.0, 0.0), (1.0, pytest.approx(0.3))) in kind.pairs
    assert len(smoothing.pairs) == 4  # neighbours only


def test_means_along_numbers_are_of_equally_many_neighbours(tmp_path: Path) -> None:
    trials = (trial(at, [0.1 * at], params={"head.dropout": 0.1 * at}) for at in range(6))
    (panel,) = effects_of(tmp_path, *trials).panels
    assert [mean.x for mean in panel.means] == pytest.approx([0.1, 0.4])
    assert [mean.value for mean in panel.means] == pytest.approx([0.1, 0.4])
    assert [mean.trials for mean in panel.means] == [3, 3]


def test_a_value_beyond_the_frame_is_in_no_mean(tmp_path: Path) -> None:
    trials = [trial(at, [0.1 * at], params={"head.kind": ("linear", "mlp")[at % 2]}) for at in range(12)]
    worst = trial(12, [-1e6], params={"head.kind": "mlp"})
    (panel,) = effects_of(tmp_path, *trials, worst).panels
    assert [mean.trials for mean in panel.means] == [6, 6]
    assert len(panel.dots) == 13


@pytest.mark.parametrize(
    ("sampler", "status", "reasons"),
    [("grid", "complete", 0), ("random", "pruned", 1), ("tpe", "complete", 1), ("tpe", "pruned", 2)],
)
def test_associations_are_not_called_effects(tmp_path: Path, sampler: str, status: str, reasons: int) -> None:
    trials = (trial(at, [0.1], "complete" if at else status, {"head.kind": str(at)}) for at in range(2))
    caveat = effects_of(tmp_path, *trials, sampler=sampler).caveat
    assert caveat.startswith("associations, not effects: " if reasons else "")
    assert len([part for part in caveat.split(", ")[1:] if part]) == reasons
