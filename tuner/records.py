"""The nouns that every reader of a search shares, and `replay`: the event log folded into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tuner.tolerant import integer, mapping, metrics, number, text

Direction = Literal["maximize", "minimize"]

ELIGIBLE_STATUSES = ("complete", "early_stopped")
"""statuses of trials that may be ranked and become best.yaml"""

_TRIAL_FIELDS = frozenset({"v", "seq", "time", "kind", "trial", "facts", "status", "error", "number", "config"})
_TRIAL_FIELDS |= {"params", "freeze_blocks", "total_blocks", "baseline", "parent"}


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one trial, as its worker reported it; what it left out or could not compute is None or empty."""

    epoch: int
    """1-based"""
    time: str = ""
    """UTC, of the event"""
    value: float | None = None
    """the raw objective"""
    best_value: float | None = None
    """the best objective up to this epoch"""
    best_epoch: int | None = None
    val: Mapping[str, float] = field(default_factory=dict)
    """this epoch's validation metrics"""
    train_loss: float | None = None
    train_loss_weighted: float | None = None
    lr: float | None = None
    seconds: float | None = None
    """training seconds since the trial began"""
    images_per_second: float | None = None
    peak_memory_gib: float | None = None
    trained_parameters: int | None = None
    total_parameters: int | None = None
    device: str = ""
    best: Mapping[str, Any] = field(default_factory=dict)
    """details of a new best epoch, `per_class` and `labels_left_out` among them"""


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its config, how far it came and how well it did."""

    id: str
    number: int
    """0-based, in the order asked"""
    config: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    """sampled axis path -> value"""
    freeze_blocks: int | None = None
    total_blocks: int | None = None
    baseline: bool = False
    parent: str | None = None
    status: str = "waiting"
    """waiting, running, paused, complete, early_stopped, pruned, failed or lost"""
    epochs: tuple[EpochRecord, ...] = ()
    error: str | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    test_reads: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    """what its start and end said beyond the fields above, such as `weights_sha256`"""
    updated: str = ""
    """UTC time of the trial's latest event"""

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the best objective so far; None before the first finite one."""
        best = self._best_so_far
        return best.best_epoch if best else None

    @property
    def best_value(self) -> float | None:
        """The best objective so far; None before the first finite one."""
        best = self._best_so_far
        return best.best_value if best else None

    @property
    def best_metrics(self) -> Mapping[str, float]:
        """Validation metrics of the best epoch; empty when there is none."""
        best = self._at_best
        return best.val if best else {}

    @property
    def best_details(self) -> Mapping[str, Any]:
        """What the best epoch's event holds under `best`, such as `per_class`; empty when there is none."""
        best = self._at_best
        return best.best if best else {}

    @property
    def epochs_run(self) -> int:
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def seconds(self) -> float | None:
        """Training seconds up to the last epoch."""
        return self.epochs[-1].seconds if self.epochs else None

    @property
    def images_per_second(self) -> float | None:
        """Training speed of the last epoch."""
        return self.epochs[-1].images_per_second if self.epochs else None

    @property
    def peak_memory_gib(self) -> float | None:
        """The largest peak of any epoch."""
        return max((epoch.peak_memory_gib for epoch in self.epochs if epoch.peak_memory_gib is not None), default=None)

    @property
    def trained_parameters(self) -> int | None:
        return self.epochs[-1].trained_parameters if self.epochs else None

    @property
    def total_parameters(self) -> int | None:
        return self.epochs[-1].total_parameters if self.epochs else None

    @property
    def eligible(self) -> bool:
        """Whether the trial may be ranked and become best.yaml."""
        return self.status in ELIGIBLE_STATUSES

    @property
    def _best_so_far(self) -> EpochRecord | None:
        return next((epoch for epoch in reversed(self.epochs) if epoch.best_value is not None), None)

    @property
    def _at_best(self) -> EpochRecord | None:
        return next((epoch for epoch in reversed(self.epochs) if epoch.epoch == self.best_epoch), None)


