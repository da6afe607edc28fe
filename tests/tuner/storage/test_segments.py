from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from faulty_store import FaultyFileSystem, no_fault
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.log import read_log
from tuner.storage.objects import Objects, open_objects
from tuner.storage.segments import MERGED_FROM, LogEndedError, Segment, SegmentedLog, merge, pull_log, segments_of


def no_lease() -> None:
    """Held."""


def written(objects: Objects, folder: Path, events: int) -> None:
    log = SegmentedLog(folder / "events.jsonl", objects, no_lease)
    for _ in range(events):
        log.write({"kind": "epoch"}, {}, durable=False)
    log.close()


def pulled(objects: Objects, folder: Path) -> list[int]:
    pull_log(objects, folder / "events.jsonl", folder / ".home" / "events.json", objects.listed())
    return [event["seq"] for event in read_log(folder / "events.jsonl", [])]


def test_an_event_is_an_object_before_write_returns(results: str, tmp_path: Path) -> None:
    objects = open_objects(results)
    log = SegmentedLog(tmp_path / "events.jsonl", objects, no_lease)
    for seq in (1, 2):
        log.write({"kind": "note"}, {"text": "x"}, durable=False)
        (tmp_path / f"reader-{seq}").mkdir()
        assert pulled(objects, tmp_path / f"reader-{seq}") == [*range(1, seq + 1)]
    log.close()


def test_a_reader_follows_a_log_that_grows_and_is_merged(results: str, tmp_path: Path) -> None:
    objects, writer, reader = open_objects(results), tmp_path / "writer", tmp_path / "reader"
    writer.mkdir()
    reader.mkdir()
    written(objects, writer, 3)
    assert pulled(objects, reader) == [1, 2, 3]
    written(objects, writer, MERGED_FROM)
    merge(objects)
    assert len(objects.listed()) == 1
    assert pulled(objects, reader) == pulled(objects, writer) == [*range(1, MERGED_FROM + 4)]
    written(objects, writer, 2)
    assert pulled(objects, reader) == [*range(1, MERGED_FROM + 6)]


def test_what_the_store_never_had_is_not_in_the_log(results: str, tmp_path: Path) -> None:
    objects = open_objects(results)
    written(objects, tmp_path, 2)
    assert pulled(objects, tmp_path) == [1, 2]
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"v":1,"seq":3,"kind":"epoch"}\n{"half')
    assert pulled(objects, tmp_path) == [1, 2]


@settings(deadline=None, max_examples=30)
@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=4), requests=st.integers(0, 15))
def test_any_cut_of_uploads_leaves_a_readable_beginning(counts: list[int], requests: int) -> None:
    """Writers are killed while they merge, after so many requests that change something; others go on."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        objects = open_objects(f"memory://{folder.name}")
        expected = 0
        for number, count in enumerate(counts):
            writer, reader = folder / f"writer-{number}", folder / f"reader-{number}"
            writer.mkdir()
            reader.mkdir()
            pulled(objects, writer)
            written(objects, writer, count)
            expected += count
            with suppress(KilledError):
                merge(Dying(objects.url, objects.fs, objects.root, requests=[requests]), least=2)
            assert pulled(objects, reader) == [*range(1, expected + 1)]


class KilledError(Exception):
    pass


@dataclass(frozen=True)
class Dying(Objects):
    """Objects of a process that is killed after so many requests that change something."""

    requests: list[int] = field(default_factory=list)

    def put(self, name: str, content: bytes) -> None:
        self._count()
        super().put(name, content)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._count()
            super().remove([name])

    def _count(self) -> None:
        self.requests[0] -= 1
        if self.requests[0] < 0:
            raise KilledError


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), max_size=12))
def test_segments_are_chosen_once_and_in_order(spans: list[tuple[int, int]]) -> None:
    given_segments = {Segment(first, first + length) for first, length in spans}
    chosen = segments_of([segment.name for segment in given_segments] + ["events/x", "lock/1"])
    assert chosen == sorted(chosen)
    assert all(one.last < other.last for one, other in pairwise(chosen))
    if given_segments:
        assert chosen[-1].last == max(segment.last for segment in given_segments)


def test_a_log_that_cannot_be_written_ends_there(faulty: FaultyFileSystem, tmp_path: Path) -> None:
    objects = open_objects("faulty://cut/results")
    log = SegmentedLog(tmp_path / "events.jsonl", objects, no_lease)
    log.write({"kind": "epoch"}, {}, durable=False)
    faulty.fault = lambda operation, _: OSError("gone") if operation == "pipe_file" else None
    for _ in range(2):
        with pytest.raises(LogEndedError, match=r"be reached \(gone\).*cannot be written, so the search has paused"):
            log.write({"kind": "epoch"}, {}, durable=False)
        faulty.fault = lambda *_: None
    log.close()
    assert pulled(objects, tmp_path) == [1]


def test_two_writers_never_write_the_same_event(results: str, tmp_path: Path) -> None:
    objects = open_objects(results)
    logs = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        logs.append(SegmentedLog(tmp_path / name / "events.jsonl", objects, no_lease))
    logs[0].write({"kind": "note"}, {"text": "first"}, durable=True)
    with pytest.raises(LogEndedError, match="another process has written event 1"):
        logs[1].write({"kind": "note"}, {"text": "second"}, durable=True)
    for log in logs:
        log.close()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=5))
def test_what_was_written_stays_and_is_numbered_through(faulty: FaultyFileSystem, runs: list[tuple[int, bool]]) -> None:
    """Writers follow one another; each writes some events and is cut off in the next one, before or after it is one."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        objects = open_objects(f"faulty://{folder.name}")
        done = []
        for number, (count, is_stored) in enumerate(runs):
            here = folder / str(number)
            here.mkdir()
            known = pulled(objects, here)
            log = SegmentedLog(here / "events.jsonl", objects, no_lease)
            done += [log.write({"kind": "note"}, {"text": f"{number}.{at}"}, durable=True) for at in range(count)]
            cut = "after pipe_file" if is_stored else "pipe_file"
            faulty.fault = lambda operation, _, cut=cut: OSError() if operation in (cut, "cat_file") else None
            with suppress(LogEndedError):
                log.write({"kind": "note"}, {"text": "cut off"}, durable=True)
            faulty.fault = no_fault
            log.close()
            assert [event["seq"] for event in done[len(done) - count :]] == [
                *range(len(known) + 1, len(known) + count + 1)
            ]
        (folder / "reader").mkdir()
        seqs = pulled(objects, folder / "reader")
        assert seqs == [*range(1, len(seqs) + 1)]
        found = list(read_log(folder / "reader" / "events.jsonl", []))
        assert [event for event in found if event["text"] != "cut off"] == done
