"""A store in memory that does not do all that it is asked to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fsspec.implementations.memory import MemoryFileSystem

Fault = Callable[[str, str], Exception | None]
"""operation, path -> what it ends with; `after ...` is the operation once it is done, but its answer lost"""


_CREATING = threading.Lock()


def no_fault(operation: str, path: str) -> None:
    """All goes well."""


class FaultyFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec is untyped
    """`faulty://`: the objects of `memory://`, and a fault where `fault` says so."""

    protocol = "faulty"
    fault: Fault = no_fault

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.removeprefix("faulty://")))

    def _do(self, operation: str, path: str, *rest: Any, **options: Any) -> Any:
        for moment in (operation, f"after {operation}"):
            if error := self.fault(moment, path):
                raise error
            if moment == operation:
                done = getattr(super(), operation)(path, *rest, **options)
        return done

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        with _CREATING:  # what stores promise and memory does not: of two that create, one does
            self._do("pipe_file", path, value, mode=mode, **options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        return self._do("cat_file", path, start, end, **options)

    def find(self, path: str, *rest: Any, **options: Any) -> Any:
        return self._do("find", path, *rest, **options)

    def put_file(self, lpath: str, rpath: str, *rest: Any, **options: Any) -> None:
        self._do("put_file", lpath, rpath, *rest, **options)
