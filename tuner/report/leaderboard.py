"""The leaderboard: pure functions of a search's record; the same record gives the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.tolerant import mapping

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


def rows(search: SearchRecord, top: int | None = None) -> list[Row]:
    """One row a trial with the columns of leaderboard.csv, best value first, then those without a value by number.

    Only eligible trials carry a rank. `tied`, `ci_low`, `ci_high` and `link` are None.
    """
    ranks = search.ranks()
    baseline = search.baseline.best_value if search.baseline else None
    configs = {trial.id: _flat(trial.config) for trial in search.trials}
    others = sorted({name for config in configs.values() for name in config}.difference(_NAMED_FIELDS))
    val = sorted({name for trial in search.trials for name in trial.best_metrics})
    test = sorted({name for trial in search.trials for name in trial.test})
    return [
        _row(search, trial, configs[trial.id], ranks.get(trial.id), baseline, (others, val, test))
        for trial in _shown(search, top)
    ]


def to_csv(search: SearchRecord, top: int | None = None) -> str:
    """leaderboard.csv: floats exact, missing values empty, lists as JSON."""
    found = rows(search, top)
    names = list(found[0]) if found else list(_row(search, TrialRecord("", 0), {}, None, None, ([], [], [])))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(value) for value in row.values()] for row in found)
    return text.getvalue()


def to_json(search: SearchRecord, top: int | None = None) -> str:
    """The rows with the search's name, objective and status, as strict JSON."""
    objective = {"metric": search.metric, "direction": search.direction}
    record = {"name": search.name, "status": search.status, "objective": objective, "rows": rows(search, top)}
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def to_markdown(
    search: SearchRecord,
    top: int | None = None,
    extra: Mapping[str, Mapping[str, str]] | None = None,
    origin: bool = True,
) -> str:
    """leaderboard.md: the table, its footnotes and how it was made.

    Args:
        search: what to show
        top: the first rows that are shown, and the baseline's row in any case; None: all
        extra: further columns, title -> trial id -> text
        origin: whether to say how it was made
    """
    trials = _table_order(search)
    shown = _shown(search, top)
    better = "higher" if search.direction == "maximize" else "lower"
    parts = [
        f"# {table.escape(search.name)}: {table.escape(search.metric)} ({better} is better)",
        _markdown_table(search, shown, extra or {}),
    ]
    if len(shown) < len(trials):
        parts.append(f"{len(shown)} of {len(trials)} trials are shown.")
    parts.extend(_footnotes(search, shown))
    if origin:
        parts.append("## How it was made")
        parts.append("\n".join(f"- {name}: {text}" for name, text in _origin(search) if text))
    return "\n\n".join(parts) + "\n"


FORMATS: dict[str, Callable[[SearchRecord, int | None], str]] = {"md": to_markdown, "csv": to_csv, "json": to_json}


def _shown(search: SearchRecord, top: int | None) -> list[TrialRecord]:
    """The first `top` trials of the table, and the baseline in any case."""
    trials = _table_order(search)
    return trials if top is None else [trial for at, trial in enumerate(trials) if at < top or trial.baseline]


def _table_order(search: SearchRecord) -> list[TrialRecord]:
    return search.ranked() + [trial for trial in search.trials if trial.best_value is None]


def _row(
    search: SearchRecord,
    trial: TrialRecord,
    config: Mapping[str, Any],
    rank: int | None,
    baseline: float | None,
    names: tuple[list[str], list[str], list[str]],
) -> Row:
    others, val, test = names
    value = trial.best_value
    seed = config.get("seed")
    return {
        "rank": rank,
        "trial": trial.id,
        "status": trial.status,
        "tied": None,
        "backbone": config.get("backbone"),
        "freeze": config.get("freeze"),
        "freeze_blocks": trial.freeze_blocks,
        "head": config.get("head.kind"),
        "schedule": config.get("schedule.kind"),
        "pos_weight": config.get("loss.pos_weight"),
        "lr": config.get("optimizer.lr"),
        **{name: config.get(name) for name in others},
        "best_epoch": trial.best_epoch,
        "epochs_run": trial.epochs_run,
        "objective": value,
        "delta_baseline": None if value is None or baseline is None else value - baseline,
        "ci_low": None,
        "ci_high": None,
        **{f"val_{name}": trial.best_metrics.get(name) for name in val},
        **{f"test_{name}": trial.test.get(name) for name in test},
        "trained_parameters": trial.trained_parameters,
        "total_parameters": trial.total_parameters,
        "seconds": trial.seconds,
        "images_per_second": trial.images_per_second,
        "peak_memory_gib": trial.peak_memory_gib,
        "seed": search.seed if seed is None else seed,
        "data_hash": search.data.get("hash"),
        "parent": trial.parent,
        "error": trial.error,
        "link": None,
    }


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields by dotted path; an empty part has none."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat.update(_flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value})
    return flat


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):  # a lone carriage return would end the row: csv leaves it unquoted
        return value.replace("\r\n", "\n").replace("\r", "\n")
    return json.dumps(value, ensure_ascii=False)


