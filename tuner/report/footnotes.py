"""What stands under a leaderboard: how its ranks are to be read, what is missing in it, and how it was made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from trainable.compute import departures
from tuner.evidence.bootstrap import FEWEST_GROUPS
from tuner.evidence.gathering import Evidence
from tuner.evidence.weighted import known
from tuner.records import COMPUTED_REFERENCES, SearchRecord, TrialRecord
from tuner.report import table
from tuner.report.audited import at_rung
from tuner.report.pareto import latencies_differ
from tuner.tolerant import mapping


def footnotes(
    search: SearchRecord, evidence: Evidence | None, shown: Sequence[TrialRecord], *, explained: bool = True
) -> Iterator[str]:
    """A paragraph each; `explained`: with what ranks and intervals are."""
    if search.status in ("stopped", "failed"):
        yield _cut_short(search)
    if search.best is None:
        yield "No trial has finished, so none is ranked."
    elif evidence and set(evidence.ranks).issubset(evidence.by_value):
        yield f"Ranked by value alone: {_why_by_value(search, evidence)}; nothing is told apart."
    elif evidence:
        yield from _first(search, evidence)
        yield from _explanation(search, evidence) if explained else ()
    yield from _above(search, shown)
    yield from _pareto(search)
    yield from _warm_started(shown)
    yield from _trained_on(shown)
    yield from _in_parts(shown)
    yield from _halted(search, shown)
    yield from _audited(shown)
    yield from _stopped(search)
    yield from _left_out(shown)
    yield from _on_the_web(search)


def _cut_short(search: SearchRecord) -> str:
    """How far a search came that did not run to its end."""
    told = []
    trials, reruns = len(ended(search.trials)), len(ended(search.reruns))
    if search.budget and trials < search.budget:
        told.append(f"{trials} of {search.budget} trials {_be(trials)} done")
    if reruns < len(search.reruns):
        told.append(f"{reruns} of {len(search.reruns)} reruns begun {_be(reruns)} done")
    absent = ["references"] * (not {row.name for row in search.references}.issuperset(COMPUTED_REFERENCES))
    absent += ["test scores"] * ("test" in mapping(search.data.get("sizes")) and not search.test_reads)
    if absent:
        told.append(f"{' and '.join(absent)} are missing")
    how = f"{search.status} ({table.escape(table.reason(search.reason))})" if search.reason else search.status
    return f"The search {how}" + (f": {'; '.join(told)}." if told else ".")


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def ended(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those that have come to an end, whether or not a good one, or were halted."""
    return [trial for trial in trials if trial.halted_at or trial.status not in ("waiting", "running", "paused")]


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
        return f"only {_drawn(evidence)}, too few for intervals"
    if not known(search.metric):
        return f"{table.escape(search.metric)} is a plugin's metric, which cannot be resampled"
    return "there are no validation predictions that give the values, so there are no intervals"


def _drawn(evidence: Evidence) -> str:
    groups = f" ({evidence.groups} groups, drawn whole)" if evidence.groups < evidence.images else ""
    return f"{evidence.images} validation images{groups}"


def _first(search: SearchRecord, evidence: Evidence) -> Iterator[str]:
    """Who is first, and whether alone."""
    best = search.best
    rank = evidence.ranks.get(best.id, 1) if best else 1
    if best and rank > 1:
        yield (
            f"{table.escape(best.id)} has the best value, but by the mean of its repeats it is of rank {rank}: "
            f"{rank - 1} significantly better."
        )
    if evidence.tied:
        yield _tied(search, evidence)
    elif best and len(evidence.ranks) - len(evidence.by_value) > 1 and best.id not in evidence.by_value:
        first = next(id for id, place in evidence.ranks.items() if place == 1 and id not in evidence.by_value)
        yield f"{table.escape(first)} stands alone: it is significantly better than every other finished trial."


def _explanation(search: SearchRecord, evidence: Evidence) -> Iterator[str]:
    yield (
        f"Rank: 1 + the number of trials that are significantly better on the same images (5 %, corrected for many "
        f"comparisons). Intervals: 95 % bootstrap over {_drawn(evidence)}; those of trials that were selected by these "
        f"images are on the selection set, optimistic. {_seeds(search, evidence)}"
    )
    if evidence.by_value:
        names = table.escape(", ".join(evidence.by_value))
        yield f"Ranked by value alone, since there are no validation predictions that give it: {names}."


