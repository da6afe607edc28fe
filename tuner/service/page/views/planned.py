"""A plan as `tuner plan --json` gives it, in the figures that decide whether one starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.live import duration
from tuner.report import table
from tuner.tolerant import integer, mapping, number, text

_GIB, _MIB = 2**30, 2**20


@dataclass(frozen=True)
class PlannedBackbone:
    name: str
    image_size: int | None
    latency_ms: str
    parameters_m: str


@dataclass(frozen=True)
class Planned:
    trials: int | None
    images: str
    takes: str
    compute: str
    unit: str
    """CPU or GPU, of which `compute` is hours"""
    memory: str
    disk: str
    backbones: tuple[PlannedBackbone, ...]
    misfits: tuple[str, ...]
    """what takes more memory than there is"""
    never_trained: tuple[str, ...]
    percent_left_out: int


def planned(told: Mapping[str, Any]) -> Planned:
    """Read tolerantly: what is not there is empty."""
    shared, basis = mapping(told.get("shared")), mapping(told.get("basis"))
    seconds, trial_seconds = number(shared.get("seconds")), number(shared.get("trial_seconds"))
    memory = [mapping(one) for one in told.get("memory") or ()]
    fitting = [gib for one in memory if one.get("fits") is True and (gib := number(one.get("gib"))) is not None]
    held = [number(one) or 0.0 for one in (told.get("image_bytes"), shared.get("feature_bytes"))]
    held.append(number(shared.get("checkpoint_bytes")) or 0.0)
    return Planned(
        trials=integer(told.get("trials")),
        images=", ".join(f"{name} {count}" for name, count in mapping(told.get("images")).items()),
        takes="" if seconds is None else duration(seconds),
        compute="" if trial_seconds is None else f"{trial_seconds * (number(basis.get('units')) or 1) / 3600:.2g}",
        unit=text(basis.get("unit")) or "CPU",
        memory=f"{max(fitting):.2g} GiB" if fitting else "",
        disk=_size(sum(held)),
        backbones=tuple(_backbone(mapping(one)) for one in told.get("backbones") or ()),
        misfits=tuple(_misfit(one) for one in memory if one.get("fits") is False),
        never_trained=tuple(map(text, told.get("never_trained") or ())),
        percent_left_out=round(100 * (number(told.get("left_out")) or 0.0)),
    )


def _backbone(told: Mapping[str, Any]) -> PlannedBackbone:
    latency, parameters = number(told.get("latency_ms")), number(told.get("parameters"))
    return PlannedBackbone(
        text(told.get("backbone")),
        integer(told.get("image_size")),
        "" if latency is None else f"{latency:.3g}",
        "" if parameters is None else f"{parameters / 1e6:.1f}",
    )


def _misfit(told: Mapping[str, Any]) -> str:
    frozen, images = (table.short(told.get(name)) for name in ("frozen", "images"))
    return f"{text(told.get('backbone'))} at {table.short(told.get('image_size'))} px, {frozen} frozen, {images} images"


def _size(size: float) -> str:
    return f"{size / _GIB:.3g} GiB" if size >= _GIB else f"{size / _MIB:.3g} MiB"
