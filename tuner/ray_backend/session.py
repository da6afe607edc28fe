"""Ray for one search: one of its own, or a cluster that it joins."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import ray

from trainable.errors import UserError
from tuner.ray_backend.session_folder import session_folder


@contextmanager
def ray_session() -> Iterator[None]:
    """A Ray of this process's own, gone when it is left; joins the cluster of `RAY_ADDRESS` where that is set.

    Raises:
        UserError: no cluster answers at that address.
    """
    address = os.environ.get("RAY_ADDRESS")
    with ExitStack() as after_ray:
        if address:
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError) as error:
                raise UserError(
                    f"RAY_ADDRESS={address}: no Ray cluster answers there ({str(error).splitlines()[0]}); start one, "
                    "or unset RAY_ADDRESS to search on this machine alone"
                ) from None
        else:
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=str(after_ray.enter_context(session_folder())),
            )
        for name in ("ray.tune", "ray.train"):  # of trials that ended badly, too, the log tells
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            ray.shutdown()