def _tied(search: SearchRecord, evidence: Evidence) -> str:
    tied = [trial for trial in search.ranked() if trial.id in evidence.tied]
    cheapest = next(trial for trial in tied if trial.id == evidence.cheapest)
    costs = [f"{cheapest.total_parameters / 1e6:.1f} M parameters"] if cheapest.total_parameters else []
    costs += [f"{cheapest.images_per_second:.0f} images/s"] if cheapest.images_per_second else []
    cost = f" ({', '.join(costs)})" if costs else ""
    names = table.escape(", ".join(trial.id for trial in tied))
    return f"Tied for the first place (`1=`): {names}; the cheapest of them is {table.escape(cheapest.id)}{cost}."


def _seeds(search: SearchRecord, evidence: Evidence) -> str:
    if evidence.seeds:
        return (
            "Ranks count the luck of the seed, as repeats show it, and go by the mean of the repeats where there are "
            "some; intervals do not."
        )
    if any(again.rerun and again.rerun.kind == "repeat" for again in search.reruns):
        return "The luck of the seed is in neither: no config has two finished repeats on this split."
    return "The luck of the seed is in neither: `--repeats` would show it."


def _above(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    visible = {trial.id for trial in shown}
    above = [trial for trial in above_best(search) if trial.id in visible]
    if search.best and above:
        names = ", ".join(f"{table.escape(trial.id)} ({table.escape(trial.status)})" for trial in above)
        yield (
            f"† Above the best finished trial {table.escape(search.best.id)} but not ranked, because only finished "
            f"trials (complete or early_stopped) are: {names}."
        )


def _pareto(search: SearchRecord) -> Iterator[str]:
    if search.best and latencies_differ(search):
        yield (
            f"✓ under pareto: no other finished trial is at least as good and as fast, and better in one of the two "
            f"(latency of {_latency_basis(search)})."
        )


def _latency_basis(search: SearchRecord) -> str:
    """How latencies were measured."""
    cost = search.model_costs[0]
    threads = f", {cost.threads} thread{'s' * (cost.threads > 1)}" if cost.device == "cpu" else ""
    return f"one image on {table.escape(cost.device)}{threads}"


def _warm_started(shown: Sequence[TrialRecord]) -> Iterator[str]:
    told = [f"{trial.id} ({trial.facts['warm_start']})" for trial in shown if trial.facts.get("warm_start")]
    if told:
        yield f"Begun with what did well in an earlier search: {table.escape(', '.join(told))}."


def _trained_on(shown: Sequence[TrialRecord]) -> Iterator[str]:
    told = [
        f"{child.id} ({child.config.get('epochs')} from the end of {child.parent})" for child in shown if child.parent
    ]
    if told:
        yield f"More epochs, with a schedule of their own, than the other trials have: {table.escape(', '.join(told))}."


def _halted(search: SearchRecord, shown: Sequence[TrialRecord]) -> Iterator[str]:
    """Trials that wait at a rung; of those that were stopped there for good, the status tells."""
    at: dict[int, list[str]] = defaultdict(list)
    for trial in shown:
        if trial.status == "paused" and trial.halted_at:
            at[trial.halted_at].append(trial.id)
    if at:
        where = "; ".join(f"{', '.join(ids)} at {at_rung(search, rung)}" for rung, ids in sorted(at.items()))
        yield f"Paused where others did better, with their state kept so that they can go on: {table.escape(where)}."


def _audited(shown: Sequence[TrialRecord]) -> Iterator[str]:
    if told := [trial.id for trial in shown if trial.audited_at]:
        yield (
            f"‡ Halted at a rung, then drawn at random and trained to the end to see whether halting it was right: "
            f"{table.escape(', '.join(told))}."
        )


def _stopped(search: SearchRecord) -> Iterator[str]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for trial in (*search.trials, *search.reruns):
        if trial.error:  # failed, lost or diverged
            by_reason[f"{trial.status}: {table.reason(trial.error)}"].append(trial.id)
    if by_reason:
        lines = [f"- {table.escape(', '.join(ids))} {table.escape(why)}" for why, ids in by_reason.items()]
        yield "Trials that could not go on:\n\n" + "\n".join(lines)


def _in_parts(shown: Sequence[TrialRecord]) -> Iterator[str]:
    by_text: dict[str, list[str]] = defaultdict(list)
    for trial in shown:
        if trial.short_of_memory:
            by_text[in_parts(trial)].append(trial.id)
    for told, ids in by_text.items():
        yield f"{table.escape(', '.join(ids))}: {told}."


def in_parts(trial: TrialRecord) -> str:
    """What it means that a trial's batches passed the network in parts, for want of memory."""
    config = trial.config
    parts = f"{config.get('micro_batch')} of {config.get('batch_size')} images at a time, since more ran out of memory"
    if trial.facts.get("trains_batch_norm"):
        return f"{parts}; BatchNorm learns from so many at once, so this is another config than was asked for"
    return f"{parts}; gradients add up to those of the whole batch, so only memory changed"


def _left_out(shown: Sequence[TrialRecord]) -> Iterator[str]:
    details = [trial.best_details.get("labels_left_out") for trial in shown]
    left_out = sorted({str(label) for labels in details if isinstance(labels, list) for label in labels})
    if left_out:
        names = ", ".join(map(table.escape, left_out))
        yield f"Left out of macro means, having no positive image in a split: {len(left_out)} ({names})."


def _on_the_web(search: SearchRecord) -> Iterator[str]:
    links = search.links
    compared = [trial.id for trial in (*([search.baseline] if search.baseline else []), *search.top)]
    told = [("the search", links.search), ("the baseline beside the best", links.comparing(dict.fromkeys(compared)))]
    if found := [table.linked(text, url) for text, url in told if url]:
        yield f"On the web: {', '.join(found)}."


def _limits(search: SearchRecord) -> str:
    if not search.limits:
        return ""
    draws = [trial.facts.get("skipped") for trial in search.trials]
    skipped = sum(len(skipped) for skipped in draws if isinstance(skipped, list))
    left_out = [f"{skipped} sampled configs broke them and were left out"] * bool(skipped)
    return "; ".join([table.named(search.limits, first=()), *search.never_trained, *left_out])


def origin_of(search: SearchRecord) -> Iterator[tuple[str, str]]:
    """How it was made: name and text, empty where there is none."""
    data = search.data
    sizes = mapping(data.get("sizes"))
    yield "space", table.escape(search.space)
    yield "overrides", table.escape("; ".join(search.overrides))
    yield "plugins", table.escape(", ".join(f"{name} {str(sha256)[:12]}" for name, sha256 in search.plugins.items()))
    yield "data", table.escape(str(data.get("hash") or "")[:12])
    yield "images", table.escape(", ".join(f"{name} {size}" for name, size in sizes.items()))
    yield "data_seed", table.escape(table.short(data.get("data_seed")))
    yield "seed", table.escape(table.short(search.seed))
    yield "sampler", table.escape(search.sampler)
    yield "scheduler", table.escape(table.named(search.scheduler, first=("kind",)))
    yield "limits", table.escape(_limits(search))
    yield "trials", f"{len(search.trials)}" + (f" of {search.budget}" if search.budget else "")
    yield "extended", table.escape("; ".join(search.extensions))
    reruns = len(ended(search.reruns))
    begun = f" of {len(search.reruns)} begun" if reruns < len(search.reruns) else ""
    yield "reruns", f"{reruns}{begun}" if search.reruns else ""
    yield "features", table.features(search.features)
    yield "precision", table.escape(search.precision)
    yield "compute", table.escape(_not_plain(search))
    yield "latency", _latency_basis(search) if search.model_costs else ""
    yield "test_reads", str(search.test_reads)
    versions = sorted(search.versions.items())
    yield "versions", table.escape(", ".join(f"{name} {table.short(version)}" for name, version in versions))
    commit = search.git or ""
    yield "git", table.escape(commit[:12] + "+" * commit.endswith("+"))


def _not_plain(search: SearchRecord) -> str:
    """The ways other than the plain one that trials were computed in, each with its trials."""
    by_way: dict[str, list[str]] = defaultdict(list)
    for trial in search.trials:
        if trial.epochs and (way := departures(trial.epochs[-1].compute)):
            by_way[way].append(trial.id)
    return "; ".join(f"{way}: {', '.join(ids)}" for way, ids in by_way.items())