@dataclass(frozen=True)
class Note:
    """A remark that someone, or the driver, left in the log."""

    time: str
    text: str
    trial: str | None = None


@dataclass(frozen=True)
class SearchRecord:
    """A search and all its trials, in the order asked."""

    name: str = ""
    space: str = ""
    task: str = ""
    metric: str = ""
    direction: Direction = "maximize"
    sampler: str = ""
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    budget: int | None = None
    """trials asked for"""
    labels: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    """`root`, `hash`, `sizes` of the splits, `data_seed`"""
    seed: int | None = None
    versions: Mapping[str, Any] = field(default_factory=dict)
    git: str | None = None
    threads: int = 1
    """CPU threads of torch in a trial"""
    precision: str = ""
    baseline_config: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    """UTC"""
    status: str = "running"
    """running, stopped, complete or failed"""
    reason: str = ""
    notes: tuple[Note, ...] = ()
    trials: tuple[TrialRecord, ...] = ()

    def ranked(self) -> list[TrialRecord]:
        """Trials with a value, best first and ties by number; pruned and failed ones stand among them by value."""
        sign = -1.0 if self.direction == "maximize" else 1.0
        scored = [(trial.best_value, trial) for trial in self.trials]
        found = [(sign * value, trial.number, trial) for value, trial in scored if value is not None]
        return [trial for _, _, trial in sorted(found, key=lambda row: row[:2])]

    def ranks(self) -> dict[str, int]:
        """Trial id -> rank from 1, for eligible trials only."""
        eligible = (trial for trial in self.ranked() if trial.eligible)
        return {trial.id: rank for rank, trial in enumerate(eligible, start=1)}

    @property
    def best(self) -> TrialRecord | None:
        """The eligible trial of rank 1."""
        return next((trial for trial in self.ranked() if trial.eligible), None)

    @property
    def baseline(self) -> TrialRecord | None:
        return next((trial for trial in self.trials if trial.baseline), None)

    @property
    def test_reads(self) -> int:
        """How often any trial has been scored on the test split."""
        return sum(trial.test_reads for trial in self.trials)


def replay(events: Iterable[Mapping[str, Any]]) -> SearchRecord:
    """The state of a search after these events, in log order; unknown kinds and fields are ignored."""
    state = Replay()
    for event in events:
        state.add(event)
    return state.record()


@dataclass
class _Trial:
    """A trial while its events are still being added."""

    id: str
    number: int
    started: Mapping[str, Any] = field(default_factory=dict)
    status: str = "running"
    epochs: dict[int, EpochRecord] = field(default_factory=dict)
    error: str | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    test_reads: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    updated: str = ""

    def start(self, event: Mapping[str, Any]) -> None:
        self.started, self.status, self.error = event, "running", None
        asked = integer(event.get("number"))
        self.number = self.number if asked is None else asked
        self.add_facts(event)

    def add_epoch(self, epoch: EpochRecord) -> None:
        # A trial that goes on from an earlier checkpoint repeats epochs: what its first attempt said of this epoch
        # and of those after it no longer describes the weights on disk.
        while self.epochs and next(reversed(self.epochs)) >= epoch.epoch:
            self.epochs.popitem()
        self.epochs[epoch.epoch] = epoch

    def end(self, event: Mapping[str, Any]) -> None:
        self.status = text(event.get("status")) or "failed"
        self.error = text(event.get("error")) or None
        self.add_facts(event)

    def add_facts(self, event: Mapping[str, Any]) -> None:
        self.facts.update(mapping(event.get("facts")))
        self.facts.update({name: value for name, value in event.items() if name not in _TRIAL_FIELDS})

    def score(self, event: Mapping[str, Any]) -> None:
        reads = integer(event.get("reads"))
        self.test = metrics(event.get("test"))
        self.test_reads = self.test_reads + 1 if reads is None else reads

    def record(self) -> TrialRecord:
        started = self.started
        return TrialRecord(
            id=self.id,
            number=self.number,
            config=mapping(started.get("config")),
            params=mapping(started.get("params")),
            freeze_blocks=integer(started.get("freeze_blocks")),
            total_blocks=integer(started.get("total_blocks")),
            baseline=started.get("baseline") is True,
            parent=text(started.get("parent")) or None,
            status=self.status,
            epochs=tuple(self.epochs.values()),
            error=self.error,
            test=self.test,
            test_reads=self.test_reads,
            facts=dict(self.facts),
            updated=self.updated,
        )


