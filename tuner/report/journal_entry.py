"""A search as an entry of the journal: what was asked, what came out, on which split, and what is next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.records import Note, SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.readable import CONFIG_COLUMNS, config_cells
from tuner.tolerant import integer, mapping, text

_METRICS = {
    "multilabel": ("loss", "f1_macro", "precision_macro", "recall_macro", "average_precision_macro"),
    "multiclass": ("loss", "accuracy", "f1_macro", "precision_macro", "recall_macro"),
}
_WORKED, _NEXT = "worked:", "next:"
"""marks at the start of notes"""


@dataclass(frozen=True)
class Standing:
    """What the leaderboard says of the best trial beyond its value."""

    tied: tuple[str, ...] = ()
    """trials that are not told apart from it"""
    interval: tuple[float, float] | None = None
    """of its objective on validation, 95 %"""


def to_entry(
    search: SearchRecord,
    name: str,
    standing: Standing = Standing(),
    conclusions: Sequence[str] = (),
    link: str | None = None,
) -> str:
    """The entry in Markdown; its first line, `## TIME NAME`, sorts by time.

    Args:
        search: what was run, or is running
        name: of its folder
        standing: of its best trial
        conclusions: what its conclusions open with, in Markdown, a line each
        link: of its leaderboard, seen from the journal
    """
    best = search.best
    parts = [
        f"## {_minute(search.started)} {table.escape(name)}",
        *_asked(search),
        f"**Result:** {' '.join(_result(search, best, standing))}",
        *(_scores(search, best, standing) if best else ()),
        *_worked(search, conclusions),
        *_next(search, best),
        *_notes(search),
        *([f"[Leaderboard]({link})"] if link else []),
    ]
    return "\n\n".join(parts) + "\n"


def _minute(time: str) -> str:
    """`2026-01-31 12:05` of a stored time."""
    return table.escape(time[:16].replace("T", " "))


def _asked(search: SearchRecord) -> Iterator[str]:
    if search.hypothesis:
        yield f"**Hypothesis:** {table.escape(search.hypothesis)}"
    elif search.about:
        yield f"**About:** {table.escape(search.about)}"
    data = search.data
    sizes = ", ".join(f"{split} {count}" for split, count in mapping(data.get("sizes")).items())
    facts = {
        "space": search.space,
        "data": " ".join(filter(None, (Path(text(data.get("root"))).name, text(data.get("hash"))[:12]))),
        "images": sizes,
        "changed": "; ".join(search.overrides),
    }
    yield ", ".join(f"{what} {table.escape(told)}" for what, told in facts.items() if told)


def _result(search: SearchRecord, best: TrialRecord | None, standing: Standing) -> Iterator[str]:
    """Sentences: what is best and by how much, what it is tied with, what it is held against."""
    finished = sum(trial.eligible for trial in search.trials)
    state = "" if search.status == "complete" else f", {': '.join(filter(None, (search.status, search.reason)))}"
    counted = f"{finished} of {len(search.trials)} trials finished{table.escape(state)}"
    if best is None:
        yield f"No trial is ranked; {counted}."
        return
    baseline = search.baseline
    before = None if best.baseline or baseline is None else baseline.best_value
    reached = f"{table.escape(search.metric)} {_score(best.best_value, before)}"
    config = f"{table.escape(best.id)} ({_config(best)})"
    subject = f"None beats the baseline {config}" if best.baseline else f"{config} is best"
    yield f"{subject}, {reached}; {counted}."
    if standing.tied:
        tied = (table.escape(id) + " (baseline)" * (baseline is not None and id == baseline.id) for id in standing.tied)
        yield f"Not told apart from it: {', '.join(tied)}."
    held = [(reference.name, reference.val.get(search.metric)) for reference in search.references]
    beside = [f"{table.escape(name)} {table.metric(value)}" for name, value in held if value is not None]
    if beside:
        yield f"For comparison: {', '.join(beside)}."
    for model in search.retrained:
        value = model.test.get(search.metric)
        scored = "" if value is None else f", {search.metric} {table.metric(value)} on test"
        yield table.escape(f"{model.trial} was retrained on {' + '.join(model.splits)}{scored}.")


def _config(trial: TrialRecord) -> str:
    """`lite2, freeze 75% (6/9), mlp 256, cosine, lr 2e-4`: what is not said is left out."""
    cells = dict(zip(CONFIG_COLUMNS, config_cells(trial), strict=True))
    titles = {"freeze": "freeze ", "pos_weight": "pos_weight ", "lr": "lr "}
    told = [f"{titles.get(name, '')}{cell}" for name, cell in cells.items() if cell not in ("", "none")]
    return table.escape(", ".join(told))


def _scores(search: SearchRecord, best: TrialRecord, standing: Standing) -> Iterator[str]:
    """VAL and TEST, each with its change from the baseline, and whether they agree."""
    baseline = None if best.baseline else search.baseline
    usual = _METRICS.get(search.task, _METRICS["multilabel"])
    metrics = [search.metric, *(name for name in usual if name != search.metric)]
    metrics = [name for name in metrics if name in best.best_metrics or name in best.test]
    splits = (
        ("VAL", best.best_metrics, baseline.best_metrics if baseline else {}),
        ("TEST", best.test, baseline.test if baseline else {}),
    )
    rows = [
        [split, *(_score(scores.get(name), before.get(name)) for name in metrics)]
        for split, scores, before in splits
        if scores
    ]
    if rows:
        yield table.table(["", *metrics], rows)
    yield from _agreement(search.metric, best, baseline, standing)


def _score(value: float | None, before: float | None) -> str:
    """`0.590 (+0.020)`; without what it changed from, the value alone."""
    if value is None or before is None:
        return table.metric(value)
    return f"{table.metric(value)} ({table.change(value - before)})"


def _agreement(metric: str, best: TrialRecord, baseline: TrialRecord | None, standing: Standing) -> Iterator[str]:
    """Whether test says what validation says: of the change from the baseline, and of the value."""
    on_val, on_test = best.best_metrics.get(metric), best.test.get(metric)
    if on_val is None or on_test is None:
        return
    told = []
    if baseline and metric in baseline.best_metrics and metric in baseline.test:
        gain, again = on_val - baseline.best_metrics[metric], on_test - baseline.test[metric]
        verdict = "yes" if gain * again > 0 else "no"
        told.append(f"In sign {verdict}: {table.change(gain)} from the baseline on val, {table.change(again)} on test")
    if standing.interval:
        low, high = standing.interval
        within = "within" if low <= on_test <= high else "outside"
        told.append(f"{table.metric(on_test)} on test is {within} val's 95 % interval, {low:.3f} to {high:.3f}")
    if told:
        yield f"**Does test agree with val?** {'; '.join(told)}."


def _worked(search: SearchRecord, conclusions: Sequence[str]) -> Iterator[str]:
    if told := [*map(table.escape, _marked(search.notes, _WORKED)), *conclusions]:
        yield _listed("What worked", told)


def _next(search: SearchRecord, best: TrialRecord | None) -> Iterator[str]:
    told = _marked(search.notes, _NEXT) or ([_hint(best)] if best and search.status != "running" else [])
    if any(told):
        yield f"**Next:** {table.escape('; '.join(told))}"


def _hint(best: TrialRecord) -> str:
    """What the best trial's curve suggests; empty when nothing."""
    epochs, reached = integer(best.config.get("epochs")), best.best_epoch
    if not epochs or not reached:
        return ""
    if reached >= epochs:
        return f"more epochs, since {best.id} was best at its last one ({reached:g})"
    if reached <= best.epochs_run / 2:
        return (
            f"fewer epochs or more regularisation, since {best.id} was best at epoch {reached:g} of {best.epochs_run:g}"
        )
    return ""


def _notes(search: SearchRecord) -> Iterator[str]:
    told = [note for note in search.notes if not note.text.strip().lower().startswith((_WORKED, _NEXT))]
    if told:
        yield _listed("Notes", [f"{_minute(note.time)} {_about(note)}{table.escape(note.text)}" for note in told])


def _about(note: Note) -> str:
    return f"{table.escape(note.trial)}: " if note.trial else ""


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{title}:**\n", *(f"- {line}" for line in lines)])


def _marked(notes: Sequence[Note], mark: str) -> list[str]:
    """What stands after the mark in the notes that start with it."""
    return [note.text.strip()[len(mark) :].strip() for note in notes if note.text.strip().lower().startswith(mark)]
