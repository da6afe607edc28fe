"""What follows the last trial: scores on test, references to beat, and all that is told of a search at its end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from search_spaces.space import Space
from trainable.config import TrialConfig
from tuner.evidence.gathering import Gatherer
from tuner.records import COMPUTED_REFERENCES, SearchRecord, TrialRecord
from tuner.replay import replay
from tuner.report.best import write_outputs
from tuner.store import Store, write_atomically

if TYPE_CHECKING:
    from tuner.ray_backend.tune_loop import Slots, Task
    from tuner.ray_backend.worker import Assignment


def score_at_the_end(
    store: Store,
    baseline: TrialConfig,
    assignment: Assignment,
    slots: Slots,
    interrupted: threading.Event,
    top_k: int,
) -> None:
    """Read test once for the best trials and the baseline, and score the references that need no search.

    An interruption leaves out what is still to come.
    """
    from tuner.ray_backend.tune_loop import results_of
    from tuner.ray_backend.worker import score_on_test, score_reference

    search = replay(store.events())
    config = baseline.model_dump(mode="json")
    tasks: dict[str, Task] = {name: (score_reference, (assignment, name, config)) for name in COMPUTED_REFERENCES}
    trials = {trial.id: trial for trial in to_score_on_test(search, top_k)} if "test" in _splits(search) else {}
    tasks |= {id: (score_on_test, (assignment, id, dict(trial.config))) for id, trial in trials.items()}
    for name, result in results_of(tasks, slots, interrupted):
        trial = name if name in trials else None
        if isinstance(result, str):
            store.append("note", trial, text=f"{'not scored on test' if trial else f'{name} was not scored'}: {result}")
        elif trial:
            store.append("test_scored", trial, test=result, reads=1)
        else:
            store.append("reference_scored", name=name, given=False, **result)


def write_report(store: Store, space: Space, top_k: int, gatherer: Gatherer) -> None:
    """Conclude, and write the tables, pictures and journal of a search that has ended, however it did."""
    from tuner.conclusions.conclude import conclusions_of
    from tuner.journal import refresh_journal
    from tuner.ray_backend.importance import importances_of
    from tuner.report.plots import draw_plots

    search = store.record()
    evidence = gatherer.evidence(search)
    conclusions = conclusions_of(search, evidence, importances_of(search, space))
    write_atomically(store.conclusions_md, conclusions)
    draw_plots(store, search, evidence)
    write_outputs(store, search, top_k, evidence, conclusions)  # after the plots, which it shows
    refresh_journal(store)


def to_score_on_test(search: SearchRecord, top_k: int) -> list[TrialRecord]:
    """The best `top_k` and the baseline, each of which test is read for once."""
    best = [trial for trial in search.ranked() if trial.eligible][:top_k]
    baseline = [search.baseline] if search.baseline and search.baseline.eligible else []
    unique = {trial.id: trial for trial in (*best, *baseline)}
    return [trial for trial in unique.values() if not trial.test_reads]


def _splits(search: SearchRecord) -> list[str]:
    sizes = search.data.get("sizes")
    return list(sizes) if isinstance(sizes, dict) else []
