"""Ray Tune runs what the phases hand out: two thin adaptors and the call that starts it all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakSet

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import NoopStopper

from tuner.interruption import Interruption
from tuner.ray_backend.leaving import ending_workers
from tuner.ray_backend.losses import DEATHS, Loss, OwnDeaths, loss_of
from tuner.ray_backend.phase import Phase, Phases
from tuner.ray_backend.placement import Placement, node_of
from tuner.ray_backend.slots import Slots
from tuner.ray_backend.waiting import Waiting
from tuner.ray_backend.worker import TrialActor

MAKES_ROOM = "made room for other searches"


class _Asker(Searcher):  # type: ignore[misc]  # Ray is untyped
    """Tune's searcher: hands out what comes next when there is room for it."""

    def __init__(self, phases: Phases, slots: Slots, placement: Placement) -> None:
        super().__init__()
        self._phases = phases
        self._slots = slots
        self._placement = placement
        self._handed_out: Counter[str] = Counter()

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002  (Tune's own id)
        if not self._slots.room(self._phases.current.running, self._placement.aside):
            return None
        proposal = self._phases.ask()
        if proposal is None:  # what runs may yet promote a trial that is paused, and the next phase waits for it
            return None if self._phases.current.running else Searcher.FINISHED
        self._handed_out[proposal.trial] += 1
        return proposal.plain | {
            "run": self._handed_out[proposal.trial],
            "resources": self._slots.take(proposal, self._placement.avoided_by(proposal.trial)),
            "more_gpu_gib": self._slots.more_gpu_gib(proposal.trial),
        }

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The scheduler has told the phase already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log is the record, Tune's snapshot is not used."""


class _Reporter(FIFOScheduler):  # type: ignore[misc]  # Ray is untyped
    """Tune's scheduler: gives results to the phase that they are of and stops trials as it says."""

    def __init__(self, phases: Phases, slots: Slots, placement: Placement, interrupted: Interruption) -> None:
        super().__init__()
        self._phases = phases
        self._slots = slots
        self._placement = placement
        self._interrupted = interrupted
        self._deaths = OwnDeaths()
        self._giving_way: set[str] = set()
        """Tune's own ids of trials that are stopped to go on later"""

    def choose_trial_to_run(self, controller: Any) -> Any:
        """As any; a worker that waits for a next trial, which may not come yet, keeps no CPU and no GPU."""
        chosen = super().choose_trial_to_run(controller)
        if chosen is None and self._slots.too_many(len(self._phases.current.running) + 1):
            controller._tune_controller._cleanup_cached_actors(force_all=True)
        return chosen

    def on_trial_result(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> str:  # noqa: ARG002
        if "short_of_memory" in result:
            self._phases.current.short_of_memory(trial.config["trial"], **json.loads(result["short_of_memory"]))
            return str(TrialScheduler.CONTINUE)
        stop = self._take(trial, result)
        if not stop and self._slots.too_many(len(self._phases.current.running) - len(self._giving_way)):
            self._giving_way.add(trial.trial_id)
            stop = True
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(self, controller: Any, trial: Any, result: Mapping[str, Any]) -> None:  # noqa: ARG002
        """A trial has stopped: at its own end, whose result comes here only, or because it was told to."""
        name, node = trial.config["trial"], node_of(_actor_of(trial))
        if trial.trial_id in self._giving_way:
            self._giving_way.remove(trial.trial_id)
            self._phases.current.put_back(name, MAKES_ROOM)
            return
        if "crowded_out" in result:
            had = self._slots.did_not_fit(name, node, result["crowded_out"])
            self._phases.current.put_back(name, f"out of memory on {had}")
            return
        if "hold" in result:
            self._interrupted.hold(json.loads(result["hold"]))
            self._phases.current.end(name, "paused")
            return
        if "unfit_node" in result:
            unfit = json.loads(result["unfit_node"])
            self._placement.set_aside(unfit["node"], unfit["reason"])
            self._phases.current.put_back(name, f"its node is set aside: {unfit['reason']}")
            return
        if "ended" in result:
            ending = json.loads(result["ended"])
            status, error = ending.pop("status"), ending.pop("error")
            if status == "failed":
                if self._placement.failed(node, name, error):
                    self._phases.current.put_back(name, f"failed on one node, is tried on another: {error}")
                else:
                    self._phases.current.end(name, status, error, **ending)
                return
            self._phases.current.end(name, status, error, **ending)
        else:
            self._take(trial, result)
            status = json.loads(result["report"])["status"] if "report" in result else "running"
            self._phases.current.end(name, status if status != "running" else self._phases.current.stopped_early(name))
        self._placement.succeeded(node)

    def on_trial_error(self, controller: Any, trial: Any) -> None:  # noqa: ARG002
        """The actor died: its process was killed, its node is gone, or it could not be started."""
        error = _error_of(trial)
        self._giving_way.discard(trial.trial_id)
        self._gone(trial.config["trial"], loss_of(error), node_of(getattr(error, "actor_id", None)))

    def on_trial_remove(self, controller: Any, trial: Any) -> None:  # noqa: ARG002
        self._giving_way.discard(trial.trial_id)
        self._phases.current.end(trial.config["trial"], "paused")

    def _gone(self, name: str, loss: Loss, node: str | None) -> None:
        """A trial is to go on in another process, unless it may have ended too many itself."""
        if loss.own:
            self._placement.failed(node, name, loss.reason)
        if loss.own and self._deaths.died(name):
            told = f"{loss.reason}, {DEATHS} times in a row without an epoch in between"
            self._phases.current.end(name, "lost", told)
        else:
            self._phases.current.put_back(name, loss.reason)

    def _take(self, trial: Any, result: Mapping[str, Any]) -> bool:
        if "report" not in result:
            return False
        name, report = trial.config["trial"], json.loads(result["report"])
        node = node_of(_actor_of(trial)) if report.get("gpu_memory_gib") else None
        self._slots.learn(self._phases.current.running[name].proposal, report, node)
        self._deaths.reported(name, report.get("epoch", 0))
        return self._phases.current.report(name, report)

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as for the searcher."""


def _actor_of(trial: Any) -> str | None:
    """The id of the actor that runs a trial."""
    actor = trial.temporary_state.ray_actor
    return actor._actor_id.hex() if actor else None


def _error_of(trial: Any) -> Exception | None:
    """What Tune was told of a trial's actor; it keeps that in a file of its own until it copies it to the results."""
    file = trial.pickled_error_file
    return ray.cloudpickle.loads(Path(file).read_bytes()) if file else None


class _AtWork(tune.Callback):  # type: ignore[misc]  # Ray is untyped
    """Tune's callback: notes which trials have a worker, and looks whether any has."""

    def __init__(self, phases: Phases, waiting: Waiting) -> None:
        super().__init__()
        self._phases = phases
        self._waiting = waiting
        self._at_work: set[str] = set()
        """Tune's own ids"""
        self.actors = WeakSet[Any]()
        """Ray's handles of workers, as long as Tune has them: one that is held keeps its worker"""

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:  # noqa: ARG002
        self._waiting.look(len(self._phases.current.running), len(self._at_work))

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._at_work.add(trial.trial_id)
        self.actors.add(trial.temporary_state.ray_actor)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._at_work.discard(trial.trial_id)

    on_trial_error = on_trial_complete


class _Silent(tune.ProgressReporter):  # type: ignore[misc]  # Ray is untyped
    def should_report(self, trials: Any, done: bool = False) -> bool:  # noqa: ARG002
        return False

    def report(self, trials: Any, done: bool, *sys_info: Any) -> None:
        pass


class _StopWhenInterrupted(tune.Stopper):  # type: ignore[misc]  # Ray is untyped
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
    note: Callable[[str], object] = lambda _: None,
) -> None:
    """Do what the phases, one at least, hand out; after an interruption what still runs is paused.

    The same workers serve all phases: to start one takes longer than to train a small trial.

    Args:
        phases: asked for as the ones before them are through
        slots: how many trials at once
        folder: Ray's own files go here; one that is not there yet
        interrupted: set it to stop; it is, when nothing is left to run on
        actor: what does the work
        note: leaves a remark in the log
    """
    following, placement = Phases(iter(phases)), Placement(slots, note, interrupted)
    at_work = _AtWork(following, Waiting(slots.describe, note, interrupted))
    try:
        with ending_workers(interrupted, at_work.actors):
            tune.run(
                actor,
                name=folder.name,
                storage_path=str(folder.parent.absolute()),
                search_alg=_Asker(following, slots, placement),
                scheduler=_Reporter(following, slots, placement, interrupted),
                num_samples=-1,
                stop=_StopWhenInterrupted(interrupted),
                reuse_actors=True,
                trial_name_creator=_id,
                trial_dirname_creator=_id,
                verbose=0,
                progress_reporter=_Silent(),
                raise_on_failed_trial=False,
                max_failures=0,  # a trial whose process is gone is put back, and may be given another place
                log_to_file=False,
                callbacks=[at_work],
            )
    finally:
        following.current.pause()
