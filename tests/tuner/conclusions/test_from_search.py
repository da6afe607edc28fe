from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_runs import make_search, make_trial

from tuner.conclusions.from_search import runs_of
from tuner.records import Rerun, TrialRecord


def trial(number: int, value: float, head: str = "linear", lr: float = 1e-3, **fields: Any) -> TrialRecord:
    config = {"backbone": "lite0", "head": {"kind": head}, "optimizer": {"lr": lr}, "epochs": 5, "seed": 0}
    given = {"config": config, "params": {"head.kind": head, "optimizer.lr": lr}}
    return make_trial(number, value, **given | fields)


def test_rows_are_trials_that_ran_to_their_end() -> None:
    trials = [trial(1, 0.5), trial(2, 0.6, "mlp", status="early_stopped"), trial(3, 0.9, lr=0.1, status="pruned")]
    trials += [trial(4, 0.7, lr=0.2, status="failed"), trial(5, 0.8, lr=0.3, parent="t0001"), make_trial(6)]
    runs = runs_of(make_search(*trials, direction="minimize"))
    assert [(row.name, row.value, row.settings) for row in runs.rows] == [
        ("t0001", 0.5, {"head.kind": "linear", "optimizer.lr": 1e-3}),
        ("t0002", 0.6, {"head.kind": "mlp", "optimizer.lr": 1e-3}),
    ]
    assert (runs.metric, runs.direction, runs.settings) == ("f1_macro", "minimize", ("head.kind", "optimizer.lr"))


@pytest.mark.parametrize(
    ("sampler", "scheduler", "design"),
    [
        ("grid", "none", "matched"),
        ("random", "none", "random"),
        ("tpe", "none", "adaptive"),
        ("random", "asha", "adaptive"),
    ],
)
def test_how_trials_were_chosen_decides_what_they_can_tell(sampler: str, scheduler: str, design: str) -> None:
    runs = runs_of(make_search(trial(1, 0.5), sampler=sampler, scheduler={"kind": scheduler}))
    assert runs.design == design
    assert bool(runs.chosen_by) == (design == "adaptive")


def test_a_baseline_beside_the_axes_is_no_row() -> None:
    others = [trial(2, 0.6), trial(3, 0.7, "mlp")]
    on_axes = trial(1, 0.5, lr=1e-2, baseline=True)
    assert next((row.name, row.drawn) for row in runs_of(make_search(on_axes, *others)).rows) == ("t0001", False)
    other_epochs = trial(1, 0.5, baseline=True, config={**on_axes.config, "epochs": 9})
    beside = trial(
        1, 0.5, baseline=True, params={"head.kind": "linear"}, config={**on_axes.config, "optimizer": {"lr": 1}}
    )
    for baseline in (other_epochs, beside):
        assert [row.name for row in runs_of(make_search(baseline, *others)).rows] == ["t0002", "t0003"]


def test_the_same_config_twice_is_one_run_and_other_seeds_are_more() -> None:
    again = trial(3, 0.5, config={**trial(1, 0.5).config, "seed": 1})
    runs = runs_of(make_search(trial(1, 0.5), trial(2, 0.5), again, axes=("head.kind", "seed")))
    assert [row.name for row in runs.rows] == ["t0001", "t0003"]
    assert runs.settings == ("head.kind",)


def test_repeats_tell_what_the_seed_does() -> None:
    def again(number: int, value: float) -> TrialRecord:
        rerun = Rerun("t0001", "repeat", seed=number, data_seed=0)
        return trial(number, value, id=f"t0001-r{number}", rerun=rerun)

    runs = runs_of(make_search(trial(1, 0.9), reruns=(again(1, 0.5), again(2, 0.53))))
    (repeats,) = runs.repeats
    assert (repeats.what, repeats.values) == ("2 repeats of t0001", (0.5, 0.53))
    assert runs.luck == pytest.approx(0.03 / 2**0.5)


def test_luck_is_what_trials_of_one_seed_do_not_share() -> None:
    def again(of: TrialRecord, seed: int, value: float) -> TrialRecord:
        return replace(
            of, id=f"{of.id}-r{seed}", rerun=Rerun(of.id, "repeat", seed, 0), epochs=make_trial(1, value).epochs
        )

    one, other = trial(1, 0.5), trial(2, 0.7, "mlp")
    paired = [again(of, seed, seed / 10 + (of is one)) for seed in (1, 2, 3) for of in (one, other)]
    runs = runs_of(make_search(one, other, reruns=tuple(paired)))
    assert len({run.block for run in runs.again}) == 3
    assert runs.luck == pytest.approx(0, abs=1e-9)


def test_trials_are_of_different_epochs_only_where_the_totals_differ() -> None:
    def staged(number: int, *epochs: int) -> TrialRecord:
        stages = [{"epochs": count} for count in epochs]
        return make_trial(number, 0.5, params={"stages": stages}, config={"stages": stages})

    assert runs_of(make_search(staged(1, 1, 2), staged(2, 3))).epochs is None
    assert runs_of(make_search(staged(1, 1, 2), staged(2, 4))).epochs == "stages"


def test_levels_that_are_no_text_and_no_number() -> None:
    params = {"micro_batch": None, "pretrained": True, "stages": [{"epochs": 2}]}
    (row,) = runs_of(make_search(make_trial(1, 0.5, params=params))).rows
    assert row.settings == {"micro_batch": "none", "pretrained": "true", "stages": "2"}
