"""Ray Tune runs what the phases hand out: two thin adaptors and the call that starts it all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import NoopStopper

from tuner.interruption import Interruption
from tuner.ray_backend.losses import DEATHS, Loss, OwnDeaths, loss_of
from tuner.ray_backend.phase import Phase, Phases
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.worker import TrialActor


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
        return proposal.plain | {
            "run": self._handed_out[proposal.trial],
            "resources": self._slots.take(proposal),
            "more_gpu": self._slots.has_more_for(proposal.trial),
        }

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The scheduler has told the phase already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log is the record, Tune's snapshot is not used."""


class _Reporter(FIFOScheduler):  # type: ignore[misc]  # Ray is untyped
    """Tune's scheduler: gives results to the phase that they are of and stops trials as it says."""

    def __init__(self, phases: Phases, slots: Slots, interrupted: Interruption) -> None:
        super().__init__()
        self._phases = phases
        self._slots = slots
        self._interrupted = interrupted
        self._deaths = OwnDeaths()

    def on_trial_result(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> str:  # noqa: ARG002
        if "short_of_memory" in result:
            self._phases.current.short_of_memory(trial.config["trial"], **json.loads(result["short_of_memory"]))
            return str(TrialScheduler.CONTINUE)
        stop = self._take(trial.config["trial"], result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> None:  # noqa: ARG002
        """A trial has stopped: at its own end, whose result comes here only, or because it was told to."""
        name = trial.config["trial"]
        if "crowded_out" in result:
            self._slots.leave_alone(name)
            self._phases.current.put_back(name, "out of memory on a share of a GPU")
            return
        if "hold" in result:
            self._interrupted.hold(json.loads(result["hold"]))
            self._phases.current.end(name, "paused")
            return
        if "unfit_node" in result:
            self._gone(name, Loss(json.loads(result["unfit_node"])["reason"], own=True))
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
        self._gone(trial.config["trial"], loss_of(_error_of(trial)))

    def on_trial_remove(self, controller: Any, trial: Any) -> None:  # noqa: ARG002
        self._phases.current.end(trial.config["trial"], "paused")

    def _gone(self, name: str, loss: Loss) -> None:
        """A trial is to go on in another process, unless it may have ended too many itself."""
        if loss.own and self._deaths.died(name):
            told = f"{loss.reason}, {DEATHS} times in a row without an epoch in between"
            self._phases.current.end(name, "lost", told)
        else:
            self._phases.current.put_back(name, loss.reason)

    def _take(self, name: str, result: Mapping[str, Any]) -> bool:
        if "report" not in result:
            return False
        report, proposal = json.loads(result["report"]), self._phases.current.running[name].proposal
        self._slots.learn(proposal, report)
        self._deaths.reported(name, report.get("epoch", 0))
        return self._phases.current.report(name, report)

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as for the searcher."""


def _error_of(trial: Any) -> Exception | None:
    """What Tune was told of a trial's actor; it keeps that in a file of its own until it copies it to the results."""
    file = trial.pickled_error_file
    return ray.cloudpickle.loads(Path(file).read_bytes()) if file else None


class _Silent(tune.ProgressReporter):  # type: ignore[misc]  # Ray is untyped
    def should_report(self, trials: Any, done: bool = False) -> bool:  # noqa: ARG002
        return False

    def report(self, trials: Any, done: bool, *sys_info: Any) -> None:
        pass


class _Interruption(tune.Stopper):  # type: ignore[misc]  # Ray is untyped
    def __init__(self, interrupted: Interruption) -> None:
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
    interrupted: Interruption,
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
            scheduler=_Reporter(following, slots, interrupted),
            num_samples=-1,
            stop=_Interruption(interrupted),
            reuse_actors=True,
            trial_name_creator=_id,
            trial_dirname_creator=_id,
            verbose=0,
            progress_reporter=_Silent(),
            raise_on_failed_trial=False,
            max_failures=0,  # a trial whose process is gone is put back, and may be given another place
            log_to_file=False,
        )
    finally:
        following.current.pause()
