"""What the page says, gathered: each part from where the tables, pictures and conclusions have it as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tuner.evidence.gathering import Evidence
from tuner.records import Note, SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.audited import audit_section
from tuner.report.best import best_yaml
from tuner.report.entries import scores_of, shown_entries, trials_of
from tuner.report.footnotes import footnotes
from tuner.report.origin import origin_of
from tuner.report.page.data import Data, Suspected, Told, read_data, read_suspected, told_of_data
from tuner.report.page.rows import MOST_ROWS, Table, table_of
from tuner.report.page.strokes import LearningPlot, ParallelPlot, learning_plot, parallel_plot
from tuner.report.page.surest import Mistakes, mistakes_of
from tuner.report.page.thumbnails import Thumbnails
from tuner.report.plots.axes import space_text
from tuner.report.plots.mistakes import Confusion, LabelScores, confusion, label_scores
from tuner.report.plots.predictions import best_predictions
from tuner.report.plots.source import Source, settings, top_trials
from tuner.report.sections import more_data, repeated, verdict, worth
from tuner.tolerant import text

MOST_NOTES = 50
"""the latest ones"""


@dataclass(frozen=True)
class Best:
    """The trial of the best value; numbers as the leaderboard writes them."""

    trial: str
    settings: str
    value: str
    interval: str
    change: str
    """from the baseline; empty for the baseline itself"""
    test: str
    verdict: str
    """Markdown"""


@dataclass(frozen=True)
class Named:
    """A trial that has a colour of its own, or the baseline."""

    trial: str
    look: str
    settings: str
    value: str


@dataclass(frozen=True)
class Outcome:
    """What the best trial is wrong about."""

    trial: str
    split: str
    images: int
    mistakes: tuple[Mistakes, ...]
    labels: LabelScores | None
    confusion: Confusion | None


@dataclass(frozen=True)
class Made:
    """What it takes to make it again."""

    facts: tuple[tuple[str, str], ...]
    """name, Markdown"""
    data_hash: str
    commands: tuple[str, ...]
    space: str
    """YAML"""
    best: str
    """best.yaml; empty: no trial has finished"""


@dataclass(frozen=True)
class Page:
    search: SearchRecord
    updated: str
    """UTC, of the latest event of a trial"""
    statuses: Mapping[str, int]
    """of trials"""
    best: Best | None
    table: Table
    footnotes: str
    """Markdown, as all texts that the leaderboard has too"""
    findings: str
    named: tuple[Named, ...]
    learning: LearningPlot | None
    parallel: ParallelPlot | None
    conclusions: str
    outcome: Outcome | None
    data: Data | None
    told: Told
    suspected: Suspected | None
    """None: labels were not looked at"""
    pictures: Mapping[str, str]
    """image -> data URL; those that can be shown"""
    made: Made
    notes: tuple[Note, ...]


def page_of(source: Source, conclusions: str = "", top: int | None = None) -> Page:
    """The same arguments and files give the same page.

    Args:
        source: what to tell of
        conclusions: Markdown, as conclusions.md has it; empty before there are any
        top: as the leaderboard
    """
    search, evidence = source.record, source.evidence
    most = min(top or MOST_ROWS, MOST_ROWS)
    shown = trials_of(shown_entries(search, most))
    outcome, data, suspected = _outcome(source), read_data(source.store), read_suspected(source.store)
    return Page(
        search=search,
        updated=max((trial.updated for trial in search.trials), default=search.started),
        statuses=Counter(trial.status for trial in search.trials),
        best=best_of(search, evidence),
        table=table_of(search, evidence, most),
        footnotes=_paragraphs(footnotes(search, evidence, shown)),
        findings=_paragraphs(_findings(search, evidence)),
        named=tuple(named_trials(search)),
        learning=learning_plot(search),
        parallel=parallel_plot(source),
        conclusions=without_title(conclusions),
        outcome=outcome,
        data=data,
        told=told_of_data(search),
        suspected=suspected,
        pictures=_pictures(search, outcome, suspected, data),
        made=_made(source),
        notes=search.notes[-MOST_NOTES:],
    )


def best_of(search: SearchRecord, evidence: Evidence | None) -> Best | None:
    best = search.best
    if best is None:
        return None
    scores = scores_of(search, best, evidence)
    low, high, change = scores["ci_low"], scores["ci_high"], scores["delta_baseline"]
    return Best(
        trial=best.id,
        settings=settings(best),
        value=table.metric(best.best_value),
        interval="" if low is None else table.interval(low, high),
        change="" if best.baseline or change is None else table.change(change),
        test=table.metric(best.test.get(search.metric)),
        verdict=_paragraphs(verdict(search, evidence)),
    )


def _findings(search: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    """The sections that follow the leaderboard's table."""
    yield from worth(search, evidence)
    yield from repeated(search)
    yield from more_data(search, evidence)
    yield from audit_section(search)


def named_trials(search: SearchRecord) -> Iterator[Named]:
    top = top_trials(search)
    for place, trial in enumerate(top, start=1):
        yield _of_trial(trial, f"place-{place}")
    if search.baseline and search.baseline not in top and search.baseline.best_value is not None:
        yield _of_trial(search.baseline, "of-baseline")


def _of_trial(trial: TrialRecord, look: str) -> Named:
    return Named(trial.id, look, settings(trial), table.metric(trial.best_value))


def _outcome(source: Source) -> Outcome | None:
    predicted = best_predictions(source)
    if predicted is None:
        return None
    return Outcome(
        trial=predicted.trial.id,
        split=predicted.split,
        images=predicted.images,
        mistakes=tuple(mistakes_of(predicted, source.record.task)),
        labels=label_scores(source),
        confusion=confusion(source),
    )


def _pictures(
    search: SearchRecord, outcome: Outcome | None, suspected: Suspected | None, data: Data | None
) -> dict[str, str]:
    """Mistakes first: they are what one has to see."""
    wanted = [mistake.image for kind in outcome.mistakes for mistake in kind.worst] if outcome else []
    wanted += [one.image for one in suspected.labels] if suspected else []
    wanted += [image for sample in data.samples for image in sample.images] if data else []
    root = text(search.data.get("root"))
    thumbnails = Thumbnails(Path(root) if root else None)
    return {image: found for image in wanted if (found := thumbnails.of(image))}


def _made(source: Source) -> Made:
    search = source.record
    return Made(
        facts=tuple((name, told) for name, told in origin_of(search) if told),
        data_hash=text(search.data.get("hash")),
        commands=search.commands,
        space=space_text(source.store),
        best=best_yaml(search, search.best, evidence=source.evidence) if search.best else "",
    )


def _paragraphs(found: Iterator[str]) -> str:
    return "\n\n".join(found)


def without_title(section: str) -> str:
    """A section's Markdown without the heading that it opens with: the page has its own."""
    first, _, rest = section.lstrip().partition("\n")
    return rest.strip() if first.startswith("#") else section.strip()
