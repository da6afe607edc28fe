"""What an earlier search gives a new one, and what it says of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_searches import MakeSpace, tiny_space

from search_spaces.space import Space, load_space
from trainable.errors import UserError
from tuner.replay import replay
from tuner.result import Result
from tuner.run import run_search
from tuner.store import Store
from tuner.warm_start import WarmStart, warm_start

Start = Callable[..., WarmStart]
AXES = tiny_space()["axes"]


@pytest.fixture
def start(searched: Result) -> Start:
    """start(space, top=2): a warm start from the search that has been run."""

    def make(space: Space, top: int = 4, data_hash: str = "other", **more: Any) -> WarmStart:
        breach = more.get("breach", lambda _: None)
        return warm_start(space, str(searched.store.folder), Path("results"), top, data_hash=data_hash, breach=breach)

    return make


def test_the_best_trials_come_first_with_where_they_are_from(
    start: Start, make_space: MakeSpace, searched: Result
) -> None:
    search = Store(searched.store.folder).record()
    best = [trial for trial in search.ranked() if not trial.baseline]
    found = start(load_space(make_space()))
    assert [warm.origin for warm in found.trials] == [f"searched/{trial.id}" for trial in best]
    assert [dict(warm.params) for warm in found.trials] == [dict(trial.params) for trial in best]
    assert found.notes == ()
    ranked = [trial.id for trial in search.ranked()][:1]
    of_one = [warm.origin for warm in start(load_space(make_space()), top=1).trials]
    assert of_one == [f"searched/{id}" for id in ranked if id != "t0001"]


def test_what_the_space_does_not_have_is_left_out_and_said(
    start: Start, make_space: MakeSpace, searched: Result
) -> None:
    ranked = [trial for trial in Store(searched.store.folder).record().ranked() if not trial.baseline]
    best, rates = ranked[0], [trial.params["optimizer.lr"] for trial in ranked]
    space = load_space(make_space(axes={**AXES, "optimizer.lr": {"choice": [rates[0], 0.005]}}))
    found = start(space)
    assert f"searched/{best.id}" in [warm.origin for warm in found.trials]
    left_out = [trial.id for trial in ranked if trial.params["optimizer.lr"] != rates[0]]
    assert left_out
    for id in left_out:
        assert any(note.startswith(f"warm start: searched/{id} is left out: optimizer.lr") for note in found.notes)


def test_axes_that_were_fixed_before_are_read_from_the_config(start: Start, make_space: MakeSpace) -> None:
    fixed = {name: value for name, value in tiny_space()["fixed"].items() if name != "batch_size"}
    space = load_space(make_space(fixed=fixed, axes={**AXES, "batch_size": {"choice": [12, 16]}}))
    assert {warm.params["batch_size"] for warm in start(space).trials} == {12}


def test_what_breaks_a_limit_is_left_out(start: Start, make_space: MakeSpace) -> None:
    found = start(load_space(make_space()), breach=lambda config: "too much" if config.head.kind == "mlp" else None)
    assert all(warm.params["head.kind"] == "linear" for warm in found.trials)
    assert all(note.endswith("too much") for note in found.notes)


def test_the_same_data_and_another_objective_are_remarked_on(
    start: Start, make_space: MakeSpace, searched: Result
) -> None:
    data_hash = str(Store(searched.store.folder).record().data["hash"])
    notes = start(load_space(make_space(objective="f1_macro")), data_hash=data_hash).notes
    assert [("more optimistic" in note, "ranked by f2_macro" in note) for note in notes] == [
        (True, False),
        (False, True),
    ]


def test_a_grid_and_a_search_without_anything_to_give_are_refused(
    start: Start, make_space: MakeSpace, tmp_path: Path
) -> None:
    grid = make_space(sampler="grid", axes={"freeze": {"choice": [0, 2]}})
    with pytest.raises(UserError, match="a grid tries everything anyway"):
        start(load_space(grid))
    elsewhere = make_space(axes={"freeze": {"choice": [4]}}, baseline={"freeze": 4})
    with pytest.raises(UserError, match="this space has none of its best trials"):
        start(load_space(elsewhere))
    Store.create(tmp_path, "empty")
    with pytest.raises(UserError, match="no trial of it has finished"):
        warm_start(load_space(make_space()), "empty", tmp_path, 5, data_hash="", breach=lambda _: None)


@pytest.mark.usefixtures("_without_ray")
def test_a_warm_started_search_tells_what_it_began_with(
    make_space: MakeSpace, labels_csv: Path, searched: Result, tmp_path: Path
) -> None:
    from tuner.config import SearchConfig, parse_options

    given = {"name": "again", "results": tmp_path / "results", "space": str(make_space()), "data": {"path": labels_csv}}
    config = parse_options(SearchConfig, **given, trials=3, warm_start=str(searched.store.folder), warm_start_top=2)
    store = run_search(config)
    search = replay(store.events())
    origins = [trial.facts.get("warm_start") for trial in search.trials]
    ranked = [trial.id for trial in Store(searched.store.folder).record().ranked()][:2]
    expected = [f"searched/{id}" for id in ranked if id != "t0001"]
    assert origins[0] is None
    assert origins[1 : 1 + len(expected)] == expected
    assert "Begun with what did well in an earlier search: t0002 (searched/" in store.leaderboard_md.read_text()
