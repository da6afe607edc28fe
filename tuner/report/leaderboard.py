"""The leaderboard: pure functions of a search's record and evidence; the same ones give the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from tuner.evidence.gathering import Evidence
from tuner.links import NO_LINKS
from tuner.records import Reference, SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.audited import audit_section
from tuner.report.entries import Entry, entries_of, name_of, scores_of, shown_entries, trials_of, val_of
from tuner.report.footnotes import footnotes
from tuner.report.origin import origin_of
from tuner.report.pareto import pareto_front
from tuner.report.readable import columns_of
from tuner.report.sections import more_data, repeated, verdict, worth
from tuner.tolerant import flat

Row = dict[str, Any]

_NAMED_FIELDS = ("backbone", "freeze", "head.kind", "schedule.kind", "loss.pos_weight", "optimizer.lr", "seed")
"""config fields that have a column of another name or place"""


def rows(search: SearchRecord, evidence: Evidence | None = None, top: int | None = None) -> list[Row]:
    """One row a trial or reference with the columns of leaderboard.csv, best value first, then those without a value.

    Only eligible trials carry a rank: by value without evidence, else by what the evidence tells apart.
    """
    names = _Columns(
        others=sorted({name for trial in search.trials for name in flat(trial.config)}.difference(_NAMED_FIELDS)),
        val=_metrics(val_of(entry) for entry in entries_of(search)),
        test=_metrics(entry.test for entry in entries_of(search)),
        front=pareto_front(search),
        ranks=evidence.ranks if evidence else search.ranks(),
    )
    return [
        _row(search, entry, evidence, names)
        if isinstance(entry, TrialRecord)
        else _reference_row(search, entry, evidence, names)
        for entry in shown_entries(search, top)
    ]


def to_csv(search: SearchRecord, evidence: Evidence | None = None, top: int | None = None) -> str:
    """leaderboard.csv: floats exact, missing values empty, lists as JSON."""
    found = rows(search, evidence, top)
    names = list(found[0]) if found else list(_row(search, TrialRecord("", 0), None, _Columns([], [], [])))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(value) for value in row.values()] for row in found)
    return text.getvalue()


def to_json(search: SearchRecord, evidence: Evidence | None = None, top: int | None = None) -> str:
    """The rows with the search's name, objective and status, as strict JSON."""
    objective = {"metric": search.metric, "direction": search.direction}
    found = rows(search, evidence, top)
    record = {"name": search.name, "status": search.status, "objective": objective, "rows": found}
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def to_markdown(
    search: SearchRecord,
    evidence: Evidence | None = None,
    top: int | None = None,
    extra: Mapping[str, Mapping[str, str]] | None = None,
    conclusions: str = "",
    plots: Sequence[str] = (),
) -> str:
    """leaderboard.md: the table, its footnotes, what reruns and references say, and how it was made.

    Args:
        search: what to show
        evidence: gives intervals, ties and ranks; None: ranks by value
        top: the first trials that are shown, and the baseline's row and the references in any case; None: all
        extra: further columns, title -> trial id -> text
        conclusions: Markdown, put before how it was made
        plots: pictures to show at the end, as paths from where the Markdown will be
    """
    parts = _table_and_footnotes(search, evidence, top, extra or {})
    parts += [*worth(search, evidence), *repeated(search), *more_data(search, evidence), *audit_section(search)]
    parts += [conclusions.strip()] * bool(conclusions.strip())
    parts.append(f"## {search.say('How it was made')}")
    parts.append("\n".join(f"- {name}: {text}" for name, text in origin_of(search) if text))
    parts += [f"## {search.say('Plots')}"] * bool(plots)
    parts += [f"![{PurePosixPath(plot).stem.replace('_', ' ')}]({plot})" for plot in plots]
    return "\n\n".join(parts) + "\n"


def to_brief_markdown(search: SearchRecord, evidence: Evidence, top: int) -> str:
    """What a search prints at its end: the first rows, who is first, and whether it was worth it."""
    search = replace(search, links=NO_LINKS)  # which make rows too long to read
    shown = shown_entries(search, top)
    notes = [*footnotes(search, evidence, trials_of(shown), explained=False), *verdict(search, evidence)]
    return "\n\n".join([_title(search), _markdown_table(search, evidence, shown, {}), "\n".join(notes)]) + "\n"


