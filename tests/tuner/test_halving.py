"""Whole searches under each way of halving, their trials run in this process."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_searches import search_without_ray, tiny_space, write_labels_csv, write_space
from small_trials import MEASURED

from trainable.errors import UserError
from tuner.config import SearchConfig, parse_options
from tuner.evidence.halted import draw_halted
from tuner.records import EpochRecord, SearchRecord
from tuner.run import run_search
from tuner.store import Event, Store

pytestmark = pytest.mark.real  # they train some thirty trials

TRIALS, EPOCHS = 6, 4
FIXED = {**tiny_space()["fixed"], "epochs": EPOCHS}
PAUSING = {"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 2}


def options(folder: Path, scheduler: object, **more: Any) -> SearchConfig:
    space = write_space(folder / "space.yaml", tiny_space(scheduler=scheduler, fixed=FIXED))
    return parse_options(
        SearchConfig,
        space=str(space),
        data={"path": folder / "data" / "labels.csv", "split": "75/25"},
        name="new",
        trials=TRIALS,
        results=folder / "results",
        **more,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("halving")
    write_labels_csv(folder / "data")
    return folder


def searched(folder: Path, name: str, scheduler: object, **more: Any) -> Store:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE", str(folder / "cache"))
        search_without_ray(patch)
        return run_search(options(folder, scheduler, **more).model_copy(update={"name": name}))


@pytest.fixture(scope="module")
def whole(folder: Path) -> Store:
    """Every trial to its end."""
    return searched(folder, "whole", "none")


@pytest.fixture(scope="module")
def pausing(folder: Path) -> Store:
    return searched(folder, "pausing", PAUSING)


def learnt(epochs: tuple[EpochRecord, ...]) -> list[EpochRecord]:
    """Without times and memory."""
    blank = {name: None for name in MEASURED if name in EpochRecord.__dataclass_fields__}
    return [replace(epoch, time="", **blank) for epoch in epochs]


def events(store: Store, kind: str) -> list[Event]:
    return [event for event in store.events() if event["kind"] == kind]


def test_a_trial_that_paused_learns_as_one_that_did_not(whole: Store, pausing: Store) -> None:
    record = pausing.record()
    uninterrupted = {trial.id: trial for trial in whole.record().trials}
    assert [trial.config for trial in record.trials] == [trial.config for trial in uninterrupted.values()]
    for trial in record.trials:
        assert learnt(trial.epochs) == learnt(uninterrupted[trial.id].epochs[: int(trial.epochs_run)])
    promoted = {event["trial"] for event in events(pausing, "trial_resumed")}
    finished = {trial.id for trial in record.trials if trial.status == "complete"}
    assert len(finished) > 1
    assert finished <= promoted | {"t0001"}


def test_a_pausing_search_trains_what_its_rungs_let_pass(pausing: Store) -> None:
    resumed = Counter(event["reason"] for event in events(pausing, "trial_resumed"))
    promoted = resumed["promoted to rung 2"], resumed["promoted to the last epoch"]
    assert promoted in ((2, 1), (3, 1), (3, 2))  # as many as the baseline leaves room for
    assert len(events(pausing, "epoch")) == EPOCHS + (TRIALS - 1) + promoted[0] + 2 * promoted[1]
    by_rung = Counter(trial.halted_at for trial in pausing.record().trials if trial.status == "paused")
    assert by_rung == Counter({1: TRIALS - 1 - promoted[0], 2: promoted[0] - promoted[1]})


def test_what_waits_at_a_rung_keeps_its_state_and_is_told(pausing: Store) -> None:
    finished = [trial.id for trial in pausing.record().ranked() if trial.eligible]
    for trial in pausing.record().trials:
        assert pausing.last_checkpoint(trial.id).exists() == (trial.status == "paused" or trial.id in finished[:3])
    table = pausing.leaderboard_md.read_text()
    assert "Paused where others did better, with their state kept so that they can go on: " in table
    assert "at rung 1 (1 epoch)" in table
    assert "Was halving safe?" not in table


def test_after_one_epoch_the_best_few_go_on(folder: Path, whole: Store) -> None:
    store = searched(folder, "one-epoch", {"kind": "one_epoch", "keep": 2})
    first = {trial.id: trial.epochs[0].best_value or 0.0 for trial in whole.record().trials if not trial.baseline}
    best = sorted(first, key=lambda trial: -first[trial])[:2]
    finished = [trial.id for trial in store.record().trials if trial.status == "complete"]
    assert finished == ["t0001", *sorted(best)]
    assert len(events(store, "epoch")) == TRIALS + 3 * (EPOCHS - 1)


@pytest.mark.parametrize("scheduler", [PAUSING, {**PAUSING, "kind": "asha"}], ids=["paused", "pruned"])
def test_an_audit_trains_halted_trials_to_their_end(
    folder: Path, whole: Store, scheduler: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    store = searched(folder, f"audited-{request.node.callspec.id}", scheduler, audit=1, top_k=1)
    (resumed,) = [event for event in events(store, "trial_resumed") if "audit" in event]
    record = store.record()
    audited = next(trial for trial in record.trials if trial.id == resumed["trial"])
    assert (audited.status, audited.epochs_run, audited.audited_at) == ("complete", EPOCHS, resumed["audit"])
    assert audited.eligible
    assert learnt(audited.epochs) == learnt(next(t for t in whole.record().trials if t.id == audited.id).epochs)
    assert record.best
    kept = {record.best.id, *(trial.id for trial in record.trials if trial.status == "paused")}
    assert {trial.id for trial in record.trials if store.last_checkpoint(trial.id).exists()} == kept
    assert set(store.trials_with_checkpoints()) == kept | {"t0001"}
    table = store.leaderboard_md.read_text()
    assert "## Was halving safe?" in table
    assert f"- {audited.id}, halted at rung {audited.audited_at} (" in table
    assert "complete‡" in table


def test_an_audit_draws_the_same_trials_again(pausing: Store) -> None:
    record = pausing.record()
    drawn = draw_halted(record, 2, seed=5)
    assert [trial.id for trial in drawn] == [trial.id for trial in draw_halted(record, 2, seed=5)]
    assert all(trial.halted_at for trial in drawn)
    assert len(draw_halted(record, 100, seed=5)) == sum(trial.status == "paused" for trial in record.trials)
    assert draw_halted(SearchRecord(), 2, seed=5) == []


def test_nothing_is_audited_where_nothing_is_halted(folder: Path) -> None:
    with pytest.raises(UserError, match="--audit 2: the space has scheduler: none"):
        searched(folder, "never", "none", audit=2)
