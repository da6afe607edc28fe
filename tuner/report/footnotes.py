"""What stands under a leaderboard: how its ranks are to be read, what is missing in it, and what was done otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tuner.evidence.bootstrap import FEWEST_GROUPS
from tuner.evidence.gathering import Evidence
from tuner.evidence.weighted import known
from tuner.records import COMPUTED_REFERENCES, SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.audited import at_rung
from tuner.report.entries import ended
from tuner.report.origin import latency_basis
from tuner.report.pareto import latencies_differ
from tuner.tolerant import mapping
from tuner.wording.language import marked


def footnotes(
    search: SearchRecord, evidence: Evidence | None, shown: Sequence[TrialRecord], *, explained: bool = True
) -> Iterator[str]:
    """A paragraph each; `explained`: with what ranks and intervals are."""
    if search.status in ("stopped", "failed"):
        yield _cut_short(search)
    if search.best is None:
        yield search.say("No trial has finished, so none is ranked.")
    elif evidence and set(evidence.ranks).issubset(evidence.by_value):
        why = _why_by_value(search, evidence)
        yield search.say("Ranked by value alone: {why}; nothing is told apart.", why=why)
    elif evidence:
        yield from _first(search, evidence)
        yield from _explanation(search, evidence) if explained else ()
    yield from _above(search, shown)
    yield from _pareto(search)
    yield from _warm_started(search, shown)
    yield from _trained_on(search, shown)
    yield from _in_parts(search, shown)
    yield from _halted(search, shown)
    yield from _audited(search, shown)
    yield from _stopped(search)
    yield from _left_out(search, shown)
    yield from _on_the_web(search)


def _cut_short(search: SearchRecord) -> str:
    """How far a search came that did not run to its end."""
    say, told = search.say, []
    trials, reruns = len(ended(search.trials)), len(ended(search.reruns))
    if search.budget and trials < search.budget:
        told.append(say("{done} of {asked} trials {done:is|are} done", done=trials, asked=search.budget))
    if reruns < len(search.reruns):
        told.append(say("{done} of {begun} reruns begun {done:is|are} done", done=reruns, begun=len(search.reruns)))
    references = {row.name for row in search.references}.issuperset(COMPUTED_REFERENCES)
    on_test = "test" not in mapping(search.data.get("sizes")) or search.test_reads > 0
    if not (references and on_test):
        told.append(say(_ABSENT[references, on_test]))
    why = f" ({table.escape(table.reason(search.told_reason))})" if search.reason else ""
    return say(_CUT_SHORT[search.status]) + why + (f": {'; '.join(told)}." if told else ".")


_CUT_SHORT = {"stopped": marked("The search stopped"), "failed": marked("The search failed")}
_ABSENT = {
    (False, False): marked("references and test scores are missing"),
    (False, True): marked("references are missing"),
    (True, False): marked("test scores are missing"),
}
"""by whether references and test scores are there"""


def above_best(search: SearchRecord) -> list[TrialRecord]:
    """Unranked trials whose value is better than that of the best eligible one."""
    best, found = search.best, []
    for trial in search.ranked() if best else []:
        if best is None or trial.best_value == best.best_value:
            break
        found.append(trial)
    return found


def _why_by_value(search: SearchRecord, evidence: Evidence) -> str:
    """What keeps every trial of a search from having an interval."""
    if 0 < evidence.groups < FEWEST_GROUPS:
        return search.say("only {images}, too few for intervals", images=_drawn(search, evidence))
    if not known(search.metric):
        metric = table.escape(search.metric)
        return search.say("{metric} is a plugin's metric, which cannot be resampled", metric=metric)
    return search.say("there are no validation predictions that give the values, so there are no intervals")


def _drawn(search: SearchRecord, evidence: Evidence) -> str:
    images = search.say("{count} validation images", count=evidence.images)
    if evidence.groups >= evidence.images:
        return images
    return images + search.say(" ({count} groups, drawn whole)", count=evidence.groups)


def _first(search: SearchRecord, evidence: Evidence) -> Iterator[str]:
    """Who is first, and whether alone."""
    best = search.best
    rank = evidence.ranks.get(best.id, 1) if best else 1
    if best and rank > 1:
        yield search.say(
            "{trial} has the best value, but by the mean of its repeats it is of rank {rank}: {better} significantly "
            "better.",
            trial=table.escape(best.id),
            rank=rank,
            better=rank - 1,
        )
    if evidence.tied:
        yield _tied(search, evidence)
    elif best and len(evidence.ranks) - len(evidence.by_value) > 1 and best.id not in evidence.by_value:
        first = next(id for id, place in evidence.ranks.items() if place == 1 and id not in evidence.by_value)
        yield search.say(
            "{trial} stands alone: it is significantly better than every other finished trial.",
            trial=table.escape(first),
        )


def _explanation(search: SearchRecord, evidence: Evidence) -> Iterator[str]:
    yield search.say(
        "Rank: 1 + the number of trials that are significantly better on the same images (5 %, corrected for many "
        "comparisons). Intervals: 95 % bootstrap over {images}; those of trials that were selected by these images are "
        "on the selection set, optimistic. {seeds}",
        images=_drawn(search, evidence),
        seeds=_seeds(search, evidence),
    )
    if evidence.by_value:
        yield search.say(
            "Ranked by value alone, since there are no validation predictions that give it: {trials}.",
            trials=table.escape(", ".join(evidence.by_value)),
        )


def _tied(search: SearchRecord, evidence: Evidence) -> str:
    tied = [trial for trial in search.ranked() if trial.id in evidence.tied]
    cheapest = next(trial for trial in tied if trial.id == evidence.cheapest)
    costs = []
    if cheapest.total_parameters:
        costs.append(search.say("{millions:.1f} M parameters", millions=cheapest.total_parameters / 1e6))
    if cheapest.images_per_second:
        costs.append(search.say("{speed:.0f} images/s", speed=cheapest.images_per_second))
    return search.say(
        "Tied for the first place (`1=`): {trials}; the cheapest of them is {cheapest}{cost}.",
        trials=table.escape(", ".join(trial.id for trial in tied)),
        cheapest=table.escape(cheapest.id),
        cost=f" ({', '.join(costs)})" if costs else "",
    )


def _seeds(search: SearchRecord, evidence: Evidence) -> str:
    if evidence.seeds:
        return search.say(
            "Ranks count the luck of the seed, as repeats show it, and go by the mean of the repeats where there are "
            "some; intervals do not."
        )
    if any(again.rerun and again.rerun.kind == "repeat" for again in search.reruns):
        return search.say("The luck of the seed is in neither: no config has two finished repeats on this split.")
    return search.say("The luck of the seed is in neither: `--repeats` would show it.")


def _above(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    visible = {trial.id for trial in shown}
    above = [trial for trial in above_best(search) if trial.id in visible]
    if search.best and above:
        yield search.say(
            "† Above the best finished trial {best} but not ranked, because only finished trials (complete or "
            "early_stopped) are: {trials}.",
            best=table.escape(search.best.id),
            trials=", ".join(f"{table.escape(trial.id)} ({table.escape(trial.status)})" for trial in above),
        )


def _pareto(search: SearchRecord) -> Iterator[str]:
    if search.best and latencies_differ(search):
        yield search.say(
            "✓ under pareto: no other finished trial is at least as good and as fast, and better in one of the two "
            "(latency of {basis}).",
            basis=latency_basis(search),
        )


def _warm_started(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    told = [f"{trial.id} ({trial.facts['warm_start']})" for trial in shown if trial.facts.get("warm_start")]
    if told:
        trials = table.escape(", ".join(told))
        yield search.say("Begun with what did well in an earlier search: {trials}.", trials=trials)


def _trained_on(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    told = [
        search.say(
            "{trial} ({epochs} from the end of {parent})",
            trial=child.id,
            epochs=child.config.get("epochs"),
            parent=child.parent,
        )
        for child in shown
        if child.parent
    ]
    if told:
        trials = table.escape(", ".join(told))
        yield search.say(
            "More epochs, with a schedule of their own, than the other trials have: {trials}.", trials=trials
        )


def _halted(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    """Trials that wait at a rung; of those that were stopped there for good, the status tells."""
    at: dict[int, list[str]] = defaultdict(list)
    for trial in shown:
        if trial.status == "paused" and trial.halted_at:
            at[trial.halted_at].append(trial.id)
    if at:
        where = "; ".join(
            search.say("{trials} at {rung}", trials=", ".join(ids), rung=at_rung(search, rung))
            for rung, ids in sorted(at.items())
        )
        yield search.say(
            "Paused where others did better, with their state kept so that they can go on: {where}.",
            where=table.escape(where),
        )


def _audited(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    if told := [trial.id for trial in shown if trial.audited_at]:
        yield search.say(
            "‡ Halted at a rung, then drawn at random and trained to the end to see whether halting it was right: "
            "{trials}.",
            trials=table.escape(", ".join(told)),
        )


def _stopped(search: SearchRecord) -> Iterator[str]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for trial in (*search.trials, *search.reruns):
        if trial.error:  # failed, lost or diverged
            by_reason[f"{trial.status}: {table.reason(trial.error)}"].append(trial.id)
    if by_reason:
        lines = [f"- {table.escape(', '.join(ids))} {table.escape(why)}" for why, ids in by_reason.items()]
        yield search.say("Trials that could not go on:") + "\n\n" + "\n".join(lines)


def _in_parts(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    by_text: dict[str, list[str]] = defaultdict(list)
    for trial in shown:
        if trial.short_of_memory:
            by_text[in_parts(search, trial)].append(trial.id)
    for told, ids in by_text.items():
        yield f"{table.escape(', '.join(ids))}: {told}."


def in_parts(search: SearchRecord, trial: TrialRecord) -> str:
    """What it means that a trial's batches passed the network in parts, for want of memory."""
    parts = search.say(
        "{part} of {batch} images at a time, since more ran out of memory",
        part=trial.config.get("micro_batch"),
        batch=trial.config.get("batch_size"),
    )
    if trial.facts.get("trains_batch_norm"):
        return parts + search.say(
            "; BatchNorm learns from so many at once, so this is another config than was asked for"
        )
    return parts + search.say("; gradients add up to those of the whole batch, so only memory changed")


def _left_out(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    details = [trial.best_details.get("labels_left_out") for trial in shown]
    left_out = sorted({str(label) for labels in details if isinstance(labels, list) for label in labels})
    if left_out:
        yield search.say(
            "Left out of macro means, having no positive image in a split: {count} ({labels}).",
            count=len(left_out),
            labels=", ".join(map(table.escape, left_out)),
        )


def _on_the_web(search: SearchRecord) -> Iterator[str]:
    links = search.links
    compared = [trial.id for trial in (*([search.baseline] if search.baseline else []), *search.top)]
    told = [
        (search.say("the search"), links.search),
        (search.say("the baseline beside the best"), links.comparing(dict.fromkeys(compared))),
    ]
    if found := [table.linked(text, url) for text, url in told if url]:
        yield search.say("On the web: {links}.", links=", ".join(found))
