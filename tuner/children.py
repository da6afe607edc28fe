"""More epochs for finished trials: each is a trial of its own, which begins where its parent ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trainable.config import TrialConfig, parse_config
from trainable.errors import UserError
from tuner.records import Continuation, SearchRecord, TrialRecord


@dataclass(frozen=True)
class Forebear:
    """A trial where another one begins, as any node can read of it."""

    config: TrialConfig
    epochs: float
    """that it was trained"""
    trial: str | None = None
    """whose state is to be gone on from; None: it is trained again"""


@dataclass(frozen=True)
class PlannedChild:
    """A trial that trains another one on."""

    id: str
    parent: str
    config: TrialConfig
    lineage: tuple[Forebear, ...]


def choose_parents(search: SearchRecord, epochs: int, top: int) -> tuple[Continuation, ...]:
    """The best `top` finished trials that do not have so many more epochs already.

    Raises:
        UserError: there are none, or a schedule does not fit so few epochs.
    """
    known = {wanted.child for wanted in search.continuations}
    wanted = [Continuation(trial.id, epochs) for trial in search.ranked() if trial.eligible]
    chosen = tuple(one for one in wanted if one.child not in known)[:top]
    if not chosen:
        why = f"all finished trials have {epochs} more epochs already" if wanted else "no trial of it has finished"
        raise UserError(f"search {search.name!r}: {why}; give other --epochs, or add trials with --trials")
    by_id = {trial.id: trial for trial in search.trials}
    for one in chosen:
        _child_config(by_id[one.parent], epochs)
    return chosen


def plan_children(search: SearchRecord) -> Iterator[PlannedChild]:
    """What extensions asked for and is not done."""
    by_id = {trial.id: trial for trial in search.trials}
    for wanted in search.continuations:
        child = by_id.get(wanted.child)
        if child is None or child.unfinished:
            parent = by_id[wanted.parent]
            lineage = (*lineage_of(search, parent), _forebear(parent))
            yield PlannedChild(wanted.child, parent.id, _child_config(parent, wanted.epochs), lineage)


def ancestors(search: SearchRecord, trial: TrialRecord) -> tuple[TrialRecord, ...]:
    """The trials that this one went on from, the first one first; of most trials none."""
    parent = next((one for one in search.trials if one.id == trial.parent), None)
    return (*ancestors(search, parent), parent) if parent else ()


def lineage_of(search: SearchRecord, trial: TrialRecord) -> tuple[Forebear, ...]:
    """The same, as another process needs to know of them."""
    return tuple(map(_forebear, ancestors(search, trial)))


def _forebear(trial: TrialRecord) -> Forebear:
    return Forebear(parse_config(trial.config), trial.epochs_run, trial.id)


def _child_config(parent: TrialRecord, epochs: int) -> TrialConfig:
    """The parent's last stage with epochs of its own, none of which is a warm-up or scored in parts.

    Raises:
        UserError: its schedule does not fit them.
    """
    config = parse_config(parent.config)
    last = config.plan[-1]
    alike = config.model_dump(mode="json") | {"epochs": epochs, "freeze": last.freeze, "stages": ()}
    alike["optimizer"]["lr"] = last.lr
    try:
        return parse_config(alike | {"head_warmup_epochs": 0, "first_epoch_evaluations": 1})
    except UserError as error:
        raise UserError(*(f"--epochs +{epochs}: {parent.id}: {mistake}" for mistake in error.mistakes)) from None
