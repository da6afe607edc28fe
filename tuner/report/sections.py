"""What references and reruns add to a leaderboard: was the search worth it, how sure is it, would more data help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuner.evidence.gathering import Difference, Evidence, Split, spread
from tuner.records import Reference, SearchRecord, TrialRecord
from tuner.report import table
from tuner.tolerant import integer, mapping

_SPLITS: dict[Split, str] = {"val": "validation", "test": "test"}


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
    def verdict(self) -> str:
        """Empty where there is no interval."""
        if self.paired is None:
            return ""
        ends = sorted((self.sign * self.paired.low, self.sign * self.paired.high))
        return "better than" if ends[0] > 0 else "worse than" if ends[1] < 0 else "not told apart from"


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
    yield "## Was the search worth it?"
    yield from _verdict(best, leads)
    headers = [f"{best.id} minus", *(_SPLITS[split] for split in told)]
    yield table.table(headers, rows)
    images = {
        split: next((lead.paired.images for lead in of_split if lead.paired), None) for split, of_split in leads.items()
    }
    if drawn := " and ".join(f"{count} {_SPLITS[split]} images" for split, count in images.items() if count):
        chosen = f"; on validation {table.escape(best.id)} was chosen, which flatters it" if images["val"] else ""
        lower = " (lower is better)" if search.direction == "minimize" else ""
        yield (
            f"In {table.escape(search.metric)}{lower}; 95 % intervals, paired on {drawn}{chosen}. They are of these "
            "single runs: the luck of the seed is not in them."
        )


def verdict(search: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    """The same in a sentence, or nothing."""
    if search.best and search.references:
        yield from _verdict(search.best, _leads(search, evidence, search.best))


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
    over = f"{name} (baseline)" if isinstance(rival, TrialRecord) else name
    return _Lead(over, difference, paired, 1.0 if search.direction == "maximize" else -1.0)


def _value(search: SearchRecord, row: TrialRecord | Reference, split: Split) -> float | None:
    if split == "test":
        return row.test.get(search.metric)
    return row.best_value if isinstance(row, TrialRecord) else row.val.get(search.metric)


def _verdict(best: TrialRecord, leads: dict[Split, list[_Lead]]) -> Iterator[str]:
    """One sentence, by test where there are predictions of it."""
    split: Split = "test" if any(lead.paired for lead in leads["test"]) else "val"
    verdicts = dict.fromkeys(lead.verdict for lead in leads[split] if lead.verdict)
    if verdicts:
        said = [
            f"{verdict} {_listed([lead.over for lead in leads[split] if lead.verdict == verdict])}"
            for verdict in verdicts
        ]
        yield f"On {_SPLITS[split]} {table.escape(best.id)} is {'; '.join(said)}."


def _listed(names: Sequence[str]) -> str:
    *most, last = map(table.escape, names)
    return f"{', '.join(most)} and {last}" if most else last


def repeated(search: SearchRecord) -> Iterator[str]:
    """How the values of one config spread over its repeats and folds; nothing where there are none."""
    rows = [
        [trial.id, how, table.spread(**vars(spread(values))), ", ".join(map(table.metric, values))]
        for trial in search.ranked()
        for how, values in _values_again(search, trial).items()
    ]
    if rows:
        yield "## The same configs again"
        yield table.table(["trial", "again", f"{search.metric}: mean ± sd (runs)", "each"], rows)
        yield (
            "Runs of their own, without the one that the config was chosen by; sd is that of a single run. "
            "Other splits and folds also tell of the luck of the split."
        )


def _values_again(search: SearchRecord, trial: TrialRecord) -> dict[str, list[float]]:
    """What was changed -> the values, in the order asked."""
    found: dict[str, list[float]] = {}
    for again in (*search.reruns_of(trial.id, "repeat"), *search.reruns_of(trial.id, "fold")):
        if again.rerun and again.best_value is not None:
            same_split = again.rerun.data_seed == search.data.get("data_seed")
            repeat = "other seeds" if same_split else "other seeds and splits"
            found.setdefault("folds" if again.rerun.kind == "fold" else repeat, []).append(again.best_value)
    return found


def more_data(search: SearchRecord, evidence: Evidence | None) -> Iterator[str]:
    """What a config reaches with shares of the training images; nothing where that was not asked."""
    for trial in search.ranked():
        parts = [part for part in search.reruns_of(trial.id, "fraction") if part.rerun and part.best_value is not None]
        if parts:
            yield "## Would more data help?"
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
        images = "" if train is None else f"about {max(1, round(share * train))}" if trial.rerun else str(train)
        rows.append([trial.id, f"{100 * share:g} %", images, value, _less_whole(evidence, trial, whole)])
    yield table.table(["trial", "share", "training images", search.metric, "minus the whole"], rows)
    yield _trend(search, evidence, whole, parts[-1])


def _less_whole(evidence: Evidence | None, part: TrialRecord, whole: TrialRecord) -> str:
    if part is whole or part.best_value is None or whole.best_value is None:
        return ""
    paired = evidence.difference(part.id, whole.id) if evidence else None
    return _with_interval(table.change(part.best_value - whole.best_value), paired)


def _trend(search: SearchRecord, evidence: Evidence | None, whole: TrialRecord, largest: TrialRecord) -> str:
    """Whether the last step up still gained something."""
    share = 100 * (largest.rerun.train_share if largest.rerun else 1.0)
    paired = evidence.difference(whole.id, largest.id) if evidence else None
    caveat = f"{table.escape(whole.id)} was chosen for its value, which flatters the last step."
    if paired is None:
        return f"Whether the step from {share:g} % to all images is more than chance is not known. {caveat}"
    gained = paired.low > 0 if search.direction == "maximize" else paired.high < 0
    said = "still gains: more images would probably help" if gained else "is not shown to gain anything"
    step = _with_interval(table.change(paired.value), paired)
    return f"The step from {share:g} % to all images, {table.escape(step)}, {said}. {caveat}"


def _with_interval(text: str, paired: Difference | None) -> str:
    """Equal predictions differ by nothing, for certain: no interval."""
    known = paired is not None and paired.low < paired.high
    return text + (f" {table.interval(paired.low, paired.high, table.change)}" if paired and known else "")
