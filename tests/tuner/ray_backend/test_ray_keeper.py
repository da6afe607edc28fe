"""What looks after a server's Ray, with a GCS that a test makes up."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from tuner.ray_backend import kept_ray


def test_a_full_disk_is_no_end_of_a_ray_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, beats = [], iter([True, True, False])

    def write(file: Path, _: str) -> None:
        told.append(file)
        raise OSError("no space left on device")

    nodes = SimpleNamespace(get_all_node_info=lambda timeout: {})  # noqa: ARG005  (as it is called)
    monkeypatch.setattr(kept_ray, "GcsClient", lambda address: nodes)  # noqa: ARG005
    monkeypatch.setattr(kept_ray, "write_atomically", write)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit) as ended:
            kept_ray._tell(tmp_path, "127.0.0.1:1", "first", lambda: next(beats))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == kept_ray.EXIT_GONE
    assert told == [tmp_path / kept_ray.FACTS] * 2
