"""Server-Sent Events, as a body brings them (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    data: str
    event: str = "message"
    id: str | None = None


def messages(chunks: Iterable[bytes]) -> Iterator[Message]:
    """The messages of a stream; comments are left out, and so is what broke off. Lines end with LF or CRLF."""
    fields: dict[str, str] = {}
    for line in _lines(chunks):
        if not line:
            if "data" in fields:
                yield Message(fields["data"], fields.get("event", "message"), fields.get("id"))
            fields = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        fields[name] = f"{fields['data']}\n{value}" if name == "data" and "data" in fields else value


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Split at line ends only: `str.splitlines` knows further characters that JSON may hold."""
    held = b""
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r").decode() for line in whole)
