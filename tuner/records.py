"""The nouns that every reader of a search shares; replay.py makes them of the event log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from tuner.links import NO_LINKS, Links
from tuner.tolerant import integer
from tuner.wording.language import Language, wording

Direction = Literal["maximize", "minimize"]
RerunKind = Literal["repeat", "fold", "fraction"]

BASELINE = "t0001"
"""the first trial of every search, which others are measured against"""
COMPUTED_REFERENCES = ("majority", "logistic_regression")
"""what every search is held against; see trainable/references.py"""
ELIGIBLE_STATUSES = ("complete", "early_stopped")
"""statuses of trials that may be ranked and become best.yaml"""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one trial, as its worker reported it; what it left out or could not compute is None or empty."""

    epoch: float
    """from 1, an int but where a trial was scored within its first epoch"""
    step: int = 0
    """evaluations so far, from 1"""
    time: str = ""
    """UTC, of the event"""
    value: float | None = None
    """the raw objective"""
    best_value: float | None = None
    """the best objective up to this epoch"""
    best_epoch: float | None = None
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
    node: str = ""
    """the machine's name"""
    gpus: float | None = None
    """what it has of GPUs"""
    gpu_memory_gib: float | None = None
    """of the whole GPU"""
    compute: Mapping[str, str] = field(default_factory=dict)
    """how the trained blocks were computed, a Compute's fields"""
    features: Mapping[str, int] = field(default_factory=dict)
    """of frozen blocks: `hits` and `misses` in images, `bytes` written"""
    best: Mapping[str, Any] = field(default_factory=dict)
    """details of a new best epoch, `per_class` and `labels_left_out` among them"""


@dataclass(frozen=True)
class Rerun:
    """What a trial that trains another one's config again changes of it."""

    of: str
    """the trial whose config it is"""
    kind: RerunKind
    seed: int
    data_seed: int
    """of its split; the search's own where only the seed changes"""
    fold: int | None = None
    """from 0; the fold of train and val together that validates"""
    train_share: float = 1.0
    """of the training images"""