class Replay:
    """The fold behind `replay`, for readers that follow a growing log: `add` each event, ask for `record` at will."""

    def __init__(self) -> None:
        self._started: Mapping[str, Any] = {}
        self._budget: int | None = None
        self._status = "running"
        self._reason = ""
        self._notes: list[Note] = []
        self._trials: dict[str, _Trial] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in the next event of the log."""
        kind, trial = event.get("kind"), event.get("trial")
        if kind == "note":
            self._notes.append(Note(text(event.get("time")), text(event.get("text")), text(trial) or None))
        elif isinstance(trial, str):
            self._add_to_trial(trial, event)
        elif kind == "search_started":
            self._started, self._status = event, "running"
            self._budget = integer(event.get("trials"))
        elif kind == "search_resumed":
            self._status, self._reason = "running", ""
            self._budget = integer(event.get("trials")) or self._budget
        elif kind == "search_ended":
            self._status, self._reason = text(event.get("status")) or "failed", text(event.get("reason"))

    def _add_to_trial(self, id: str, event: Mapping[str, Any]) -> None:
        kind = event.get("kind")
        if kind not in ("trial_started", "trial_resumed", "epoch", "trial_ended", "test_scored"):
            return
        trial = self._trials.setdefault(id, _Trial(id, number=len(self._trials)))
        trial.updated = text(event.get("time"))
        if kind == "trial_started":
            trial.start(event)
        elif kind == "trial_resumed":
            trial.status, trial.error = "running", None
        elif kind == "epoch":
            epoch = _epoch(event)
            if epoch:
                trial.add_epoch(epoch)
        elif kind == "trial_ended":
            trial.end(event)
        else:
            trial.score(event)

    def record(self) -> SearchRecord:
        """The state so far."""
        started = self._started
        objective = mapping(started.get("objective"))
        labels = started.get("labels")
        return SearchRecord(
            name=text(started.get("name")),
            space=text(started.get("space")),
            task=text(started.get("task")),
            metric=text(objective.get("metric")),
            direction="minimize" if objective.get("direction") == "minimize" else "maximize",
            sampler=text(started.get("sampler")),
            scheduler=mapping(started.get("scheduler")),
            budget=self._budget,
            labels=tuple(map(str, labels)) if isinstance(labels, list | tuple) else (),
            data=mapping(started.get("data")),
            seed=integer(started.get("seed")),
            versions=mapping(started.get("versions")),
            git=text(started.get("git")) or None,
            threads=integer(started.get("threads")) or 1,
            precision=text(started.get("precision")),
            baseline_config=mapping(started.get("baseline")),
            started=text(started.get("time")),
            status=self._status,
            reason=self._reason,
            notes=tuple(self._notes),
            trials=tuple(sorted((trial.record() for trial in self._trials.values()), key=lambda trial: trial.number)),
        )


def _epoch(event: Mapping[str, Any]) -> EpochRecord | None:
    epoch = integer(event.get("epoch"))
    if epoch is None:
        return None
    return EpochRecord(epoch=epoch, **{name: read(event.get(name)) for name, read in _EPOCH_READERS.items()})


_EPOCH_READERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("time", "device"), text),
    **dict.fromkeys(("value", "best_value", "train_loss", "train_loss_weighted", "lr", "seconds"), number),
    **dict.fromkeys(("images_per_second", "peak_memory_gib"), number),
    **dict.fromkeys(("best_epoch", "trained_parameters", "total_parameters"), integer),
    "val": metrics,
    "best": mapping,
}
