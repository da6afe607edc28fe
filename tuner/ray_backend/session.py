"""Ray for one search: one of its own, or a cluster that it joins."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from trainable.errors import UserError


@contextmanager
def ray_session() -> Iterator[None]:
    """A Ray of this process's own, gone when it is left; joins the cluster of `RAY_ADDRESS` where that is set.

    Raises:
        UserError: no cluster answers at that address.
    """
    address = os.environ.get("RAY_ADDRESS")
    own_files = None if address else tempfile.mkdtemp(prefix="thaw-")  # short: sockets lie in it
    if address:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError) as error:
            raise UserError(
                f"RAY_ADDRESS={address}: no Ray cluster answers there ({str(error).splitlines()[0]}); start one, or "
                "unset RAY_ADDRESS to search on this machine alone"
            ) from None
    else:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=own_files,
        )
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # of trials that ended badly, too, the log tells
    try:
        yield
    finally:
        ray.shutdown()
        if own_files:
            shutil.rmtree(own_files, ignore_errors=True)
