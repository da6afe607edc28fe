"""The event log folded into the nouns of records.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.records import (
    Continuation,
    EpochRecord,
    ModelCost,
    Note,
    Reference,
    Rerun,
    RerunKind,
    Retrained,
    SearchRecord,
    TrialRecord,
)
from tuner.tolerant import integer, mapping, metrics, number, text
from tuner.wording.language import LANGUAGES, Language

_TRIAL_FIELDS = frozenset({"v", "seq", "time", "kind", "trial", "facts", "status", "error", "number", "config"})
_TRIAL_FIELDS |= {"params", "freeze_blocks", "total_blocks", "baseline", "parent", "rerun"}
_RERUN_KINDS: tuple[RerunKind, ...] = ("repeat", "fold", "fraction")


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
    epochs: dict[float, EpochRecord] = field(default_factory=dict)
    error: str | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    test_reads: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    updated: str = ""
    again: bool = False
    micro_batch: int | None = None
    """what had to be changed of the config for want of memory"""

    def start(self, event: Mapping[str, Any]) -> None:
        self.started, self.status, self.error = event, "running", None
        asked = integer(event.get("number"))
        self.number = self.number if asked is None else asked
        self.add_facts(event)

    def resume(self, event: Mapping[str, Any]) -> None:
        self.status, self.error, self.again = "running", None, False
        self.facts.pop("rung", None)  # where it was halted
        if "audit" in event:
            self.facts["audit"] = event["audit"]
        micro_batch = integer(event.get("micro_batch"))
        if micro_batch is not None:  # from its beginning, as another config
            self.micro_batch = micro_batch
            self.epochs.clear()
            self.facts["trains_batch_norm"] = event.get("trains_batch_norm") is True

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
        changed = {} if self.micro_batch is None else {"micro_batch": self.micro_batch}
        return TrialRecord(
            id=self.id,
            number=self.number,
            config={**mapping(started.get("config")), **changed},
            short_of_memory=bool(changed),
            params=mapping(started.get("params")),
            freeze_blocks=integer(started.get("freeze_blocks")),
            total_blocks=integer(started.get("total_blocks")),
            baseline=started.get("baseline") is True,
            parent=text(started.get("parent")) or None,
            rerun=_rerun(mapping(started.get("rerun"))),
            status=self.status,
            epochs=tuple(self.epochs.values()),
            error=self.error,
            test=self.test,
            test_reads=self.test_reads,
            again=self.again or (self.status == "failed" and started.get("baseline") is True),
            facts=dict(self.facts),
            updated=self.updated,
        )


class Replay:
    """The fold behind `replay`, for readers that follow a growing log: `add` each event, ask for `record` at will."""

    def __init__(self) -> None:
        self._started: Mapping[str, Any] = {}
        self._budget: int | None = None
        self._commands: list[str] = []
        self._extensions: list[str] = []
        self._resolved = self._data_hash = ""
        self._continuations: list[Continuation] = []
        self._status = "running"
        self._reason = ""
        self._notes: list[Note] = []
        self._references: dict[str, Reference] = {}
        self._retrained: list[Retrained] = []
        self._costs: list[ModelCost] = []
        self._trials: dict[str, _Trial] = {}
        self._recorded: dict[str, TrialRecord] = {}
        """trials of which nothing has been told since"""

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in the next event of the log."""
        kind, trial = event.get("kind"), event.get("trial")
        if kind == "note":
            self._notes.append(Note(text(event.get("time")), text(event.get("text")), text(trial) or None))
        elif kind == "reference_scored":
            reference = _reference(event)
            self._references[reference.name] = reference
        elif kind == "retrained":
            self._retrained.append(_retrained(event))
        elif kind == "model_measured" and (cost := _model_cost(event)):
            self._costs.append(cost)
        elif isinstance(trial, str):
            self._add_to_trial(trial, event)
        elif kind == "search_started":
            self._started, self._status = event, "running"
            self._commands += filter(None, [text(event.get("command"))])
            self._data_hash = text(mapping(event.get("data")).get("hash"))
            self._budget = integer(event.get("trials"))
        elif kind == "search_resumed":
            self._status, self._reason = "running", ""
            self._commands += filter(None, [text(event.get("command"))])
            for id in _texts(event.get("again")):
                if id in self._trials:
                    self._trials[id].again = True
                    self._recorded.pop(id, None)
            self._budget = integer(event.get("trials")) or self._budget
            self._continuations += _continuations(event.get("children"))
            self._extensions += filter(None, [text(event.get("extended"))])
            self._resolved = text(event.get("resolved")) or self._resolved
            self._data_hash = text(event.get("data_hash")) or self._data_hash
            self._started = {**self._started, **{name: event[name] for name in ("axes", "space") if name in event}}
        elif kind == "search_ended":
            self._status, self._reason = text(event.get("status")) or "failed", text(event.get("reason"))

    def _add_to_trial(self, id: str, event: Mapping[str, Any]) -> None:
        kind = event.get("kind")
        if kind not in ("trial_started", "trial_resumed", "epoch", "trial_ended", "test_scored"):
            return
        trial = self._trials.setdefault(id, _Trial(id, number=len(self._trials)))
        self._recorded.pop(id, None)
        trial.updated = text(event.get("time"))
        if kind == "trial_started":
            trial.start({**event, **({"data_hash": self._data_hash} if self._data_hash else {})})
        elif kind == "trial_resumed":
            trial.resume(event)
        elif kind == "epoch":
            epoch = _epoch(event)
            if epoch:
                trial.add_epoch(epoch)
        elif kind == "trial_ended":
            trial.end(event)
        else:
            trial.score(event)

    @property
    def awaited(self) -> set[str]:
        """Trials that are to have more epochs, as long as the child that has them is not through."""
        through = {id for id, trial in self._trials.items() if trial.status not in ("running", "paused", "lost")}
        return {wanted.parent for wanted in self._continuations if wanted.child not in through}

    def trial(self, id: str) -> TrialRecord:
        """One trial's state so far. Raises KeyError for one that no event is about."""
        if id not in self._recorded:
            self._recorded[id] = self._trials[id].record()
        return self._recorded[id]

    def record(self) -> SearchRecord:
        """The state so far."""
        started = self._started
        objective = mapping(started.get("objective"))
        trials = sorted((self.trial(id) for id in self._trials), key=lambda trial: trial.number)
        return SearchRecord(
            name=text(started.get("name")),
            space=text(started.get("space")),
            about=text(started.get("about")),
            hypothesis=text(started.get("hypothesis")),
            axes=_texts(started.get("axes")),
            overrides=_texts(started.get("overrides")),
            plugins=mapping(started.get("plugins")),
            task=text(started.get("task")),
            metric=text(objective.get("metric")),
            direction="minimize" if objective.get("direction") == "minimize" else "maximize",
            sampler=text(started.get("sampler")),
            scheduler=mapping(started.get("scheduler")),
            budget=self._budget and self._budget + len(self._continuations),
            commands=tuple(self._commands),
            extensions=tuple(self._extensions),
            resolved=self._resolved,
            continuations=tuple(self._continuations),
            labels=_texts(started.get("labels")),
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
            notes=tuple(sorted(self._notes, key=lambda note: note.time)),
            trials=tuple(trial for trial in trials if trial.rerun is None),
            reruns=tuple(trial for trial in trials if trial.rerun is not None),
            references=tuple(self._references.values()),
            retrained=tuple(self._retrained),
            model_costs=tuple(self._costs),
            limits=mapping(started.get("limits")),
            top_k=integer(started.get("top_k")) or 3,
            language=_language(started.get("language")),
            never_trained=_texts(started.get("never_trained")),
        )


