"""Ray Tune runs what the phases hand out: two thin adaptors and the call that starts it all."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import NoopStopper

from tuner.ray_backend.phase import Phase, Phases
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.worker import TrialActor

RETRIES = 1
"""How often a trial whose process died is taken up again, from its last epoch, before it is lost."""


class _Asker(Searcher):  # type: ignore[misc]  # Ray is untyped
    """Tune's searcher: hands out what comes next when there is room for it."""

    def __init__(self, phases: Phases, slots: Slots) -> None:
        super().__init__()
        self._phases = phases
        self._slots = slots
        self._handed_out: Counter[str] = Counter()

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002  (Tune's own id)
        if not self._slots.room(self._phases.current.running):
            return None
        proposal = self._phases.ask()
        if proposal is None:  # what runs may yet promote a trial that is paused, and the next phase waits for it
            return None if self._phases.current.running else Searcher.FINISHED
        self._handed_out[proposal.trial] += 1
        return {
            "trial": proposal.trial,
            "work": proposal.work,
            "run": self._handed_out[proposal.trial],
            "config": proposal.config.model_dump(mode="json"),
            "assignment": asdict(proposal.assignment),
            "resources": self._slots.take(proposal),
            "more_gpu": self._slots.has_more_for(proposal.trial),
        }

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The scheduler has told the phase already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log is the record, Tune's snapshot is not used."""


class _Reporter(FIFOScheduler):  # type: ignore[misc]  # Ray is untyped
    """Tune's scheduler: gives results to the phase that they are of and stops trials as it says."""

    def __init__(self, phases: Phases, slots: Slots) -> None:
        super().__init__()
        self._phases = phases
        self._slots = slots

    def on_trial_result(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> str:  # noqa: ARG002
        if "short_of_memory" in result:
            self._need_less(trial, **json.loads(result["short_of_memory"]))
            return str(TrialScheduler.CONTINUE)
        stop = self._take(trial.config["trial"], result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> None:  # noqa: ARG002
        """A trial has stopped: at its own end, whose result comes here only, or because it was told to."""
        name = trial.config["trial"]
        if "crowded_out" in result:
            self._slots.leave_alone(name)
            self._phases.current.crowded_out(name)
            return
        if "ended" in result:
            ending = json.loads(result["ended"])
            self._phases.current.end(name, ending.pop("status"), ending.pop("error"), **ending)
            return
        self._take(name, result)
        status = json.loads(result["report"])["status"] if "report" in result else "running"
        self._phases.current.end(name, status if status != "running" else self._phases.current.stopped_early(name))

    def on_trial_error(self, controller: Any, trial: Any) -> None:  # noqa: ARG002
        """The actor died: its process was killed, its node is gone, or it could not be started."""
        if trial.status == trial.ERROR:  # Tune says so of a trial that it will start again
            self._phases.current.retry(trial.config["trial"])
            return
        self._phases.current.end(trial.config["trial"], "lost", _cause_of_death(trial.get_pickled_error()))

    def on_trial_remove(self, controller: Any, trial: Any) -> None:  # noqa: ARG002
        self._phases.current.end(trial.config["trial"], "paused")

    def _take(self, name: str, result: Mapping[str, Any]) -> bool:
        if "report" not in result:
            return False
        report, proposal = json.loads(result["report"]), self._phases.current.running[name].proposal
        self._slots.learn(proposal, report)
        return self._phases.current.report(name, report)

    def _need_less(self, trial: Any, micro_batch: int | None, **facts: Any) -> None:
        """A trial ran out of memory and goes on; a process that takes it up again must do so as this one does."""
        self._phases.current.short_of_memory(trial.config["trial"], micro_batch, **facts)
        if micro_batch is not None:
            smaller = {**trial.config["config"], "micro_batch": micro_batch}
            trial.set_config({**trial.config, "config": smaller})

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as for the searcher."""


def _cause_of_death(error: Exception | None) -> str:
    """A line; Ray tells of an actor that could not be started by the last line of a long text."""
    told = [line.strip() for line in str(error or "").splitlines()]
    if "creation task" in told[0] if told else False:
        return f"the worker process could not start: {told[-1]}"
    return "the worker process died"


class _Silent(tune.ProgressReporter):  # type: ignore[misc]  # Ray is untyped
    def should_report(self, trials: Any, done: bool = False) -> bool:  # noqa: ARG002
        return False

    def report(self, trials: Any, done: bool, *sys_info: Any) -> None:
        pass


class _Interruption(tune.Stopper):  # type: ignore[misc]  # Ray is untyped
    def __init__(self, interrupted: threading.Event) -> None:
        self._interrupted = interrupted

    def __call__(self, trial_id: str, result: Any) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self._interrupted.is_set()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Tune's snapshots hold a stopper that never stops: nothing is ever restored from them."""
        return NoopStopper, ()


def _id(trial: Any) -> str:
    """Our own short id, with a number if the trial goes on: Tune would name folders by all parameters, beyond what
    file systems take."""
    name, run = trial.config["trial"], trial.config["run"]
    return f"{name}-{run}" if run > 1 else str(name)


def run_phases(
    phases: Iterable[Phase],
    slots: Slots,
    folder: Path,
    interrupted: threading.Event,
    actor: type[TrialActor] = TrialActor,
) -> None:
    """Do what the phases, one at least, hand out; after an interruption what still runs is paused.

    The same workers serve all phases: to start one takes longer than to train a small trial.

    Args:
        phases: asked for as the ones before them are through
        slots: how many trials at once
        folder: Ray's own files go here; one that is not there yet
        interrupted: set it to stop
        actor: what does the work
    """
    following = Phases(iter(phases))
    try:
        tune.run(
            actor,
            name=folder.name,
            storage_path=str(folder.parent.absolute()),
            search_alg=_Asker(following, slots),
            scheduler=_Reporter(following, slots),
            num_samples=-1,
            stop=_Interruption(interrupted),
            reuse_actors=True,
            trial_name_creator=_id,
            trial_dirname_creator=_id,
            verbose=0,
            progress_reporter=_Silent(),
            raise_on_failed_trial=False,
            max_failures=RETRIES,
            log_to_file=False,
        )
    finally:
        following.current.pause()
