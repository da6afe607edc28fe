"""The leaderboard's columns for people: short texts, the same in Markdown and on the page."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuner.evidence.gathering import Evidence
from tuner.records import Reference, SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.entries import Entry, entries_of, name_of, scores_of, val_of
from tuner.report.footnotes import above_best
from tuner.report.pareto import latencies_differ, pareto_front
from tuner.tolerant import flat, mapping

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


@dataclass(frozen=True)
class Column:
    """A column's title and its cells, one for each row."""

    title: str
    cells: tuple[str, ...]
    key: str = ""
    """the column of leaderboard.csv by whose values it is sorted; empty: by its own texts"""


def columns_of(search: SearchRecord, evidence: Evidence | None, shown: Sequence[Entry]) -> list[Column]:
    """The columns that say something of this search, from its rank to its status."""
    timed = latencies_differ(search)
    front = pareto_front(search)
    above = {trial.id for trial in above_best(search)}
    ranks = evidence.ranks if evidence else search.ranks()
    tied = evidence.tied if evidence else ()
    columns = [Column("rank", tuple(place_of(entry, ranks, tied, above) for entry in shown), "rank")]
    if timed:
        columns.append(Column("pareto", tuple("✓" if name_of(entry) in front else "" for entry in shown), "pareto"))
    columns.append(Column("trial", tuple(map(name_of, shown)), "trial"))
    columns += _settings(search, shown)
    columns += _scores(search, evidence, shown)
    if timed:
        columns.append(
            Column(search.say("latency ms"), tuple(_latency_cell(search, entry) for entry in shown), "latency_ms")
        )
    seconds = ("" if entry.seconds is None else f"{entry.seconds:.0f}" for entry in shown)
    columns.append(Column("seconds", tuple(seconds), "seconds"))
    columns.append(Column("status", tuple(map(_status_cell, shown)), "status"))
    return columns


def _settings(search: SearchRecord, shown: Sequence[Entry]) -> Iterator[Column]:
    """What a trial was asked to do and how far it came; empty for references."""
    searched = searched_fields(search)
    titles = [*CONFIG_COLUMNS, *searched, search.say("epochs (best/run)")]
    keys = ["freeze_blocks" if title == "freeze" else title for title in titles[:-1]] + ["best_epoch"]
    rows = [
        [*config_cells(entry), *field_cells(entry, searched), _epochs_cell(entry)]
        if isinstance(entry, TrialRecord)
        else [""] * len(titles)
        for entry in shown
    ]
    for at, (title, key) in enumerate(zip(titles, keys, strict=True)):
        yield Column(title, tuple(row[at] for row in rows), key)


def _scores(search: SearchRecord, evidence: Evidence | None, shown: Sequence[Entry]) -> Iterator[Column]:
    """The objective, what repeats and other metrics say, and test."""
    interval = " [95 %]" if evidence and evidence.intervals else ""
    title = search.say("{metric} (vs baseline)", metric=f"{search.metric}{interval}")
    yield Column(title, tuple(objective_cell(search, entry, evidence) for entry in shown), "objective")
    repeats = evidence.spreads if evidence else {}
    if repeats:
        spreads = (
            table.spread(**vars(repeats[name])) if (name := name_of(entry)) in repeats else "" for entry in shown
        )
        yield Column(search.say("repeats"), tuple(spreads))
    for name in _readable_metrics(search):
        if any(name in val_of(entry) for entry in shown):
            yield Column(name, tuple(table.metric(val_of(entry).get(name)) for entry in shown), f"val_{name}")
    if any(search.metric in entry.test for entry in entries_of(search)):
        on_test = (table.metric(entry.test.get(search.metric)) for entry in shown)
        title = search.say("test {metric}", metric=search.metric)
        yield Column(title, tuple(on_test), f"test_{search.metric}")


def _epochs_cell(trial: TrialRecord) -> str:
    return f"{f'{trial.best_epoch:g}' if trial.best_epoch else '-'}/{trial.epochs_run:g}"


def _latency_cell(search: SearchRecord, entry: Entry) -> str:
    latency = search.latency_ms(entry) if isinstance(entry, TrialRecord) else None
    return "" if latency is None else f"{latency:.3g}"


def place_of(entry: Entry, ranks: Mapping[str, int], tied: Collection[str], above: Collection[str] = ()) -> str:
    """`1=`: the rank, and whether it is shared with the best; `†` above the best finished one."""
    if isinstance(entry, Reference):
        return ""
    rank = ranks.get(entry.id)
    place = "†" if entry.id in above else "" if rank is None else str(rank)
    return place + "=" * (entry.id in tied)


def _status_cell(entry: Entry) -> str:
    if isinstance(entry, Reference):
        return "reference"
    return entry.status + "‡" * (entry.audited_at is not None)


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
    scores = scores_of(search, entry, evidence)
    cell = table.metric(scores["objective"])
    if scores["ci_low"] is not None:
        cell += f" {table.interval(scores['ci_low'], scores['ci_high'])}"
    if isinstance(entry, TrialRecord) and entry.baseline:
        return search.say("{what} (baseline)", what=cell).strip()
    change = scores["delta_baseline"]
    return cell if change is None else f"{cell} ({table.change(change)})"
