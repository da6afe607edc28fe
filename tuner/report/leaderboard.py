"""The leaderboard: pure functions of a search's record and evidence; the same ones give the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tuner.evidence.gathering import Evidence
from tuner.records import Reference, SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.audited import audit_section
from tuner.report.footnotes import above_best, footnotes, origin_of
from tuner.report.pareto import latencies_differ, pareto_front
from tuner.report.sections import more_data, repeated, verdict, worth
from tuner.tolerant import flat, mapping

Row = dict[str, Any]

_NAMED_FIELDS = ("backbone", "freeze", "head.kind", "schedule.kind", "loss.pos_weight", "optimizer.lr", "seed")
"""config fields that have a column of another name or place"""

CONFIG_COLUMNS = ("backbone", "freeze", "head", "schedule", "pos_weight", "lr")
READABLE_METRICS = (
    "loss",
    "accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "average_precision_macro",
    "roc_auc_macro",
)
"""those that tables for people show, beside the objective"""


Entry = TrialRecord | Reference
"""what has a row of its own"""


def rows(search: SearchRecord, evidence: Evidence | None = None, top: int | None = None) -> list[Row]:
    """One row a trial or reference with the columns of leaderboard.csv, best value first, then those without a value.

    Only eligible trials carry a rank: by value without evidence, else by what the evidence tells apart.
    """
    names = _Columns(
        others=sorted({name for trial in search.trials for name in flat(trial.config)}.difference(_NAMED_FIELDS)),
        val=_metrics(found.best_metrics if isinstance(found, TrialRecord) else found.val for found in _entries(search)),
        test=_metrics(found.test for found in _entries(search)),
        front=pareto_front(search),
    )
    return [
        _row(search, entry, evidence, names)
        if isinstance(entry, TrialRecord)
        else _reference_row(search, entry, evidence, names)
        for entry in _shown(search, top)
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
    parts.append("## How it was made")
    parts.append("\n".join(f"- {name}: {text}" for name, text in origin_of(search) if text))
    parts += ["## Plots"] * bool(plots)
    parts += [f"![{PurePosixPath(plot).stem.replace('_', ' ')}]({plot})" for plot in plots]
    return "\n\n".join(parts) + "\n"


def to_brief_markdown(search: SearchRecord, evidence: Evidence, top: int) -> str:
    """What a search prints at its end: the first rows, who is first, and whether it was worth it."""
    shown = _shown(search, top)
    notes = [*footnotes(search, evidence, _trials(shown), explained=False), *verdict(search, evidence)]
    return "\n\n".join([_title(search), _markdown_table(search, evidence, shown, {}), "\n".join(notes)]) + "\n"


def _table_and_footnotes(
    search: SearchRecord, evidence: Evidence | None, top: int | None, extra: Mapping[str, Mapping[str, str]]
) -> list[str]:
    shown = _shown(search, top)
    trials = _trials(shown)
    parts = [_title(search), _markdown_table(search, evidence, shown, extra)]
    if len(trials) < len(search.trials):
        parts.append(f"{len(trials)} of {len(search.trials)} trials are shown.")
    return [*parts, *footnotes(search, evidence, trials)]


def _title(search: SearchRecord) -> str:
    better = "higher" if search.direction == "maximize" else "lower"
    return f"# {table.escape(search.name)}: {table.escape(search.metric)} ({better} is better)"


def _trials(entries: Iterable[Entry]) -> list[TrialRecord]:
    return [entry for entry in entries if isinstance(entry, TrialRecord)]


def _shown(search: SearchRecord, top: int | None) -> list[Entry]:
    """The first `top` trials of the table, and the baseline and the references in any case."""
    first = [entry.id for entry in _entries(search) if isinstance(entry, TrialRecord)][:top]
    return [entry for entry in _entries(search) if isinstance(entry, Reference) or entry.baseline or entry.id in first]


def _entries(search: SearchRecord) -> list[Entry]:
    """All rows: by value, a trial before a reference of the same value; then those without one."""
    sign = -1.0 if search.direction == "maximize" else 1.0
    entries: list[Entry] = [*search.ranked(), *search.references]
    entries += [trial for trial in search.trials if trial.best_value is None]

    def place(entry: Entry) -> tuple[bool, float]:
        value = value_of(search, entry)
        return value is None, sign * (value or 0.0)

    return sorted(entries, key=place)


def value_of(search: SearchRecord, entry: Entry) -> float | None:
    """The objective of a row."""
    return entry.best_value if isinstance(entry, TrialRecord) else entry.val.get(search.metric)


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


def _row(search: SearchRecord, trial: TrialRecord, evidence: Evidence | None, names: _Columns) -> Row:
    config = flat(trial.config)
    ranks = evidence.ranks if evidence else search.ranks()
    compared = evidence is not None and trial.id in ranks and trial.id not in evidence.by_value
    seed = config.get("seed")
    return {
        "rank": ranks.get(trial.id),
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
        **_scores(search, trial, evidence),
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
        "link": None,
        "latency_ms": search.latency_ms(trial),
        "pareto": trial.id in names.front or None,
    }


def _reference_row(search: SearchRecord, reference: Reference, evidence: Evidence | None, names: _Columns) -> Row:
    blank: Row = dict.fromkeys(_row(search, TrialRecord("", 0), None, names))
    return blank | {
        "trial": reference.name,
        "status": "reference",
        **_scores(search, reference, evidence),
        **{f"val_{name}": reference.val.get(name) for name in names.val},
        **{f"test_{name}": reference.test.get(name) for name in names.test},
        "seconds": reference.seconds,
        "data_hash": None if reference.given else search.data.get("hash"),
    }


def _scores(search: SearchRecord, entry: Entry, evidence: Evidence | None) -> Row:
    """The objective, its change from the baseline and its interval."""
    value, baseline = value_of(search, entry), search.baseline.best_value if search.baseline else None
    given = isinstance(entry, Reference) and entry.given  # perhaps named like a trial, whose interval is not its own
    interval = evidence.intervals.get(name_of(entry)) if evidence and not given else None
    return {
        "objective": value,
        "delta_baseline": None if value is None or baseline is None else value - baseline,
        "ci_low": interval.low if interval else None,
        "ci_high": interval.high if interval else None,
    }


def name_of(entry: Entry) -> str:
    """What the `trial` column says."""
    return entry.id if isinstance(entry, TrialRecord) else entry.name


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):  # a lone carriage return would end the row: csv leaves it unquoted
        return value.replace("\r\n", "\n").replace("\r", "\n")
    return json.dumps(value, ensure_ascii=False)


def _markdown_table(
    search: SearchRecord, evidence: Evidence | None, shown: list[Entry], extra: Mapping[str, Mapping[str, str]]
) -> str:
    readable = [name for name in _readable_metrics(search) if any(name in _val(entry) for entry in shown)]
    tested = any(search.metric in entry.test for entry in _entries(search))
    repeats = evidence.spreads if evidence else {}
    interval = " [95 %]" if evidence and evidence.intervals else ""
    searched = searched_fields(search)
    timed = latencies_differ(search)
    front = pareto_front(search)
    headers = ["rank", *["pareto"] * timed, "trial", *CONFIG_COLUMNS, *searched, "epochs (best/run)"]
    headers += [f"{search.metric}{interval} (vs baseline)", *["repeats"] * bool(repeats), *readable]
    headers += [f"test {search.metric}"] * tested + ["latency ms"] * timed + ["seconds", "status", *extra]
    above = {trial.id for trial in above_best(search)}
    cells = []
    for entry in shown:
        row = [*["✓" if name_of(entry) in front else ""] * timed, name_of(entry)]
        if isinstance(entry, TrialRecord):
            row = [place_of(search, entry, evidence, above), *row, *config_cells(entry), *field_cells(entry, searched)]
            row.append(f"{f'{entry.best_epoch:g}' if entry.best_epoch else '-'}/{entry.epochs_run:g}")
        else:
            row = ["", *row, *[""] * (len(CONFIG_COLUMNS) + len(searched) + 1)]
        row.append(objective_cell(search, entry, evidence))
        row += [table.spread(**vars(repeats[name_of(entry)])) if name_of(entry) in repeats else ""] * bool(repeats)
        row += [table.metric(_val(entry).get(name)) for name in readable]
        row += [table.metric(entry.test.get(search.metric))] * tested
        row += [_latency_cell(search, entry)] * timed
        row += ["" if entry.seconds is None else f"{entry.seconds:.0f}"]
        row += [_status_cell(entry)]
        cells.append([*row, *(texts.get(name_of(entry), "") for texts in extra.values())])
    return table.table(headers, cells)


def _latency_cell(search: SearchRecord, entry: Entry) -> str:
    latency = search.latency_ms(entry) if isinstance(entry, TrialRecord) else None
    return "" if latency is None else f"{latency:.3g}"


def place_of(search: SearchRecord, trial: TrialRecord, evidence: Evidence | None, above: Collection[str] = ()) -> str:
    """`1=`: the rank, and whether it is shared with the best; `†` above the best finished one."""
    rank = (evidence.ranks if evidence else search.ranks()).get(trial.id)
    place = "†" if trial.id in above else "" if rank is None else str(rank)
    return place + "=" * (evidence is not None and trial.id in evidence.tied)


def _status_cell(entry: Entry) -> str:
    if isinstance(entry, Reference):
        return "reference"
    return entry.status + "‡" * (entry.audited_at is not None)


def _val(entry: Entry) -> Mapping[str, float]:
    return entry.best_metrics if isinstance(entry, TrialRecord) else entry.val


def _readable_metrics(search: SearchRecord) -> list[str]:
    thresholds = (f"{search.metric}@0.5", f"{search.metric}@fitted")
    return [name for name in (*thresholds, *READABLE_METRICS) if name != search.metric]


def searched_fields(search: SearchRecord) -> list[str]:
    """The searched fields that differ among trials and that CONFIG_COLUMNS do not tell."""
    told = ("backbone", "freeze", "head", "schedule", "loss.pos_weight", "optimizer.lr")
    paths = [path for path in search.axes if path not in told and path.partition(".")[0] not in told]
    configs = [flat(trial.config) for trial in search.trials]
    return [path for path in paths if len({json.dumps(config.get(path)) for config in configs}) > 1]


def field_cells(trial: TrialRecord, paths: Iterable[str]) -> list[str]:
    """Fields of a trial's config in short texts."""
    config = flat(trial.config)
    return [table.short(config.get(path)) for path in paths]


def config_cells(trial: TrialRecord) -> list[str]:
    """A trial's config in short texts, one for each of CONFIG_COLUMNS."""
    config = trial.config
    return [
        table.short(config.get("backbone")),
        table.freeze(config.get("freeze"), trial.freeze_blocks, trial.total_blocks),
        table.head(config.get("head")),
        table.schedule(config.get("schedule")),
        table.short(mapping(config.get("loss")).get("pos_weight")),
        table.short(mapping(config.get("optimizer")).get("lr")),
    ]


def objective_cell(search: SearchRecord, entry: Entry, evidence: Evidence | None) -> str:
    """`0.763 [0.71, 0.81] (+0.021)`."""
    scores = _scores(search, entry, evidence)
    cell = table.metric(scores["objective"])
    if scores["ci_low"] is not None:
        cell += f" {table.interval(scores['ci_low'], scores['ci_high'])}"
    if isinstance(entry, TrialRecord) and entry.baseline:
        return f"{cell} (baseline)".strip()
    change = scores["delta_baseline"]
    return cell if change is None else f"{cell} ({table.change(change)})"
