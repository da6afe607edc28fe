"""A log on disk: one JSON object a line, numbered and dated; what is written stays."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainable.errors import UserError

Event = dict[str, Any]

_FORMAT = 1
_TAIL_BYTES = 1 << 16


def read_log(path: Path, warnings: list[str]) -> Iterator[Event]:
    """A log's events in order, a half-written last line left out; `warnings` gets a line for each one skipped."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            event = event_of(line)
            if event is None:
                warnings.append(f"{path}, line {number}: not a JSON object, skipped")
            else:
                yield event


def line_of(event: Event) -> bytes:
    """An event as its log has it."""
    return json.dumps(event, allow_nan=False, separators=(",", ":")).encode() + b"\n"


class OpenLog:
    """The growing end of a log; one writer at a time. Opening it cuts off a line that was left half-written.

    Raises:
        UserError: a later version of this program has written to it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b", buffering=0)
        end, self._seq = self._last_line(path)
        self._file.truncate(end)

    def write(self, head: Event, fields: Event, durable: bool) -> Event:
        """Append one line and return its event; on a full disk nothing stays of it."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"v": _FORMAT, "seq": self._seq + 1, "time": time} | head
        if clash := event.keys() & fields.keys():
            raise ValueError(f"an event's own fields cannot be given: {', '.join(sorted(clash))}")
        event = {name: _plain(value) for name, value in (event | fields).items()}
        line = line_of(event)
        start = self._file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            if durable:
                os.fsync(self._file.fileno())
        except BaseException:
            self._file.truncate(start)
            raise
        self._seq += 1
        return event

    def close(self) -> None:
        self._file.close()

    def _last_line(self, path: Path) -> tuple[int, int]:
        """Where the last whole line ends, in bytes, and the number of the last readable event (0: none)."""
        size = self._file.seek(0, os.SEEK_END)
        span = _TAIL_BYTES
        while True:
            start = max(0, size - span)
            self._file.seek(start)
            tail = self._file.read(size - start)
            whole, newline, _ = tail.rpartition(b"\n")
            lines = whole.split(b"\n")
            for line in reversed(lines if start == 0 else lines[1:]):  # the first may lack its beginning
                event = event_of(line)
                if event is not None and isinstance(event.get("seq"), int):
                    _require_known(event, path)
                    return start + len(whole) + len(newline), event["seq"]
            if start == 0:
                return len(whole) + len(newline), 0
            span *= 8


def _require_known(event: Event, path: Path) -> None:
    form = event.get("v")
    if isinstance(form, int) and form > _FORMAT:
        raise UserError(
            f"{path}: a newer version of Thaw wrote it (log format {form}, this one writes {_FORMAT}); "
            "go on with that version"
        )


def event_of(line: bytes) -> Event | None:
    """The event that a line of a log holds; None for what is none."""
    try:
        event = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _plain(value: Any) -> Any:
    """The value as strict JSON holds it: no NaN or infinity, no NumPy scalar, no tuple, no path."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Path):
        return str(value)
    scalar = getattr(value, "item", None)
    return _plain(scalar()) if callable(scalar) else value