def _markdown_table(search: SearchRecord, trials: list[TrialRecord], extra: Mapping[str, Mapping[str, str]]) -> str:
    ranks = search.ranks()
    above = {trial.id for trial in _above_best(search)}
    readable = [name for name in _readable_metrics(search) if any(name in trial.best_metrics for trial in trials)]
    tested = any(search.metric in trial.test for trial in search.trials)
    headers = ["rank", "trial", *CONFIG_COLUMNS, "epochs (best/run)"]
    headers += [f"{search.metric} (vs baseline)", *readable]
    headers += [f"test {search.metric}"] * tested + ["seconds", "status", *extra]
    cells = []
    for trial in trials:
        rank = ranks.get(trial.id)
        row = ["†" if trial.id in above else "" if rank is None else str(rank), trial.id, *config_cells(trial)]
        row += [f"{trial.best_epoch or '-'}/{trial.epochs_run}", _objective_cell(search, trial)]
        row += [table.metric(trial.best_metrics.get(name)) for name in readable]
        row += [table.metric(trial.test.get(search.metric))] * tested
        row += ["" if trial.seconds is None else f"{trial.seconds:.0f}", trial.status]
        cells.append([*row, *(texts.get(trial.id, "") for texts in extra.values())])
    return table.table(headers, cells)


def _readable_metrics(search: SearchRecord) -> list[str]:
    thresholds = (f"{search.metric}@0.5", f"{search.metric}@fitted")
    return [name for name in (*thresholds, *READABLE_METRICS) if name != search.metric]


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


def _objective_cell(search: SearchRecord, trial: TrialRecord) -> str:
    value, baseline = trial.best_value, search.baseline.best_value if search.baseline else None
    if trial.baseline:
        return f"{table.metric(value)} (baseline)".strip()
    if value is None or baseline is None:
        return table.metric(value)
    return f"{table.metric(value)} ({table.change(value - baseline)})"


def _above_best(search: SearchRecord) -> list[TrialRecord]:
    """Unranked trials whose value is better than that of the best eligible one."""
    best, found = search.best, []
    for trial in search.ranked() if best else []:
        if best is None or trial.best_value == best.best_value:
            break
        found.append(trial)
    return found


def _footnotes(search: SearchRecord, shown: list[TrialRecord]) -> Iterator[str]:
    best = search.best
    if best is None:
        yield "No trial has finished, so none is ranked."
    visible = {trial.id for trial in shown}
    above = [trial for trial in _above_best(search) if trial.id in visible]
    if best and above:
        names = ", ".join(f"{table.escape(trial.id)} ({table.escape(trial.status)})" for trial in above)
        yield (
            f"† Above the best finished trial {table.escape(best.id)} but not ranked, because only finished trials "
            f"(complete or early_stopped) are: {names}."
        )
    by_reason: dict[str, list[str]] = defaultdict(list)
    for trial in search.trials:
        if trial.error:  # failed, lost or diverged
            by_reason[f"{trial.status}: {table.reason(trial.error)}"].append(trial.id)
    if by_reason:
        lines = [f"- {table.escape(', '.join(ids))} {table.escape(why)}" for why, ids in by_reason.items()]
        yield "Trials that could not go on:\n\n" + "\n".join(lines)
    details = [trial.best_details.get("labels_left_out") for trial in shown]
    left_out = sorted({str(label) for labels in details if isinstance(labels, list) for label in labels})
    if left_out:
        names = ", ".join(map(table.escape, left_out))
        yield f"Left out of macro means, having no positive image in a split: {len(left_out)} ({names})."


def _origin(search: SearchRecord) -> Iterator[tuple[str, str]]:
    data = search.data
    sizes = mapping(data.get("sizes"))
    yield "space", table.escape(search.space)
    yield "data", table.escape(str(data.get("hash") or "")[:12])
    yield "images", table.escape(", ".join(f"{name} {size}" for name, size in sizes.items()))
    yield "data_seed", table.escape(table.short(data.get("data_seed")))
    yield "seed", table.escape(table.short(search.seed))
    yield "sampler", table.escape(search.sampler)
    yield "scheduler", table.escape(table.named(search.scheduler, first=("kind",)))
    yield "trials", f"{len(search.trials)}" + (f" of {search.budget}" if search.budget else "")
    yield "precision", table.escape(search.precision)
    yield "test_reads", str(search.test_reads)
    versions = sorted(search.versions.items())
    yield "versions", table.escape(", ".join(f"{name} {table.short(version)}" for name, version in versions))
    commit = search.git or ""
    yield "git", table.escape(commit[:12] + "+" * commit.endswith("+"))
