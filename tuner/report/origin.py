"""How a search was made, as its leaderboard and its page tell it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from trainable.compute import departures
from tuner.records import SearchRecord
from tuner.report import table
from tuner.report.entries import ended
from tuner.tolerant import mapping


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
    yield "trials", _of(search, len(search.trials), search.budget)
    yield "extended", table.escape("; ".join(search.extensions))
    reruns, begun = len(ended(search.reruns)), len(search.reruns)
    some = search.say("{done} of {begun} begun", done=reruns, begun=begun) if reruns < begun else str(reruns)
    yield "reruns", some if begun else ""
    yield "features", table.features(search.features, search.language)
    yield "precision", table.escape(search.precision)
    yield "compute", table.escape(_not_plain(search))
    yield "latency", latency_basis(search) if search.model_costs else ""
    yield "test_reads", str(search.test_reads)
    versions = sorted(search.versions.items())
    yield "versions", table.escape(", ".join(f"{name} {table.short(version)}" for name, version in versions))
    commit = search.git or ""
    yield "git", table.escape(commit[:12] + "+" * commit.endswith("+"))


def _limits(search: SearchRecord) -> str:
    if not search.limits:
        return ""
    draws = [trial.facts.get("skipped") for trial in search.trials]
    skipped = sum(len(skipped) for skipped in draws if isinstance(skipped, list))
    left_out = [search.say("{count} sampled configs broke them and were left out", count=skipped)] * bool(skipped)
    return "; ".join([table.named(search.limits, first=()), *search.never_trained, *left_out])


def _of(search: SearchRecord, count: int, asked: int | None) -> str:
    return search.say("{count} of {asked}", count=count, asked=asked) if asked else str(count)


def _not_plain(search: SearchRecord) -> str:
    """The ways other than the plain one that trials were computed in, each with its trials."""
    by_way: dict[str, list[str]] = defaultdict(list)
    for trial in search.trials:
        if trial.epochs and (way := departures(trial.epochs[-1].compute)):
            by_way[way].append(trial.id)
    return "; ".join(f"{way}: {', '.join(ids)}" for way, ids in by_way.items())


def latency_basis(search: SearchRecord) -> str:
    """How latencies were measured."""
    cost = search.model_costs[0]
    threads = search.say(", {count} {count:thread|threads}", count=cost.threads) if cost.device == "cpu" else ""
    return search.say("one image on {device}", device=table.escape(cost.device)) + threads
