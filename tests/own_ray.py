"""A Ray in the process of the tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from tuner.ray_backend.token import token_mode_as_before


@contextmanager
def own_ray(**resources: float) -> Iterator[None]:
    """A Ray of a test's own, of so many CPUs and GPUs, which need not be there.

    With tokens, as every Ray of this process: one that has had a token once takes nobody without.
    """
    with token_mode_as_before():
        ray.init("local", include_dashboard=False, logging_level=logging.ERROR, **resources)
        try:
            yield
        finally:
            ray.shutdown()
