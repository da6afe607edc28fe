"""When two trials ask Ray for the same."""

from __future__ import annotations

from tuner.ray_backend.resource_request import request


def test_workers_are_used_again_only_for_the_same_request() -> None:
    assert request(1, 0.5, ["b", "a"]) == request(1, 0.5, ["a", "b"])
    assert hash(request(1, 0.5, ["b", "a"])) == hash(request(1, 0.5, ["a", "b"]))
    assert len({request(1, 0, []), request(1, 0, ["a"]), request(1, 0, ["a", "b"]), request(1, 1, [])}) == 4