def _summed(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


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
    short_of_memory: bool = False
    """whether `config` has a smaller micro_batch than was asked for, since it would not fit into memory else"""
    parent: str | None = None
    """the trial that it goes on from, with epochs and a schedule of its own"""
    rerun: Rerun | None = None
    """None: a trial of the search itself"""
    status: str = "waiting"
    """waiting, running, paused, complete, early_stopped, pruned, failed or lost"""
    epochs: tuple[EpochRecord, ...] = ()
    error: str | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    test_reads: int = 0
    again: bool = False
    """whether it failed of what stopped the search, and is tried again when that goes on"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """what its start and end said beyond the fields above, such as `weights_sha256`"""
    updated: str = ""
    """UTC time of the trial's latest event"""

    @property
    def best_epoch(self) -> float | None:
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
    def epochs_run(self) -> float:
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
    def features(self) -> Mapping[str, int]:
        """How all its epochs came by the features of frozen blocks."""
        return _summed(epoch.features for epoch in self.epochs)

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
    def unfinished(self) -> bool:
        """Whether it goes on when the search does: it was left amid its training, or failed of what is repaired now."""
        return (self.status in ("running", "paused", "lost") or self.again) and self.halted_at is None

    @property
    def halted_at(self) -> int | None:
        """The rung, from 1, at which the trial was stopped or paused; None: it goes on, or ended otherwise."""
        return integer(self.facts.get("rung")) if self.status in ("pruned", "paused") else None

    @property
    def audited_at(self) -> int | None:
        """The rung at which it had been halted before an audit had it go on."""
        return integer(self.facts.get("audit"))

    @cached_property
    def _best_so_far(self) -> EpochRecord | None:
        return next((epoch for epoch in reversed(self.epochs) if epoch.best_value is not None), None)

    @cached_property
    def _at_best(self) -> EpochRecord | None:
        best_epoch = self.best_epoch
        return next((epoch for epoch in reversed(self.epochs) if epoch.epoch == best_epoch), None)


def best_first(trials: Iterable[TrialRecord], direction: Direction) -> list[TrialRecord]:
    """Those with a value, ties by number."""
    sign = -1.0 if direction == "maximize" else 1.0
    scored = [(trial.best_value, trial) for trial in trials]
    found = [(sign * value, trial.number, trial) for value, trial in scored if value is not None]
    return [trial for _, _, trial in sorted(found, key=lambda row: row[:2])]


@dataclass(frozen=True)
class Note:
    """A remark that someone, or the driver, left in the log."""

    time: str
    text: str
    trial: str | None = None


@dataclass(frozen=True)
class Reference:
    """What trials are held against and is none itself: it has scores but no rank."""

    name: str
    """such as `majority`; its validation predictions, if there are any, are in predictions/<name>.npz"""
    given: bool = False
    """by a person, as numbers"""
    description: str = ""
    val: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Retrained:
    """The model that was trained on more than the training images, once a config was chosen."""

    trial: str
    """whose config it is"""
    splits: tuple[str, ...]
    """what it was trained on"""
    steps: int
    """of the optimiser, as many as led to the trial's best epoch"""
    folder: str
    """in the search's folder"""
    test: Mapping[str, float] = field(default_factory=dict)
    time: str = ""
    """UTC"""


@dataclass(frozen=True)
class ModelCost:
    """What a backbone takes at one image size, as measured on a device of the search."""

    backbone: str
    image_size: int
    """pixels"""
    parameters: int
    """without a head"""
    latency_ms: float
    """from one image's pixels to its logits"""
    device: str = ""
    threads: int = 1


@dataclass(frozen=True)
class Continuation:
    """That a finished trial is to be trained on, as a trial of its own."""

    parent: str
    epochs: int
    """more than it had"""

    @property
    def child(self) -> str:
        """The new trial's id, such as `t0003-e10`: trial t0003 with 10 more epochs."""
        return f"{self.parent}-e{self.epochs}"


@dataclass(frozen=True)
class SearchRecord:
    """A search and all its trials, in the order asked."""

    name: str = ""
    space: str = ""
    about: str = ""
    hypothesis: str = ""
    axes: tuple[str, ...] = ()
    """dotted paths of what was searched"""
    overrides: tuple[str, ...] = ()
    """what was replaced in the space, such as `backbone: resnet50 -> lite2`"""
    plugins: Mapping[str, Any] = field(default_factory=dict)
    """file name -> sha256"""
    task: str = ""
    metric: str = ""
    direction: Direction = "maximize"
    sampler: str = ""
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    budget: int | None = None
    """trials asked for"""
    commands: tuple[str, ...] = ()
    """it was run by, in order"""
    extensions: tuple[str, ...] = ()
    """what was asked for beyond what it was begun with, in words"""
    resolved: str = ""
    """what was decided when it last went on, as search.yaml; empty: as that file says"""
    continuations: tuple[Continuation, ...] = ()
    """finished trials for which more epochs were asked for; they are in `budget`"""
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
    reruns: tuple[TrialRecord, ...] = ()
    """trials that train the config of another one again: by seed, split, fold or share of the training images"""
    references: tuple[Reference, ...] = ()
    retrained: tuple[Retrained, ...] = ()
    model_costs: tuple[ModelCost, ...] = ()
    """of each backbone and image size that finished trials have; with limits, of all that the space has"""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """what no config may exceed, by name"""
    top_k: int = 3
    """how many of the best trials are written out and scored on test"""
    links: Links = NO_LINKS
    """where trackers show it, as its folder tells; its log does not"""
    never_trained: tuple[str, ...] = ()
    """what the limits keep from ever being a trial, a line each"""
    language: Language = "en"
    """of its reports"""

    def told_in(self, language: Language | None) -> SearchRecord:
        """The same search with reports in another language; None: in its own."""
        return replace(self, language=language or self.language)

    def say(self, text: str, /, **values: object) -> str:
        """A text of its reports, in their language."""
        return wording(self.language)(text, **values)

    @property
    def told_reason(self) -> str:
        """Why it ended before its end, in the language of its reports where that has it."""
        return wording(self.language).from_log(self.reason)

    def latency_ms(self, trial: TrialRecord) -> float | None:
        """Of a trial's backbone at its image size; None where that was not measured."""
        model = (trial.config.get("backbone"), trial.config.get("image_size"))
        return next((cost.latency_ms for cost in self.model_costs if (cost.backbone, cost.image_size) == model), None)

    def reruns_of(self, trial: str, kind: RerunKind) -> list[TrialRecord]:
        """The finished reruns of a trial, in the order asked."""
        found = (again for again in self.reruns if again.rerun and again.rerun.kind == kind)
        return [again for again in found if again.rerun and again.rerun.of == trial and again.eligible]

    @property
    def features(self) -> Mapping[str, int]:
        """How its trials and reruns came by the features of frozen blocks."""
        return _summed(trial.features for trial in (*self.trials, *self.reruns))

    @property
    def sampled(self) -> list[TrialRecord]:
        """The trials of its space, without those that train another one on."""
        return [trial for trial in self.trials if trial.parent is None]

    def ranked(self) -> list[TrialRecord]:
        """Trials with a value, best first and ties by number; pruned and failed ones stand among them by value."""
        return best_first(self.trials, self.direction)

    def ranks(self) -> dict[str, int]:
        """Trial id -> 1 + number of eligible trials of a better value, for eligible trials only."""
        eligible = [trial for trial in self.ranked() if trial.eligible]
        first: dict[float | None, int] = {}
        return {trial.id: first.setdefault(trial.best_value, place) for place, trial in enumerate(eligible, start=1)}

    @property
    def best(self) -> TrialRecord | None:
        """The eligible trial of rank 1."""
        return next((trial for trial in self.ranked() if trial.eligible), None)

    @property
    def top(self) -> list[TrialRecord]:
        """The best eligible trials, at most `top_k`."""
        return [trial for trial in self.ranked() if trial.eligible][: self.top_k]

    @property
    def baseline(self) -> TrialRecord | None:
        return next((trial for trial in self.trials if trial.baseline), None)

    @property
    def test_reads(self) -> int:
        """How often any trial or retrained model has been scored on the test split."""
        return sum(trial.test_reads for trial in self.trials) + sum(bool(model.test) for model in self.retrained)