def _texts(given: Any) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, list | tuple) else ()


def _continuations(given: Any) -> list[Continuation]:
    wanted = [mapping(one) for one in given] if isinstance(given, list | tuple) else []
    told = [(text(one.get("parent")), integer(one.get("epochs"))) for one in wanted]
    return [Continuation(parent, epochs) for parent, epochs in told if parent and epochs]


def _language(given: object) -> Language:
    return next((language for language in LANGUAGES if language == given), "en")


def _rerun(given: Mapping[str, Any]) -> Rerun | None:
    kind = next((kind for kind in _RERUN_KINDS if kind == given.get("kind")), None)
    if kind is None:
        return None
    share = number(given.get("train_share"))
    return Rerun(
        of=text(given.get("of")),
        kind=kind,
        seed=integer(given.get("seed")) or 0,
        data_seed=integer(given.get("data_seed")) or 0,
        fold=integer(given.get("fold")),
        train_share=1.0 if share is None else share,
    )


def _reference(event: Mapping[str, Any]) -> Reference:
    return Reference(
        name=text(event.get("name")),
        given=event.get("given") is True,
        description=text(event.get("description")),
        val=metrics(event.get("val")),
        test=metrics(event.get("test")),
        seconds=number(event.get("seconds")),
    )


def _retrained(event: Mapping[str, Any]) -> Retrained:
    return Retrained(
        trial=text(event.get("trial")),
        splits=_texts(event.get("splits")),
        steps=integer(event.get("steps")) or 0,
        folder=text(event.get("folder")),
        test=metrics(event.get("test")),
        time=text(event.get("time")),
    )


def _model_cost(event: Mapping[str, Any]) -> ModelCost | None:
    image_size, latency_ms = integer(event.get("image_size")), number(event.get("latency_ms"))
    if image_size is None or latency_ms is None:
        return None
    return ModelCost(
        backbone=text(event.get("backbone")),
        image_size=image_size,
        parameters=integer(event.get("parameters")) or 0,
        latency_ms=latency_ms,
        device=text(event.get("device")),
        threads=integer(event.get("threads")) or 1,
    )


def _epoch(event: Mapping[str, Any]) -> EpochRecord | None:
    epoch = _epoch_count(event.get("epoch"))
    if epoch is None:
        return None
    step = integer(event.get("step")) or math.ceil(epoch)
    return EpochRecord(epoch=epoch, step=step, **{name: read(event.get(name)) for name, read in _EPOCH_READERS.items()})


def _epoch_count(given: Any) -> float | None:
    """Epochs, an int where they are whole."""
    count = number(given)
    return count if count is None or not count.is_integer() else int(count)


def _named_texts(given: Any) -> dict[str, str]:
    return {name: text(found) for name, found in mapping(given).items()}


def _counts(given: Any) -> dict[str, int]:
    return {name: count for name, found in mapping(given).items() if (count := integer(found)) is not None}


_EPOCH_READERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("time", "device", "node"), text),
    **dict.fromkeys(("value", "best_value", "train_loss", "train_loss_weighted", "lr", "seconds"), number),
    **dict.fromkeys(("images_per_second", "peak_memory_gib", "gpus", "gpu_memory_gib"), number),
    **dict.fromkeys(("trained_parameters", "total_parameters"), integer),
    "best_epoch": _epoch_count,
    "val": metrics,
    "features": _counts,
    "compute": _named_texts,
    "best": mapping,
}
