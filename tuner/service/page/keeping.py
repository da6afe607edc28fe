"""What is costly to make of a search, kept for as long as nothing is told of it."""

from __future__ import annotations

from threading import Lock
from weakref import WeakKeyDictionary

from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord
from tuner.report.page.rows import Table
from tuner.service.page.views.search import full_table
from tuner.service.watching.reading import Reading

_Stamp = tuple[int, str, int]
"""number of the last event, status, and which evidence"""


class Tables:
    """Of the searches that are looked at; whoever asks next gets the same one."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Reading, tuple[_Stamp, Table]] = WeakKeyDictionary()
        self._lock = Lock()

    def of(self, reading: Reading, record: SearchRecord, evidence: Evidence, seq: int) -> Table:
        """The table of this record, which is the reading's up to `seq`."""
        stamp = (seq, record.status, id(evidence))
        with self._lock:
            known = self._kept.get(reading)
        if known and known[0] == stamp:
            return known[1]
        table = full_table(record, evidence)
        with self._lock:
            self._kept[reading] = stamp, table
        return table
