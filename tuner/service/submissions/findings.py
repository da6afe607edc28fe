"""What pydantic found in what was sent, in words for whoever sent it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.service.submissions.submission import NAME, NAME_RULE

_SHOWN_LETTERS = 80


def message_of(finding: Mapping[str, Any]) -> str:
    """What was given, where it is a plain value, and the rule; `finding` is one of `ValidationError.errors()`."""
    rule, given = _rule(finding), finding.get("input")
    if finding["type"] in ("missing", "extra_forbidden") or not isinstance(given, str | int | float | bool):
        return rule
    shown = repr(given)
    return f"{shown if len(shown) <= _SHOWN_LETTERS else f'{shown[: _SHOWN_LETTERS - 3]}...'}: {rule}"


def _rule(finding: Mapping[str, Any]) -> str:
    if finding["type"] == "string_pattern_mismatch" and finding["ctx"]["pattern"] == f"^{NAME}$":
        return NAME_RULE
    return str(finding["msg"]).removeprefix("Value error, ").removeprefix("Input ")
