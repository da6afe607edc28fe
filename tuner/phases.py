"""What a search hands to its workers, in order: its trials, an audit, reruns, and scores."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from search_spaces.space import Limits
from trainable.config import TrialConfig, parse_config
from tuner.children import plan_children
from tuner.closing import to_score_on_test
from tuner.evidence.halted import audited_trials, draw_halted
from tuner.proved import ProvedSearch
from tuner.ray_backend.driver import Driver, search_driver
from tuner.ray_backend.halving.protocol import NoHalving
from tuner.ray_backend.left import GOES_ON
from tuner.ray_backend.proposals import GoesOn, ListedTrials, Proposal
from tuner.ray_backend.scoring import Scoring
from tuner.records import COMPUTED_REFERENCES, SearchRecord, TrialRecord
from tuner.replay import replay
from tuner.reruns import plan_reruns, write_rerun_splits
from tuner.store import Store

if TYPE_CHECKING:
    from tuner.ray_backend.allowance import Allowance
    from tuner.ray_backend.phase import Phase
    from tuner.ray_backend.worker import Assignment


class SearchPhases:
    """The phases of a search, each planned from the log as it is once the one before it is through.

    When the allowance is used up, what is left to train is left out; scores are read in any case.
    """

    def __init__(
        self,
        store: Store,
        proved: ProvedSearch,
        assignment: Assignment,
        allowance: Allowance,
        is_aborted: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._proved = proved
        self._assignment = assignment
        self._allowance = allowance
        self._is_aborted = is_aborted
        self.cut_short = False
        """whether the allowance kept something from being trained"""

    def __iter__(self) -> Iterator[Phase]:
        for drivers in (self._trials(), self._audit(), self._children(), self._reruns()):
            for driver in drivers:
                yield driver
                self.cut_short = driver.cut_short
            if self.cut_short:
                break
        yield self._scores()

    def _trials(self) -> Iterator[Driver]:
        proved, past = self._proved, list(self._store.events())
        begun_with = {trial.facts.get("warm_start") for trial in replay(past).sampled}
        yield search_driver(
            self._store,
            proved.space,
            proved.objective,
            self._assignment,
            trials=proved.trials,
            seed=proved.config.seed,
            allowance=self._allowance,
            weights_sha256=proved.weights_sha256,
            split_sizes=proved.data.split_sizes,
            warm=[trial for trial in proved.warm.trials if trial.origin not in begun_with],
            breach=proved.feasible.breach,
            past=past,
            is_aborted=self._is_aborted,
        )
        begun = len(replay(self._store.events()).sampled)
        if begun < proved.trials and proved.space.limits != Limits() and not self._allowance.used_up:
            text = f"limits leave no more than {begun} of {proved.trials} trials: all others that were drawn break one"
            self._store.append("note", text=text)

    def _audit(self) -> Iterator[Driver]:
        """Halted trials that are trained to their end, as the options say."""
        config = self._proved.config
        if not config.audit:
            return
        search = replay(self._store.events())
        audited = audited_trials(search)
        drawn = draw_halted(search, config.audit - len(audited), config.seed)
        reasons: dict[str, dict[str, Any]] = {}
        reasons |= {trial.id: {"audit": trial.audited_at} for trial in audited if trial.unfinished}
        reasons |= {trial.id: {"audit": trial.halted_at, "reason": "drawn for the audit"} for trial in drawn}
        yield self._listed(
            [
                _going_on(trial, self._assignment, **reasons[trial.id])
                for trial in (*audited, *drawn)
                if trial.id in reasons
            ]
        )

    def _children(self) -> Iterator[Driver]:
        """Finished trials that are trained on, as extensions asked for."""
        search = replay(self._store.events())
        begun = {trial.id: trial for trial in search.trials if trial.parent}
        numbers = itertools.count(len(search.trials) + len(search.reruns))
        proposals = []
        for child in plan_children(search):
            if child.id in begun:
                proposals.append(replace(_going_on(begun[child.id], self._assignment), lineage=child.lineage))
                continue
            last = self._store.last_checkpoint(child.parent)
            if last not in self._store.home.paths(last.parent):
                text = f"the state in which {child.parent} ended is gone: it is trained again from the beginning"
                self._store.append("note", child.id, text=text)
            facts = {"number": next(numbers), "parent": child.parent}
            proposals.append(Proposal(child.id, child.config, self._assignment, facts, lineage=child.lineage))
        if proposals:
            yield self._listed(proposals)

    def _reruns(self) -> Iterator[Driver]:
        """The best configs again, as the options say."""
        proved, assignment = self._proved, self._assignment
        wanted, search = proved.config.reruns, replay(self._store.events())
        planned = plan_reruns(search, wanted, proved.config.top_k, assignment.data_seed)
        if not planned:
            return
        write_rerun_splits(self._store.folder, planned, proved.data.rows, proved.data.labels, wanted)
        self._store.home.push(self._store.folder / "splits")
        begun = {again.id: again for again in search.reruns}
        numbers = itertools.count(len(search.trials) + len(search.reruns))
        proposals = []
        for again in planned:
            of_split = replace(assignment, splits=again.splits, data_seed=again.rerun.data_seed)
            if again.id in begun:
                proposals.append(replace(_going_on(begun[again.id], of_split), lineage=again.lineage))
            else:
                facts = {"number": next(numbers), "rerun": asdict(again.rerun)}
                proposals.append(Proposal(again.id, again.config, of_split, facts, lineage=again.lineage))
        yield self._listed(proposals)

    def _scores(self) -> Scoring:
        """Test, once for the best trials and the baseline, the references, and the latency of what was trained."""
        proved, search = self._proved, replay(self._store.events())
        baseline = proved.space.baseline_config()
        known = {reference.name for reference in search.references if not reference.given}
        missing = [name for name in COMPUTED_REFERENCES if name not in known]
        proposals = [Proposal(name, baseline, self._assignment, work="reference") for name in missing]
        if "test" in proved.data.split_sizes:
            best = to_score_on_test(search, proved.config.top_k)
            proposals += [
                Proposal(trial.id, parse_config(trial.config), self._assignment, work="test") for trial in best
            ]
        # last: a worker that waits until nothing else runs is given up
        proposals += [
            Proposal(f"latency-{number}", config, self._assignment, work="latency")
            for number, config in enumerate(_models_to_measure(search))
        ]
        return Scoring(self._store, proposals)

    def _listed(self, proposals: Sequence[Proposal]) -> Driver:
        """Trials that are known beforehand, to their end."""
        return Driver(
            self._store,
            ListedTrials(proposals),
            NoHalving(),
            allowance=self._allowance,
            weights_sha256=self._proved.weights_sha256,
            is_aborted=self._is_aborted,
        )


def _going_on(trial: TrialRecord, assignment: Assignment, reason: str = GOES_ON, **facts: Any) -> Proposal:
    """A trial that has begun, as it was last trained: want of memory may have changed its config."""
    goes_on = GoesOn(trial.epochs_run, {"reason": reason, **facts})
    return Proposal(trial.id, parse_config(trial.config), assignment, goes_on=goes_on)


def _models_to_measure(search: SearchRecord) -> Iterable[TrialConfig]:
    """A config of each backbone and image size that finished trials have and whose latency is not known."""
    trials = [trial for trial in search.trials if trial.eligible and search.latency_ms(trial) is None]
    configs = [parse_config(trial.config) for trial in trials]
    return {(config.backbone, config.image_size): config for config in configs}.values()
