"""What references and reruns add to a leaderboard: was the search worth it, how sure is it, would more data help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tuner.evidence.gathering import Difference, Evidence, Split, spread
from tuner.records import Reference, SearchRecord, TrialRecord
from tuner.report import table
from tuner.tolerant import integer, mapping
from tuner.wording.language import marked

_SPLITS: dict[Split, str] = {"val": marked("validation"), "test": marked("test")}
_IMAGES: dict[Split, str] = {"val": marked("{count} validation images"), "test": marked("{count} test images")}
_VERDICTS: dict[Split, str] = {
    "val": marked("On validation {best} is {verdicts}."),
    "test": marked("On test {best} is {verdicts}."),
}
Outcome = Literal["better", "worse", "tied"]
_OUTCOMES: dict[Outcome, str] = {
    "better": marked("better than {rivals}"),
    "worse": marked("worse than {rivals}"),
    "tied": marked("not told apart from {rivals}"),
}


@dataclass(frozen=True)
class _Lead:
    """The best trial minus another row, on one split."""

    over: str
    value: float | None
    paired: Difference | None
    sign: float
    """1 where higher is better, else -1"""

    @property
    def cell(self) -> str:
        return "" if self.value is None else _with_interval(table.change(self.value), self.paired)

    @property
    def outcome(self) -> Outcome | None:
        """None where there is no interval."""
        if self.paired is None:
            return None
        ends = sorted((self.sign * self.paired.low, self.sign * self.paired.high))
        return "better" if ends[0] > 0 else "worse" if ends[1] < 0 else "tied"


def worth(search: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    """The best trial minus what it had to beat, on validation and test; nothing where no reference was scored."""
    best = search.best
    if best is None or not search.references:
        return
    leads = _leads(search, evidence, best)
    told = [split for split, of_split in leads.items() if any(lead.cell for lead in of_split)]
    rows = [[one.over, *(leads[split][row].cell for split in told)] for row, one in enumerate(leads["val"])]
    rows = [row for row in rows if any(row[1:])]
    if not rows:
        return
    yield f"## {search.say('Was the search worth it?')}"
    yield from _verdict(search, best, leads)
    headers = [search.say("{trial} minus", trial=best.id), *(search.say(_SPLITS[split]) for split in told)]
    yield table.table(headers, rows)
    yield from _basis(search, best, leads)


def _basis(search: SearchRecord, best: TrialRecord, leads: dict[Split, list[_Lead]]) -> Iterator[str]:
    """What the differences are in and their intervals rest on; nothing where there are none."""
    say = search.say
    images = {
        split: next((lead.paired.images for lead in of_split if lead.paired), None) for split, of_split in leads.items()
    }
    if drawn := [say(_IMAGES[split], count=count) for split, count in images.items() if count]:
        chosen = say("; on validation {trial} was chosen, which flatters it", trial=table.escape(best.id))
        lower = f" ({say('lower is better')})" if search.direction == "minimize" else ""
        yield say(
            "In {metric}; 95 % intervals, paired on {images}{chosen}. They are of these single runs: the luck of the "
            "seed is not in them.",
            metric=table.escape(search.metric) + lower,
            images=_listed(search, drawn),
            chosen=chosen if images["val"] else "",
        )


def verdict(search: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    """The same in a sentence, or nothing."""
    if search.best and search.references:
        yield from _verdict(search, search.best, _leads(search, evidence, search.best))


def _leads(search: SearchRecord, evidence: Evidence | None, best: TrialRecord) -> dict[Split, list[_Lead]]:
    """The best trial against the baseline and each reference, by split."""
    baseline = [search.baseline] if search.baseline and search.baseline.id != best.id else []
    rivals: list[TrialRecord | Reference] = [*baseline, *search.references]
    return {split: [_lead(search, evidence, best, rival, split) for rival in rivals] for split in _SPLITS}


def _lead(
    search: SearchRecord, evidence: Evidence | None, best: TrialRecord, rival: TrialRecord | Reference, split: Split
) -> _Lead:
    name = rival.id if isinstance(rival, TrialRecord) else rival.name
    values = [_value(search, row, split) for row in (best, rival)]
    difference = None if values[0] is None or values[1] is None else values[0] - values[1]
    given = isinstance(rival, Reference) and rival.given  # has no predictions, whatever its name
    paired = evidence.difference(best.id, name, split) if evidence and difference is not None and not given else None
    over = search.say("{what} (baseline)", what=name) if isinstance(rival, TrialRecord) else name
    return _Lead(over, difference, paired, 1.0 if search.direction == "maximize" else -1.0)


def _value(search: SearchRecord, row: TrialRecord | Reference, split: Split) -> float | None:
    if split == "test":
        return row.test.get(search.metric)
    return row.best_value if isinstance(row, TrialRecord) else row.val.get(search.metric)


def _verdict(search: SearchRecord, best: TrialRecord, leads: dict[Split, list[_Lead]]) -> Iterator[str]:
    """One sentence, by test where there are predictions of it."""
    split: Split = "test" if any(lead.paired for lead in leads["test"]) else "val"
    by_outcome: dict[Outcome, list[str]] = {}
    for lead in leads[split]:
        if lead.outcome:
            by_outcome.setdefault(lead.outcome, []).append(table.escape(lead.over))
    if by_outcome:
        said = [
            search.say(_OUTCOMES[outcome], rivals=_listed(search, rivals)) for outcome, rivals in by_outcome.items()
        ]
        yield search.say(_VERDICTS[split], best=table.escape(best.id), verdicts="; ".join(said))


def _listed(search: SearchRecord, names: Sequence[str]) -> str:
    *most, last = names
    return search.say("{most} and {last}", most=", ".join(most), last=last) if most else last


def repeated(search: SearchRecord) -> Iterator[str]:
    """How the values of one config spread over its repeats and folds; nothing where there are none."""
    rows = [
        [trial.id, how, table.spread(**vars(spread(values))), ", ".join(map(table.metric, values))]
        for trial in search.ranked()
        for how, values in _values_again(search, trial).items()
    ]
    if rows:
        say = search.say
        yield f"## {say('The same configs again')}"
        spreads = say("{metric}: mean ± sd (runs)", metric=search.metric)
        yield table.table(["trial", say("again"), spreads, say("each")], rows)
        yield say(
            "Runs of their own, without the one that the config was chosen by; sd is that of a single run. "
            "Other splits and folds also tell of the luck of the split."
        )


def _values_again(search: SearchRecord, trial: TrialRecord) -> dict[str, list[float]]:
    """What was changed -> the values, in the order asked."""
    found: dict[str, list[float]] = {}
    for again in (*search.reruns_of(trial.id, "repeat"), *search.reruns_of(trial.id, "fold")):
        if again.rerun and again.best_value is not None:
            same_split = again.rerun.data_seed == search.data.get("data_seed")
            repeat = search.say("other seeds") if same_split else search.say("other seeds and splits")
            how = search.say("folds") if again.rerun.kind == "fold" else repeat
            found.setdefault(how, []).append(again.best_value)
    return found


def more_data(search: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    """What a config reaches with shares of the training images; nothing where that was not asked."""
    for trial in search.ranked():
        parts = [part for part in search.reruns_of(trial.id, "fraction") if part.rerun and part.best_value is not None]
        if parts:
            yield f"## {search.say('Would more data help?')}"
            parts = sorted(parts, key=lambda part: part.rerun.train_share if part.rerun else 1.0)
            yield from _shares(search, evidence, trial, parts)


def _shares(
    search: SearchRecord, evidence: Evidence | None, whole: TrialRecord, parts: Sequence[TrialRecord]
) -> Iterator[str]:
    train = integer(mapping(search.data.get("sizes")).get("train"))
    rows = []
    for trial in (*parts, whole):
        share = trial.rerun.train_share if trial.rerun else 1.0
        interval = evidence.intervals.get(trial.id) if evidence else None
        value = table.metric(trial.best_value) + (f" {table.interval(interval.low, interval.high)}" if interval else "")
        images = "" if train is None else str(train)
        if images and trial.rerun:
            images = search.say("about {count}", count=max(1, round(share * (train or 0))))
        rows.append([trial.id, f"{100 * share:g} %", images, value, _less_whole(evidence, trial, whole)])
    say = search.say
    yield table.table(["trial", say("share"), say("training images"), search.metric, say("minus the whole")], rows)
    yield _trend(search, evidence, whole, parts[-1])


def _less_whole(evidence: Evidence | None, part: TrialRecord, whole: TrialRecord) -> str:
    if part is whole or part.best_value is None or whole.best_value is None:
        return ""
    paired = evidence.difference(part.id, whole.id) if evidence else None
    return _with_interval(table.change(part.best_value - whole.best_value), paired)


def _trend(search: SearchRecord, evidence: Evidence | None, whole: TrialRecord, largest: TrialRecord) -> str:
    """Whether the last step up still gained something."""
    say, share = search.say, 100 * (largest.rerun.train_share if largest.rerun else 1.0)
    paired = evidence.difference(whole.id, largest.id) if evidence else None
    caveat = say(" {trial} was chosen for its value, which flatters the last step.", trial=table.escape(whole.id))
    if paired is None:
        return (
            say("Whether the step from {share:g} % to all images is more than chance is not known.", share=share)
            + caveat
        )
    gained = paired.low > 0 if search.direction == "maximize" else paired.high < 0
    said = say("still gains: more images would probably help") if gained else say("is not shown to gain anything")
    step = table.escape(_with_interval(table.change(paired.value), paired))
    return say("The step from {share:g} % to all images, {step}, {said}.", share=share, step=step, said=said) + caveat


def _with_interval(text: str, paired: Difference | None) -> str:
    """Equal predictions differ by nothing, for certain: no interval."""
    known = paired is not None and paired.low < paired.high
    return text + (f" {table.interval(paired.low, paired.high, table.change)}" if paired and known else "")
