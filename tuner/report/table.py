"""What goes into a Markdown table's cells: escaped texts, short numbers, configs in a few words."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from tabulate import tabulate

from tuner.wording.language import Language, wording

_CONTROL = dict.fromkeys((*range(32), *range(127, 160), 8232, 8233), " ")
_MARKUP = {ord(character): f"\\{character}" for character in "\\`*[]|"} | {ord("<"): "&lt;", ord("&"): "&amp;"}
_ESCAPED_INTERVAL = re.compile(r"\\\[([-+.\d, %]+)\\\](?=$|[ .,;])")
"""brackets around numbers are no link, and read better as they are"""
_KEPT_IN_URLS = "/:;,=?&%#@+~"
"""of what means something in an address; the rest, such as a pipe or a bracket, is percent-encoded"""
_REASON_CHARACTERS = 200
_NARROW = 0.02
"""intervals below it differ in the third decimal"""


def escape(text: str) -> str:
    """The text on one line with nothing in it that Markdown or HTML would act on, pipes included."""
    storable = text.encode("utf-8", "backslashreplace").decode()
    escaped = " ".join(storable.translate(_CONTROL).split()).translate(_MARKUP)
    return _ESCAPED_INTERVAL.sub(r"[\1]", escaped)


class Linked(NamedTuple):
    """A cell that leads to a web address; empty: nowhere."""

    text: str
    url: str


def linked(text: str, url: str) -> str:
    """The text, escaped, as a link where there is an address."""
    return f"[{escape(text)}]({quote(url, safe=_KEPT_IN_URLS)})" if url else escape(text)


def table(headers: Sequence[str], rows: Sequence[Sequence[str | Linked]]) -> str:
    """A Markdown table of plain texts, escaped here; every row has as many cells as there are headers."""
    cells = [[linked(*cell) if isinstance(cell, Linked) else escape(cell) for cell in row] for row in rows]
    return tabulate(cells, [escape(header) for header in headers], tablefmt="github", disable_numparse=True)


def short(value: Any) -> str:
    """A config's value in few characters: floats with up to three digits (`1e-3`, `0.25`), the rest as JSON has it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(part, Mapping) for part in value):
        return stages(value)
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return " + ".join(value)
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if value != 0 and not 0.01 <= abs(value) < 10_000:
        digits, exponent = f"{value:.2e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def metric(value: float | None) -> str:
    """A metric to three decimals; empty when there is none."""
    return "" if value is None else re.sub(r"^-(0\.0+)$", r"\1", f"{value:.3f}")


def change(value: float) -> str:
    """A difference with its sign, to three decimals."""
    return re.sub(r"^-(0\.0+)$", r"+\1", f"{value:+.3f}")


def interval(low: float, high: float, number: Callable[[float], str] = metric) -> str:
    """`[0.71, 0.81]`; a narrow one with three decimals. `number` writes its ends."""
    ends = [number(low), number(high)]
    if high - low >= _NARROW:
        ends = [end[:-1] for end in (number(round(low, 2)), number(round(high, 2)))]
    return f"[{ends[0]}, {ends[1]}]"


def spread(mean: float, sd: float | None, runs: int) -> str:
    """`0.741 ± 0.012 (3)`: mean, standard deviation and number of runs."""
    return metric(mean) + ("" if sd is None else f" ± {metric(sd)}") + f" ({runs})"


def freeze(given: Any, blocks: int | None, total: int | None) -> str:
    """`all (9/9)`, `50% (4/9)`; a plain number of blocks is only `4/9`."""
    if blocks is None or total is None:
        return short(given)
    resolved = f"{blocks}/{total}"
    return resolved if given is None or given == blocks else f"{short(given)} ({resolved})"


def named(fields: Mapping[str, Any], first: Sequence[str]) -> str:
    """Fields in a few words: the values of `first`, then the rest as `name value`; those without a value left out."""
    lead = " ".join(short(fields[name]) for name in first if fields.get(name) is not None)
    rest = [
        f"{name} {short(value)}" for name, value in fields.items() if name not in first and value not in (None, [], ())
    ]
    return ", ".join([lead, *rest] if lead else rest)


def head(given: Any) -> str:
    """`mlp 256, dropout 0.2`: the kind, its width, then the other fields by name."""
    if not isinstance(given, Mapping):
        return short(given)
    return named(given, first=("kind", "width"))


def schedule(given: Any) -> str:
    """`cosine`, `plateau(1, 0.5)`: the kind and its other fields in their own order, rates of zero left out."""
    if not isinstance(given, Mapping):
        return short(given)
    told = (value for name, value in given.items() if name != "kind" and value is not None)
    fields = ", ".join(short(value) for value in told if not (isinstance(value, float) and value == 0))
    return short(given.get("kind")) + (f"({fields})" if fields else "")


def stages(given: Sequence[Mapping[str, Any]]) -> str:
    """`7 (all, 1e-3) + 5 (0, 1e-4)`: the epochs of each stage with its freeze and learning rate."""
    told = []
    for stage in given:
        fields = ", ".join(filter(None, (short(stage.get("freeze")), short(stage.get("lr")))))
        told.append(short(stage.get("epochs")) + (f" ({fields})" if fields else ""))
    return " + ".join(told)


def reason(error: str | None) -> str:
    """An error in one line: the last one of a traceback, else the first."""
    lines = [line.strip() for line in (error or "").splitlines() if line.strip()]
    if not lines:
        return "no reason recorded"
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return line if len(line) <= _REASON_CHARACTERS else line[: _REASON_CHARACTERS - 1] + "…"


def features(counts: Mapping[str, int], language: Language = "en") -> str:
    """`96 % shared, 12 MiB`: how often frozen blocks had been computed before, and what that took on disk."""
    used = counts.get("hits", 0) + counts.get("misses", 0)
    if not used:
        return ""
    mebibytes = counts.get("bytes", 0) / 2**20
    size = f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"
    return wording(language)(
        "{percent} % shared, {size}", percent=math.floor(100 * counts.get("hits", 0) / used), size=size
    )
