"""The token that a cluster may ask for, where this user has one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

MODE = "RAY_AUTH_MODE"


def use_token() -> None:
    """Show Ray's token (`~/.ray/auth_token`, unless it is told otherwise) to whatever cluster is spoken to.

    A head that is started where there is a token asks for it. Ray itself looks for one only where it finds the cluster
    itself, too.
    """
    from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # it speaks of a cluster that it starts
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


@contextmanager
def token_mode_as_before() -> Iterator[None]:
    """What Ray decides about tokens meanwhile is not for what this process starts or speaks to afterwards.

    Ray puts its decision into the environment, which child processes inherit.
    """
    from ray._raylet import Config  # type: ignore[attr-defined]  # compiled

    before = os.environ.get(MODE)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(MODE, None)
        else:
            os.environ[MODE] = before
        Config.initialize("")  # reads it again