def _table_and_footnotes(
    search: SearchRecord, evidence: Evidence | None, top: int | None, extra: Mapping[str, Mapping[str, str]]
) -> list[str]:
    shown = shown_entries(search, top)
    trials = trials_of(shown)
    parts = [_title(search), _markdown_table(search, evidence, shown, extra)]
    if len(trials) < len(search.trials):
        parts.append(search.say("{shown} of {all} trials are shown.", shown=len(trials), all=len(search.trials)))
    return [*parts, *footnotes(search, evidence, trials)]


def _markdown_table(
    search: SearchRecord, evidence: Evidence | None, shown: list[Entry], extra: Mapping[str, Mapping[str, str]]
) -> str:
    columns = columns_of(search, evidence, shown)
    titles = [*(column.title for column in columns), *extra]
    further = [tuple(texts.get(name_of(entry), "") for entry in shown) for texts in extra.values()]
    told = (_linked(search, shown) if column.key == "trial" else column.cells for column in columns)
    return table.table(titles, [list(row) for row in zip(*told, *further, strict=True)])


def _linked(search: SearchRecord, shown: list[Entry]) -> list[table.Linked]:
    """Names of trials, that lead to where trackers show them."""
    links = search.links.trials
    urls = (links.get(entry.id, "") if isinstance(entry, TrialRecord) else "" for entry in shown)
    return [table.Linked(name_of(entry), url) for entry, url in zip(shown, urls, strict=True)]


def _title(search: SearchRecord) -> str:
    better = search.say("higher is better") if search.direction == "maximize" else search.say("lower is better")
    return f"# {table.escape(search.name)}: {table.escape(search.metric)} ({better})"


def _metrics(found: Iterable[Mapping[str, float]]) -> list[str]:
    return sorted({name for metrics in found for name in metrics})


@dataclass(frozen=True)
class _Columns:
    """Those that depend on the search."""

    others: list[str]
    """config fields without a column of another name"""
    val: list[str]
    test: list[str]
    front: frozenset[str] = frozenset()
    """trials that no other one beats in score and latency"""
    ranks: Mapping[str, int] = field(default_factory=dict)


def _row(search: SearchRecord, trial: TrialRecord, evidence: Evidence | None, names: _Columns) -> Row:
    config = flat(trial.config)
    compared = evidence is not None and trial.id in names.ranks and trial.id not in evidence.by_value
    seed = config.get("seed")
    return {
        "rank": names.ranks.get(trial.id),
        "trial": trial.id,
        "status": trial.status,
        "tied": trial.id in evidence.tied if evidence and compared else None,
        "backbone": config.get("backbone"),
        "freeze": config.get("freeze"),
        "freeze_blocks": trial.freeze_blocks,
        "head": config.get("head.kind"),
        "schedule": config.get("schedule.kind"),
        "pos_weight": config.get("loss.pos_weight"),
        "lr": config.get("optimizer.lr"),
        **{name: config.get(name) for name in names.others},
        "best_epoch": trial.best_epoch,
        "epochs_run": trial.epochs_run,
        **scores_of(search, trial, evidence),
        **{f"val_{name}": trial.best_metrics.get(name) for name in names.val},
        **{f"test_{name}": trial.test.get(name) for name in names.test},
        "trained_parameters": trial.trained_parameters,
        "total_parameters": trial.total_parameters,
        "seconds": trial.seconds,
        "images_per_second": trial.images_per_second,
        "peak_memory_gib": trial.peak_memory_gib,
        "seed": search.seed if seed is None else seed,
        "data_hash": trial.facts.get("data_hash") or search.data.get("hash"),
        "parent": trial.parent,
        "error": trial.error,
        "link": search.links.trials.get(trial.id),
        "latency_ms": search.latency_ms(trial),
        "pareto": trial.id in names.front or None,
    }


def _reference_row(search: SearchRecord, reference: Reference, evidence: Evidence | None, names: _Columns) -> Row:
    blank: Row = dict.fromkeys(_row(search, TrialRecord("", 0), None, names))
    return blank | {
        "trial": reference.name,
        "status": "reference",
        **scores_of(search, reference, evidence),
        **{f"val_{name}": reference.val.get(name) for name in names.val},
        **{f"test_{name}": reference.test.get(name) for name in names.test},
        "seconds": reference.seconds,
        "data_hash": None if reference.given else search.data.get("hash"),
    }


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):  # a lone carriage return would end the row: csv leaves it unquoted
        return value.replace("\r\n", "\n").replace("\r", "\n")
    return json.dumps(value, ensure_ascii=False)
