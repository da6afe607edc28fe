"""Stored values read tolerantly: one of another type than expected counts as missing, never as an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast


def number(value: Any) -> float | None:
    """A finite number as a float; None for anything else, a truth value among them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond any float
        return None


def integer(value: Any) -> int | None:
    """A whole number; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(value: Any) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping; empty for anything else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested fields by dotted path, where an empty part has none; nothing for what is no mapping."""
    fields: dict[str, Any] = {}
    for name, inner in mapping(value).items():
        path = f"{prefix}{name}"
        fields |= flat(inner, f"{path}.") if isinstance(inner, Mapping) else {path: inner}
    return fields


def metrics(value: Any) -> Mapping[str, float]:
    """Metrics by name; those that could not be computed (null) are left out."""
    found = {name: number(metric) for name, metric in mapping(value).items()}
    return {name: metric for name, metric in found.items() if metric is not None}
