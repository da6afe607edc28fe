"""What a search's processes print, told in parts."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from tuner.service.watching.logs import Part, read_end, read_part


@hypothesis.given(st.text(st.characters(codec="utf-8")), st.integers(4, 9), st.integers(1, 5))
def test_parts_make_the_whole_wherever_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, text: str, most_bytes: int, flushed: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "log"
    written = text.encode()
    told, next = "", 0
    for end in (*range(0, len(written), flushed), len(written)):
        log.write_bytes(written[:end])
        while (part := read_part(log, next, most_bytes)).next > next:
            told, next = told + part.text, part.next
    assert told.encode() == written


def test_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert read_part(tmp_path / "none", 5) == Part("", 5, 0)
    assert read_end(tmp_path / "none", 5) == Part("", 0, 0)


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\xff\xfe\xf0\n" * 3)
    assert read_part(log, 0).next == 15


def test_the_end_begins_with_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\nsecond\nthird\n")
    assert read_end(log, 100) == Part("first\nsecond\nthird\n", 19, 19)
    assert read_end(log, 9) == Part("third\n", 19, 19)


def test_lines_of_one_trial(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("t0001 is best\nt00010\nend of t0001, t0002\nt0001-e5\n")
    assert read_part(log, 0, trial="t0001").text == "t0001 is best\nend of t0001, t0002\n"
