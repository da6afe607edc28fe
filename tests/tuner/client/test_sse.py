"""Messages of a stream, however its bytes are cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tuner.client.sse import Message, messages

STREAM = (
    b": here\n\nid: 1\nevent: epoch\ndata: {\"a\": 1}\n\n"
    b"event: state\r\ndata: one\r\ndata: two\r\n\r\n"
    + "id: 2\ndata: a\u2028b\u0085c\n\n".encode()
    + b"id: 3\ndata: broke off"
)  # fmt: skip
TOLD = [
    Message('{"a": 1}', "epoch", "1"),
    Message("one\ntwo", "state"),
    Message("a\u2028b\u0085c", id="2"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_where_the_bytes_are_cut_does_not_matter(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in itertools.pairwise(places)]
    assert list(messages(chunks)) == TOLD


def test_a_message_without_data_is_none() -> None:
    assert list(messages([b"id: 4\nevent: epoch\n\nretry: 5\n\n"])) == []
