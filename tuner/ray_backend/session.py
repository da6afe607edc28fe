"""Ray for one search: one of its own, or a cluster that it joins."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import ray

from trainable.errors import UserError
from tuner.ray_backend.address import PROBE_SECONDS, Head
from tuner.ray_backend.session_folder import session_folder
from tuner.ray_backend.token import token_mode_as_before, use_token


@contextmanager
def ray_session(head: Head | None = None) -> Iterator[bool]:
    """A Ray of this process's own, gone when it is left, or the cluster of this head: whether it is one.

    Raises:
        UserError: this machine is no part of that cluster, or its Ray is another version.
    """
    with ExitStack() as after_ray:
        after_ray.enter_context(token_mode_as_before())
        if head is None:
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=str(after_ray.enter_context(session_folder())),
            )
        else:
            _join(head)
        for name in ("ray.tune", "ray.train"):  # of trials that ended badly, too, the log tells
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield head is not None
        finally:
            ray.shutdown()


def _join(head: Head) -> None:
    try:
        try:
            _require_node_here(head)
        except ray.exceptions.AuthenticationError:
            use_token()  # not before it is asked for: a cluster without tokens takes a driver that shows one for dead
            _require_node_here(head)
        ray.init(address=head.address, log_to_driver=False, logging_level=logging.ERROR)
    except ray.exceptions.AuthenticationError:
        raise UserError(
            f"{head.given}: that cluster asks for a token; set RAY_AUTH_MODE=token, and have the cluster's token in "
            "~/.ray/auth_token here and on all nodes"
        ) from None
    except RuntimeError as error:
        if "Version mismatch" not in str(error):
            raise
        told = " ".join(str(error).split())
        raise UserError(f"{head.given}: {told}; install the cluster's versions of Ray and Python here") from None
    except (ConnectionError, ValueError) as error:
        raise UserError(f"{head.given}: that cluster cannot be joined ({str(error).splitlines()[0]})") from None


def _require_node_here(head: Head) -> None:
    """Raises UserError where this machine is no node of the cluster: Ray would look for one for a minute."""
    nodes = ray._raylet.GcsClient(address=head.address).get_all_node_info(timeout=PROBE_SECONDS).values()
    addresses = {node.node_manager_address for node in nodes if node.state == node.ALIVE}
    here = {found.address for interface in psutil.net_if_addrs().values() for found in interface}
    if not addresses & here:
        raise UserError(
            f"{head.given}: this machine is no node of that cluster ({', '.join(sorted(addresses)) or 'it has none'}); "
            "run on its head, or use `tuner submit --cluster`"
        )
