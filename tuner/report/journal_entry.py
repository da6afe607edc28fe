"""A search as an entry of the journal: what was asked, what came out, on which split, and what is next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.records import Note, SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.readable import CONFIG_COLUMNS, config_cells
from tuner.tolerant import integer, mapping, text
from tuner.wording.language import marked

_METRICS = {
    "multilabel": ("loss", "f1_macro", "precision_macro", "recall_macro", "average_precision_macro"),
    "multiclass": ("loss", "accuracy", "f1_macro", "precision_macro", "recall_macro"),
}
_WORKED, _NEXT = "worked:", "next:"
"""marks at the start of notes"""
_FACTS = {
    "space": marked("space {told}"),
    "data": marked("data {told}"),
    "images": marked("images {told}"),
    "changed": marked("changed {told}"),
}
_STATES = {"stopped": marked("stopped"), "failed": marked("failed"), "running": marked("running")}
"""of a search that is not complete"""


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
        f"**{search.say('Result')}:** {' '.join(_result(search, best, standing))}",
        *(_scores(search, best, standing) if best else ()),
        *_worked(search, conclusions),
        *_next(search, best),
        *_notes(search),
        *([f"[{search.say('Leaderboard')}]({link})"] if link else []),
    ]
    return "\n\n".join(parts) + "\n"


def _minute(time: str) -> str:
    """`2026-01-31 12:05` of a stored time."""
    return table.escape(time[:16].replace("T", " "))


def _asked(search: SearchRecord) -> Iterator[str]:
    if search.hypothesis:
        yield f"**{search.say('Hypothesis')}:** {table.escape(search.hypothesis)}"
    elif search.about:
        yield f"**{search.say('About')}:** {table.escape(search.about)}"
    data = search.data
    sizes = ", ".join(f"{split} {count}" for split, count in mapping(data.get("sizes")).items())
    facts = {
        "space": search.space,
        "data": " ".join(filter(None, (Path(text(data.get("root"))).name, text(data.get("hash"))[:12]))),
        "images": sizes,
        "changed": "; ".join(search.overrides),
    }
    yield ", ".join(search.say(_FACTS[what], told=table.escape(told)) for what, told in facts.items() if told)


def _result(search: SearchRecord, best: TrialRecord | None, standing: Standing) -> Iterator[str]:
    """Sentences: what is best and by how much, what it is tied with, what it is held against."""
    say, baseline = search.say, search.baseline
    counted = _counted(search)
    if best is None:
        yield say("No trial is ranked; {counted}.", counted=counted)
        return
    before = None if best.baseline or baseline is None else baseline.best_value
    reached = f"{table.escape(search.metric)} {_score(best.best_value, before)}"
    config = f"{table.escape(best.id)} ({_config(best)})"
    text = _BASELINE_IS_BEST if best.baseline else _IS_BEST
    yield say(text, trial=config, reached=reached, counted=counted)
    if standing.tied:
        tied = (
            say("{what} (baseline)", what=table.escape(id)) if baseline and id == baseline.id else table.escape(id)
            for id in standing.tied
        )
        yield say("Not told apart from it: {trials}.", trials=", ".join(tied))
    held = [(reference.name, reference.val.get(search.metric)) for reference in search.references]
    beside = [f"{table.escape(name)} {table.metric(value)}" for name, value in held if value is not None]
    if beside:
        yield say("For comparison: {references}.", references=", ".join(beside))
    for model in search.retrained:
        value, scored = model.test.get(search.metric), ""
        if value is not None:
            scored = say(", {metric} {value} on test", metric=search.metric, value=table.metric(value))
        splits = " + ".join(model.splits)
        told = say("{trial} was retrained on {splits}{scored}.", trial=model.trial, splits=splits, scored=scored)
        yield table.escape(told)


_IS_BEST = marked("{trial} is best, {reached}; {counted}.")
_BASELINE_IS_BEST = marked("None beats the baseline {trial}, {reached}; {counted}.")


def _counted(search: SearchRecord) -> str:
    """How many trials have finished, and how the search ended where that was not by itself."""
    state = ""
    if search.status != "complete":
        known = search.say(_STATES[search.status]) if search.status in _STATES else search.status
        state = f", {': '.join(filter(None, (known, search.told_reason)))}"
    finished = sum(trial.eligible for trial in search.trials)
    told = search.say("{finished} of {trials} trials finished", finished=finished, trials=len(search.trials))
    return told + table.escape(state)


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
    yield from _agreement(search, best, baseline, standing)


def _score(value: float | None, before: float | None) -> str:
    """`0.590 (+0.020)`; without what it changed from, the value alone."""
    if value is None or before is None:
        return table.metric(value)
    return f"{table.metric(value)} ({table.change(value - before)})"


def _agreement(
    search: SearchRecord, best: TrialRecord, baseline: TrialRecord | None, standing: Standing
) -> Iterator[str]:
    """Whether test says what validation says: of the change from the baseline, and of the value."""
    metric, say = search.metric, search.say
    on_val, on_test = best.best_metrics.get(metric), best.test.get(metric)
    if on_val is None or on_test is None:
        return
    told = []
    if baseline and metric in baseline.best_metrics and metric in baseline.test:
        gain, again = on_val - baseline.best_metrics[metric], on_test - baseline.test[metric]
        text = _SAME_SIGN if gain * again > 0 else _OTHER_SIGN
        told.append(say(text, val=table.change(gain), test=table.change(again)))
    if standing.interval:
        low, high = standing.interval
        text = _WITHIN if low <= on_test <= high else _OUTSIDE
        told.append(say(text, test=table.metric(on_test), low=low, high=high))
    if told:
        yield f"**{say('Does test agree with val?')}** {'; '.join(told)}."


_SAME_SIGN = marked("In sign yes: {val} from the baseline on val, {test} on test")
_OTHER_SIGN = marked("In sign no: {val} from the baseline on val, {test} on test")
_WITHIN = marked("{test} on test is within val's 95 % interval, {low:.3f} to {high:.3f}")
_OUTSIDE = marked("{test} on test is outside val's 95 % interval, {low:.3f} to {high:.3f}")


def _worked(search: SearchRecord, conclusions: Sequence[str]) -> Iterator[str]:
    if told := [*map(table.escape, _marked(search.notes, _WORKED)), *conclusions]:
        yield _listed(search.say("What worked"), told)


def _next(search: SearchRecord, best: TrialRecord | None) -> Iterator[str]:
    told = _marked(search.notes, _NEXT) or ([_hint(search, best)] if best and search.status != "running" else [])
    if any(told):
        yield f"**{search.say('Next')}:** {table.escape('; '.join(told))}"


def _hint(search: SearchRecord, best: TrialRecord) -> str:
    """What the best trial's curve suggests; empty when nothing."""
    epochs, reached = integer(best.config.get("epochs")), best.best_epoch
    if not epochs or not reached:
        return ""
    if reached >= epochs:
        return search.say(
            "more epochs, since {trial} was best at its last one ({epoch:g})", trial=best.id, epoch=reached
        )
    if reached <= best.epochs_run / 2:
        return search.say(
            "fewer epochs or more regularisation, since {trial} was best at epoch {epoch:g} of {epochs:g}",
            trial=best.id,
            epoch=reached,
            epochs=best.epochs_run,
        )
    return ""


def _notes(search: SearchRecord) -> Iterator[str]:
    told = [note for note in search.notes if not note.text.strip().lower().startswith((_WORKED, _NEXT))]
    if told:
        yield _listed(
            search.say("Notes"), [f"{_minute(note.time)} {_about(note)}{table.escape(note.text)}" for note in told]
        )


def _about(note: Note) -> str:
    return f"{table.escape(note.trial)}: " if note.trial else ""


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{title}:**\n", *(f"- {line}" for line in lines)])


def _marked(notes: Sequence[Note], mark: str) -> list[str]:
    """What stands after the mark in the notes that start with it."""
    return [note.text.strip()[len(mark) :].strip() for note in notes if note.text.strip().lower().startswith(mark)]
