"""What follows the last trial: who is scored on test, and all that is told of a search at its end."""

from __future__ import annotations

import logging

from search_spaces.space import Space
from trainable.errors import UserError
from tuner.evidence.gathering import Gatherer
from tuner.records import SearchRecord, TrialRecord
from tuner.report.best import write_outputs
from tuner.report.page.writing import write_page
from tuner.store import Store, write_atomically

_log = logging.getLogger(__name__)


def write_report(store: Store, space: Space, top_k: int, gatherer: Gatherer) -> None:
    """Conclude, and write the tables, pictures and journal of a search that has ended, however it did."""
    from tuner.conclusions.conclude import conclusions_of
    from tuner.journal import refresh_journal
    from tuner.ray_backend.importance import importances_of
    from tuner.report.plots import draw_plots

    search = store.record()
    evidence = gatherer.evidence(search)
    conclusions = conclusions_of(search, evidence, importances_of(search, space))
    _suspect_labels(store, search)
    draw_plots(store, search, evidence)
    write_outputs(store, search, top_k, evidence, conclusions)  # after the plots, which it shows
    write_page(store, search, evidence, conclusions)
    write_atomically(store.conclusions_md, conclusions)  # a search that has them has all of this
    refresh_journal(store)


def _suspect_labels(store: Store, search: SearchRecord) -> None:
    """Have the page tell of labels that trials doubt, where cleanlab is installed; no search fails by it."""
    from tuner.evidence.suspected import keep_suspicions, suspect_labels

    try:
        found = suspect_labels(store, search)
    except UserError:  # cleanlab is not installed, or no trial has finished
        return
    except Exception:
        _log.exception("the labels of %s were not looked at", store.name)
        return
    keep_suspicions(store, found)


def refresh_tables(store: Store, top_k: int, gatherer: Gatherer) -> None:
    """Write the tables of a search that has ended again, after something else than its log has changed."""
    search = store.record()
    store.fetch(store.plots)
    write_outputs(store, search, top_k, gatherer.evidence(search), store.conclusions())


def to_score_on_test(search: SearchRecord, top_k: int) -> list[TrialRecord]:
    """The best `top_k` and the baseline, each of which test is read for once."""
    best = [trial for trial in search.ranked() if trial.eligible][:top_k]
    baseline = [search.baseline] if search.baseline and search.baseline.eligible else []
    unique = {trial.id: trial for trial in (*best, *baseline)}
    return [trial for trial in unique.values() if not trial.test_reads]
