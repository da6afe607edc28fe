"""The room that a search takes on its disk: at most, told before it begins; counted while it runs, between epochs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces.space import Space
from trainable.data.cache import GIB
from trainable.errors import UserError
from tuner.records import BASELINE
from tuner.retention import Retention
from tuner.sharing import frozen_depths
from tuner.storage.place import is_url
from tuner.store import Event, Store

if TYPE_CHECKING:
    from tuner.proved import ProvedSearch

RESERVE_BYTES = GIB
RESERVE_SHARE = 0.05
"""of a small disk: what a search leaves free of its own, for tables, the log, and others that write there"""
_BYTES = 4
"""of a number in single precision, as checkpoints have them"""
CHECKPOINT_COPIES = 4
"""of the trained weights in a trial's two checkpoints: of the best epoch, of the last one, and Adam's two moments"""


def reserve_bytes(folder: Path) -> int:
    """What stays free on a folder's disk."""
    return int(min(RESERVE_BYTES, RESERVE_SHARE * shutil.disk_usage(_standing(folder)).total))


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(_standing(folder)).free


def _standing(folder: Path) -> Path:
    """The folder, or the nearest above that is there."""
    return next(found for found in (folder, *folder.absolute().parents) if found.exists())


def checkpoints_bytes(space: Space, labels: int) -> int:
    """Of both checkpoints of the trial of a space that trains the most weights; heads are taken as the baseline's.

    Args:
        labels: of the data

    Raises:
        UserError: a backbone that cannot be built.
    """
    from trainable.backbones import outline
    from trainable.measure import head_parameters

    baseline = space.baseline_config()
    found = []
    for backbone, depths in frozen_depths(space).items():
        built, frozen = outline(backbone, baseline.image_size), min(depths)
        trained = [*built.blocks[frozen:], *([built.neck] if frozen < len(built.blocks) else [])]
        weights = sum(parameter.numel() for module in trained for parameter in module.parameters())
        found.append(weights + head_parameters(baseline.head, built.features, labels))
    return CHECKPOINT_COPIES * _BYTES * max(found)


def prove_room(proved: ProvedSearch, workers: int) -> None:
    """Find out before a search begins that its checkpoints fit on its disk; what is under a URL has none.

    Args:
        workers: trials at once

    Raises:
        UserError: they do not, or the room under a URL is limited.
    """
    config = proved.config
    if not is_url(config.results):
        each = checkpoints_bytes(proved.space, len(proved.data.labels))
        require_room(Path(config.results) / config.name, config.disk_gib, each, config.top_k, workers)
    elif config.disk_gib is not None:
        raise UserError(f"--disk-gib {config.disk_gib:g}: limits a folder, and {config.results} is none; leave it out")


def require_room(folder: Path, limit_gib: float | None, each_bytes: int, top_k: int, workers: int) -> None:
    """Find out that a search's checkpoints cannot outgrow its disk, before it begins.

    Args:
        folder: of the search, which may be there already with some of them
        limit_gib: of that folder
        each_bytes: both checkpoints of a trial, at most
        workers: trials at once

    Raises:
        UserError: they can; with the figures.
    """
    most = (top_k + 1 + 2 * workers) * each_bytes
    told = (
        f"checkpoints take up to {_told(most)}: {_told(each_bytes)} for each of the best {top_k}, the baseline, and "
        f"{workers} trials at once, twice as they are replaced"
    )
    remedy = "lower --top or --workers, or freeze more"
    if limit_gib is not None and most > limit_gib * GIB:
        raise UserError(f"--disk-gib {limit_gib:g}: {told}; give more, {remedy}")
    reserve, there = reserve_bytes(folder), _held_bytes(folder / "checkpoints")
    if (free := free_bytes(folder) + there) < most + reserve:
        raise UserError(
            f"{folder}: {told}, and {_told(reserve)} stay free, but there are {_told(free)}; free some, give another "
            f"place with --results, {remedy}"
        )


class DiskBudget:
    """Follows a search's log, and says when what its running trials will write next may not fit any more.

    Files are looked at as their trials report; the whole folder once, at the beginning.
    """

    def __init__(self, store: Store, retention: Retention, limit_gib: float | None) -> None:
        """
        Args:
            retention: hears of each event before this does
            limit_gib: of the search's folder; None: as much as its disk has
        """
        self._store = store
        self._retention = retention
        self._limit_gib = limit_gib
        self._reserve = reserve_bytes(store.folder)
        self._running: set[str] = set()
        self._checkpoints = {trial: self._bytes_of(trial) for trial in store.trials_with_checkpoints()}
        """trial -> bytes"""
        self._largest = max(self._checkpoints.values(), default=0)
        log = _size(store.events_jsonl)
        self._other = _held_bytes(store.folder) - sum(self._checkpoints.values()) - log
        """bytes of all but checkpoints and the log"""
        self._ended_by = ""

    def put(self, event: Event) -> None:
        """Take in the log's next event."""
        kind = event["kind"]
        if kind not in ("trial_started", "trial_resumed", "epoch", "trial_ended"):
            return
        trial: str = event["trial"]
        if kind == "trial_ended":
            self._running.discard(trial)
            self._other += _size(self._store.predictions(trial))
        else:
            self._running.add(trial)
        for measured in (trial, *([BASELINE] if kind == "trial_ended" else [])):
            self._checkpoints[measured] = self._bytes_of(measured)
            self._largest = max(self._largest, self._checkpoints[measured])
        for dropped in self._checkpoints.keys() - self._retention.kept.best:
            del self._checkpoints[dropped]

    @property
    def held_bytes(self) -> int:
        """What the search's folder takes."""
        return self._other + _size(self._store.events_jsonl) + sum(self._checkpoints.values())

    def used_up(self) -> str:
        """What there is too little of, as the reason why the search stops; empty as long as there was enough."""
        self._ended_by = self._ended_by or self._lacking()
        return self._ended_by

    def _lacking(self) -> str:
        """What there is too little of now.

        A checkpoint is written beside the one that it replaces; so each running trial needs room for both of its own
        once more, which also suffices for one that begins.
        """
        needed = max(1, len(self._running)) * self._largest
        if self._limit_gib is not None and (held := self.held_bytes) + needed > self._limit_gib * GIB:
            return (
                f"disk: {_told(held)} of {self._limit_gib:.3g} GiB are taken, {_told(needed)} needed for the next "
                "checkpoints; more: `tuner resume --disk-gib`"
            )
        free = free_bytes(self._store.folder)
        if free < needed + self._reserve:
            return f"disk: {_told(free)} free, {_told(needed + self._reserve)} needed: free some and `tuner resume`"
        return ""

    def _bytes_of(self, trial: str) -> int:
        """Of a trial's checkpoints."""
        return _size(self._store.best_checkpoint(trial)) + _size(self._store.last_checkpoint(trial))


def _held_bytes(folder: Path) -> int:
    return sum(_size(path) for path in folder.rglob("*") if path.is_file())


def _size(file: Path) -> int:
    """In bytes; 0 where there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _told(size: float) -> str:
    return f"{size / GIB:.3g} GiB" if size >= GIB else f"{size / 2**20:.3g} MiB"
