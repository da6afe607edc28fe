"""A halved search as a process of its own, with Ray: trials pause, others go on in their place and come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_searches import RunningSearch, start_search, tiny_space, write_labels_csv, write_space
from small_trials import job_of, reports_of

from trainable.config import parse_config
from trainable.data.dataset import open_dataset
from tuner.records import SearchRecord
from tuner.replay import replay

pytestmark = pytest.mark.real

EPOCHS = 4


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSearch]:
    """Six trials, two at once, rungs at 1 and 2 of 4 epochs; one of those that stay paused is audited."""
    folder = tmp_path_factory.mktemp("halving")
    scheduler = {"kind": "pausing_asha", "grace_epochs": 1, "reduction_factor": 2}
    sections = tiny_space(scheduler=scheduler, fixed={**tiny_space()["fixed"], "epochs": EPOCHS})
    space, data = write_space(folder / "tiny.yaml", sections), write_labels_csv(folder / "data")
    options = ("--trials", 6, "--workers", 2, "--audit", 1, "--top", 1, "--split", "75/25")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE", str(folder / "cache"))
        running = start_search(space, data, folder / "results", "halved", *options)
        ran = running.finish(400)
        assert ran.code == 0, ran.err
        yield running


@pytest.fixture
def record(search: RunningSearch) -> SearchRecord:
    return replay(search.events())


def resumed(search: RunningSearch) -> list[dict[str, Any]]:
    return [event for event in search.events() if event["kind"] == "trial_resumed"]


def test_the_best_go_on_and_the_rest_stays_paused(search: RunningSearch, record: SearchRecord) -> None:
    statuses = Counter(trial.status for trial in record.trials)
    assert statuses["complete"] >= 3  # the baseline, the best of the others, and the audited one
    assert statuses["complete"] + statuses["paused"] == 6
    reasons = Counter(event["reason"] for event in resumed(search))
    assert reasons["promoted to rung 2"] >= reasons["promoted to the last epoch"] >= 1
    assert reasons["drawn for the audit"] == 1


def test_no_epoch_is_trained_twice(search: RunningSearch, record: SearchRecord) -> None:
    epochs = Counter((event["trial"], event["epoch"]) for event in search.events() if event["kind"] == "epoch")
    assert set(epochs.values()) == {1}
    assert len(epochs) == sum(trial.epochs_run for trial in record.trials)
    assert len(epochs) < 6 * EPOCHS


def test_a_trial_that_paused_learns_as_one_that_did_not(
    search: RunningSearch, record: SearchRecord, tmp_path: Path
) -> None:
    trial = next(trial for trial in record.trials if trial.id == resumed(search)[0]["trial"])
    config = parse_config(trial.config)
    root, labels = Path(record.data["root"]), list(record.labels)
    data = open_dataset(search.folder / "splits.csv", root, labels, "multilabel", config.image_size, 0)
    alone = reports_of(job_of(config, tmp_path, patience_from_epoch=1), data)
    assert [(epoch.epoch, epoch.value, epoch.val, epoch.train_loss) for epoch in trial.epochs] == [
        (report.epoch, report.value, report.val, report.train_loss) for report in alone[: len(trial.epochs)]
    ]


def test_its_tables_tell_of_both(search: RunningSearch) -> None:
    table = (search.folder / "leaderboard.md").read_text()
    assert "## Was halving safe?" in table
    assert "Paused where others did better" in table


def test_nothing_is_left_running(search: RunningSearch) -> None:
    assert search.left_over() == []
