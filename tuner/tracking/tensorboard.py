"""TensorBoard: a run for each trial in the search's folder, with its curves and hyperparameters."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.links import FOLDER
from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.spending import told_at
from tuner.store import Store
from tuner.tolerant import flat, mapping
from tuner.tracking.cursor import Cursor
from tuner.tracking.protocol import Aborted, News, Tracker, TrackerKind
from tuner.tracking.told import final_values, scalars

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

FILE = "events.out.tfevents.thaw"
"""TensorBoard looks for this beginning; one a trial, to which it holds on while it grows"""


class TensorBoardTracker:
    """Files that only grow, so that a TensorBoard that is open follows them.

    The cursor keeps how long each is. What a process wrote beyond that before it was killed is cut off and written
    again: times are those of the log, so a reader that is further finds the same there.
    """

    def __init__(self, store: Store, cursor: Cursor) -> None:
        self._folder = store.folder / FOLDER / "tensorboard"
        self._files: dict[str, Any] = cursor.kept.setdefault("files", {})
        """trial -> its file's `size` in bytes, the `step` of its last epoch, a checksum of its final values"""

    def show(self, search: SearchRecord, news: News) -> None:
        for trial, epochs in news.of(search):
            path = self._folder / trial.id / FILE
            kept = mapping(self._files.get(trial.id))
            if not kept or not path.exists() or path.stat().st_size < kept["size"]:
                kept, epochs = {"size": 0, "step": 0, "final": 0}, trial.epochs
            final = _checksum(search, trial)
            events = [*([] if kept["size"] else _beginning(search, trial)), *_curves(epochs, kept["step"])]
            events += [] if final == kept["final"] else _ending(search, trial)
            size = _write(path, kept["size"], events)
            last = epochs[-1].step if epochs else kept["step"]
            self._files[trial.id] = {"size": size, "step": last, "final": final}

    def finish(self, search: SearchRecord) -> None:
        """Files of the search stay where they are."""

    def aborted(self) -> Aborted:
        return Aborted()

    def close(self) -> None:
        """Nothing is held open."""


def _write(path: Path, size: int, events: Iterable[Event]) -> int:
    """Have a file consist of its first `size` bytes and these events, durably; returns its size then."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.truncate(size)
        file.seek(size)
        records = RecordWriter(file)
        for event in events:
            records.write(event.SerializeToString())
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _beginning(search: SearchRecord, trial: TrialRecord) -> Iterator[Event]:
    """What a file begins with: its version, and the trial's values of the axes for the page of hyperparameters."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    began = _seconds(trial.epochs[0].time if trial.epochs else trial.updated)
    yield Event(wall_time=began, file_version="brain.Event:2")
    config = flat(trial.config)
    values = {path: _value(config[path]) for path in search.axes if config.get(path) is not None}
    yield Event(wall_time=began, summary=hparams_pb(values, trial_id=trial.id, start_time_secs=began))


def _curves(epochs: Iterable[EpochRecord], last_step: int) -> Iterator[Event]:
    """The numbers of each epoch; one that is done again has TensorBoard forget what followed it before."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    for epoch in epochs:
        at = {"wall_time": _seconds(epoch.time), "step": epoch.step}
        if epoch.step <= last_step:
            yield Event(**at, session_log=SessionLog(status=SessionLog.START))
        last_step = epoch.step
        yield _numbers(at, {f"{told.title}/{told.series}": told.value for told in scalars(epoch)})


def _ending(search: SearchRecord, trial: TrialRecord) -> Iterator[Event]:
    """What a trial has come to; written again at the same step, it replaces what was there."""
    at = {"wall_time": _seconds(trial.updated), "step": 0}
    yield _numbers(at, {f"Summary/{name}": value for name, value in _final(search, trial).items()})


def _numbers(at: dict[str, Any], values: dict[str, float]) -> Event:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    told = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
    return Event(**at, summary=Summary(value=told))


def _checksum(search: SearchRecord, trial: TrialRecord) -> int:
    """Of what a trial has come to; 0 while it trains."""
    if trial.status in ("running", "waiting"):
        return 0
    return zlib.crc32(json.dumps(_final(search, trial), sort_keys=True).encode())


def _final(search: SearchRecord, trial: TrialRecord) -> dict[str, float]:
    """Without what the curves have at the best epoch: each is a picture on TensorBoard's first page."""
    return {name: value for name, value in final_values(search, trial).items() if not name.startswith("val_")}


def _value(setting: Any) -> bool | float | str:
    return setting if isinstance(setting, bool | int | float | str) else json.dumps(setting)


def _seconds(time: str) -> float:
    """Since 1970; 0 for a time that is missing."""
    return told_at({"time": time}) or 0.0


def _open(store: Store, cursor: Cursor) -> Tracker:
    return TensorBoardTracker(store, cursor)


TENSORBOARD = TrackerKind(
    name="tensorboard",
    shown="TensorBoard",
    is_configured=lambda: True,
    hint="",
    reach=lambda: "",
    open=_open,
)
