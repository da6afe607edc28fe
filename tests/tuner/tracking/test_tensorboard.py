"""TensorBoard's own reader on what is written for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_logs import Told, show, whole_search
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tuner.spending import told_at
from tuner.tracking import following
from tuner.tracking.syncing import sync_search
from tuner.tracking.tensorboard import FILE, TENSORBOARD
from tuner.tracking.trackers import wanted_trackers


def folder_of(told: Told) -> Path:
    return told.store.folder / "tracking" / "tensorboard"


def read(told: Told, trial: str) -> EventAccumulator:
    reader = EventAccumulator(str(folder_of(told) / trial))
    reader.Reload()
    return reader


def curve(told: Told, trial: str, tag: str = "f2_macro/val") -> dict[int, float]:
    points = read(told, trial).Scalars(tag)
    assert len({point.step for point in points}) == len(points)
    return {point.step: point.value for point in points}


def files(told: Told) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder_of(told).rglob(FILE)}


def test_curves_and_final_values_are_read_back(tmp_path: Path) -> None:
    told = whole_search(tmp_path)
    show(told, TENSORBOARD)
    assert curve(told, "t0001") == {1: 0.25, 2: 0.5}
    assert curve(told, "t0001", "loss/train") == {1: 0.5, 2: 0.25}
    assert curve(told, "t0001", "Summary/f2_macro") == {0: 0.5}
    assert curve(told, "t0001", "Summary/test_f2_macro") == {0: 0.375}
    assert curve(told, "t0002") == {1: 0.125}
    assert curve(told, "t0004") == {1: 0.5, 2: 0.75}
    assert sorted(files(told)) == ["t0001", "t0002", "t0003", "t0004"]


def test_times_are_those_of_the_log(tmp_path: Path) -> None:
    told = whole_search(tmp_path)
    show(told, TENSORBOARD)
    epochs = told.store.record().trials[0].epochs
    assert [point.wall_time for point in read(told, "t0001").Scalars("f2_macro/val")] == pytest.approx(
        [told_at({"time": epoch.time}) for epoch in epochs]
    )


def test_the_page_of_hyperparameters_has_the_axes(tmp_path: Path) -> None:
    told = whole_search(tmp_path)
    show(told, TENSORBOARD)
    metadata = read(told, "t0002").SummaryMetadata("_hparams_/session_start_info")
    info = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
    assert {name: value.WhichOneof("kind") for name, value in info.hparams.items()} == {
        "head.kind": "string_value",
        "optimizer.lr": "number_value",
    }
    assert info.hparams["optimizer.lr"].number_value == 1e-3


@pytest.mark.parametrize("at_most", [1, 3, 500])
def test_shown_in_pieces_or_at_once_it_is_the_same(tmp_path: Path, at_most: int) -> None:
    told = whole_search(tmp_path)
    show(told, TENSORBOARD, at_most=at_most)
    assert curve(told, "t0004") == {1: 0.5, 2: 0.75}
    assert curve(told, "t0001", "Summary/test_f2_macro") == {0: 0.375}


def test_what_a_killed_process_had_not_noted_is_written_once(tmp_path: Path) -> None:
    told = whole_search(tmp_path)
    show(told, TENSORBOARD, killed=True)
    killed = files(told)
    show(told, TENSORBOARD)
    assert files(told) == killed
    show(told, TENSORBOARD)  # nothing is new
    assert files(told) == killed


def test_a_resumed_search_goes_on_in_the_same_files(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.epochs(told.start(1), {1: 0.25, 2: 0.5})
    show(told, TENSORBOARD)
    before = files(told)["t0001"]
    told.epochs("t0001", {3: 0.75})
    told.end("t0001")
    show(told, TENSORBOARD)
    assert files(told)["t0001"].startswith(before)
    assert curve(told, "t0001") == {1: 0.25, 2: 0.5, 3: 0.75}


def test_epochs_that_are_done_again_replace_what_followed(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.epochs(told.start(1), {1: 0.25, 2: 0.5, 3: 0.75})
    show(told, TENSORBOARD)
    told.epochs("t0001", {2: 0.125})
    show(told, TENSORBOARD)
    assert curve(told, "t0001") == {1: 0.25, 2: 0.125}


def test_files_that_were_deleted_are_made_again(tmp_path: Path) -> None:
    told = whole_search(tmp_path)
    show(told, TENSORBOARD)
    before = files(told)
    (folder_of(told) / "t0001" / FILE).unlink()
    (folder_of(told) / "t0004" / FILE).write_bytes(b"cut")
    show(told, TENSORBOARD)  # of nothing new, all trials are named
    told.finish()
    show(told, TENSORBOARD)
    assert files(told) == before


def test_every_search_has_it_unless_told_otherwise() -> None:
    assert TENSORBOARD in wanted_trackers("auto")
    assert TENSORBOARD.reach() == ""


@pytest.mark.real
def test_its_process_writes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "ANSWER_SECONDS", 120.0)  # a busy machine takes long to start a process
    told = whole_search(tmp_path)
    with told.store.lock():
        sync_search(told.store, [TENSORBOARD])
    lengths = {trial: len(file) for trial, file in files(told).items()}
    assert curve(told, "t0004") == {1: 0.5, 2: 0.75}
    (told.store.folder / "tracking" / "tensorboard.json").unlink()
    show(told, TENSORBOARD)
    assert {trial: len(file) for trial, file in files(told).items()} == lengths
