"""A plan as text and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from tabulate import tabulate

from tuner.live import duration
from tuner.planning.costs import Model
from tuner.planning.plan import SEARCHES, Means, Plan
from tuner.ray_backend.resources import MemoryKey

START_SECONDS = 10
"""until a first trial trains: Ray, and a worker's imports; not measured"""
_GIB, _MIB = 2**30, 2**20


def told(plan: Plan) -> str:
    """What `tuner plan` prints."""
    return "\n\n".join(["\n".join(part) for part in _parts(plan) if part])


def _parts(plan: Plan) -> Iterator[list[str]]:
    sizes = ", ".join(f"{count} {name}" for name, count in plan.data.split_sizes.items())
    space = plan.space
    yield [
        f"{space.name}: {plan.trials_asked} trials ({space.sampler}, {space.scheduler.kind}); {sizes}, "
        f"{len(plan.data.labels)} labels"
    ]
    yield [_backbones(plan)]
    yield [_epochs(plan)]
    yield [_times(plan), *_notes_on_time(plan)]
    yield list(_disk(plan))
    yield list(_memory(plan))
    yield list(_left_out(plan))
    yield [_basis(plan)]


def _backbones(plan: Plan) -> str:
    headers = ["backbone", "px", "frozen ms", "training ms", "latency ms", "M parameters", "time", "measured s"]
    rows = [
        [
            backbone,
            size,
            f"{1000 * cost.prefix_seconds(cost.blocks):.3g}",
            f"{1000 * cost.train_seconds(0):.3g}",
            f"{cost.latency_ms:.3g}",
            f"{cost.parameters / 1e6:.1f}",
            f"{_share(plan.shared, (backbone, size)):.0%}",
            f"{cost.measured_seconds:.1f}",
        ]
        for (backbone, size), cost in plan.costs.items()
    ]
    return str(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))


def _share(means: Means, model: Model) -> float:
    return means.trial_seconds_of[model] / means.trial_seconds if means.trial_seconds else 0.0


def _epochs(plan: Plan) -> str:
    rows = [[f"{epochs:g}", f"{trials:.1f}"] for epochs, trials in plan.shared.reached.items()]
    table = tabulate(rows, ["epochs", "trials trained so long"], tablefmt="simple", disable_numparse=True)
    return f"{table}\n{plan.shared.epochs:.0f} epochs in all; {plan.epochs_unhalved:.0f} if no trial were halted"


def _times(plan: Plan) -> str:
    rows = []
    for name, means in (("features shared", plan.shared), ("features computed anew each epoch", plan.unshared)):
        ends = plan.basis.time + timedelta(seconds=START_SECONDS + means.seconds)
        hours = means.trial_seconds * plan.basis.units / 3600
        rows.append([name, f"{hours:.3g}", duration(START_SECONDS + means.seconds), f"{ends:%a %H:%M}"])
    headers = ["", f"{plan.basis.unit} hours", "takes", "ends"]
    return str(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))


def _notes_on_time(plan: Plan) -> list[str]:
    notes = ["reading test, references and pictures come after that: a minute or so"]
    if plan.shared.cut_short:
        notes.append(f"the limit ends it early: {plan.shared.trials:.1f} of {plan.trials_asked} trials begin")
    return notes


def _disk(plan: Plan) -> Iterator[str]:
    shared = plan.shared
    yield (
        f"disk: decoded images {_size(plan.image_bytes)}, features {_size(shared.feature_bytes)}, "
        f"checkpoints at most {_size(shared.checkpoint_bytes)}"
    )
    for ((backbone, size), frozen), why in sorted(shared.recomputed.items()):
        yield f"computed again each time: features of {backbone} at {size} px after {_blocks(frozen)}, since {why}"


def _memory(plan: Plan) -> Iterator[str]:
    have = plan.basis.memory_gib
    fitting = {key: gib for key, gib in plan.memory_gib.items() if gib <= have}
    if fitting:
        key = max(fitting, key=lambda key: fitting[key])
        how = "measured" if plan.basis.unit == "GPU" else "estimated"
        most = f"{fitting[key]:.2g} GiB a trial, {how} ({_told_key(key)})"
        yield f"memory: at most {most}; there are {have:.3g} GiB for each"
    for key, gib in plan.memory_gib.items():
        if key not in fitting:
            takes = f"takes {gib:.3g} GiB of {have:.3g}" if math.isfinite(gib) else f"takes more than {have:.3g} GiB"
            yield f"cannot fit: {_told_key(key)}: {takes}; lower batch_size or micro_batch, or freeze more"


def _told_key(key: MemoryKey) -> str:
    return f"{key.backbone} at {key.image_size} px, {_blocks(key.frozen)} frozen, {key.images} images at once"


def _blocks(count: int) -> str:
    return "1 block" if count == 1 else f"{count} blocks"


def _left_out(plan: Plan) -> Iterator[str]:
    yield from (f"limit: {line}" for line in plan.never_trained)
    if plan.left_out:
        yield f"limits leave out {plan.left_out:.0%} of what is drawn"


def _basis(plan: Plan) -> str:
    basis = plan.basis
    threads = f", {basis.threads} thread{'s' * (basis.threads > 1)} a trial" if basis.unit == "CPU" else ""
    return (
        f"basis: backbones measured on this {basis.device}{threads}, {basis.time:%Y-%m-%d %H:%M}; {basis.workers} "
        f"trials at once; means of {SEARCHES} simulated searches with random configs and scores"
    )


def _size(size: float) -> str:
    return f"{size / _GIB:.3g} GiB" if size >= _GIB else f"{size / _MIB:.3g} MiB"


def to_data(plan: Plan) -> dict[str, Any]:
    """The plan's numbers: seconds, bytes, GiB."""
    basis = plan.basis
    return {
        "space": plan.space.name,
        "trials": plan.trials_asked,
        "images": plan.data.split_sizes,
        "labels": len(plan.data.labels),
        "backbones": [
            {
                "backbone": backbone,
                "image_size": size,
                "parameters": cost.parameters,
                "latency_ms": cost.latency_ms,
                "blocks": [asdict(time) | asdict(held) for time, held in zip(cost.times, cost.sizes, strict=True)],
                "measured_seconds": cost.measured_seconds,
            }
            for (backbone, size), cost in plan.costs.items()
        ],
        "shared": _means_data(plan.shared),
        "unshared": _means_data(plan.unshared),
        "epochs_unhalved": plan.epochs_unhalved,
        "image_bytes": plan.image_bytes,
        "memory": [
            asdict(key) | {"gib": gib if math.isfinite(gib) else None, "fits": gib <= basis.memory_gib}
            for key, gib in plan.memory_gib.items()
        ],
        "left_out": plan.left_out,
        "never_trained": list(plan.never_trained),
        "basis": asdict(basis) | {"time": basis.time.isoformat(timespec="seconds"), "searches": SEARCHES},
    }


def _means_data(means: Means) -> dict[str, Any]:
    return {
        "seconds": START_SECONDS + means.seconds,
        "trial_seconds": means.trial_seconds,
        "trials": means.trials,
        "epochs": means.epochs,
        "trials_by_epochs": {f"{epochs:g}": trials for epochs, trials in means.reached.items()},
        "feature_bytes": means.feature_bytes,
        "checkpoint_bytes": means.checkpoint_bytes,
        "recomputed": [
            {"backbone": backbone, "image_size": size, "frozen": frozen, "why": why}
            for ((backbone, size), frozen), why in means.recomputed.items()
        ],
        "cut_short": means.cut_short,
    }
