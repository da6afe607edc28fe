"""Handing a message to the services that people named, by a process of its own that is ended when it takes long.

A service's address holds its password. It goes to that process over a pipe, and nothing that is told of it, to people
or in a log, has more of it than the kind of service.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import SecretStr

from trainable.errors import UserError
from tuner.notifications.messages import Message

Channel = SecretStr
"""an address such as `slack://...`, or a file of such"""

INSTALL = "pip install 'thaw-tuner[notify]'"
PROVING_SECONDS = 60.0
DELIVERY_SECONDS = 15.0
UNKNOWN, FAILED, DONE = "unknown", "failed", "done"


def prove_channels(channels: Sequence[Channel]) -> None:
    """Find out that all of them can be understood; nothing is sent.

    Raises:
        UserError: apprise is not installed, or which ones it cannot read.
    """
    if not channels:
        return
    if importlib.util.find_spec("apprise") is None:
        raise UserError(f"--notify needs apprise: {INSTALL}")
    answers = _answers(channels, None, PROVING_SECONDS)
    wrong = [_shown(channels, number) for number, answer in enumerate(answers) if answer != DONE]
    if wrong:
        raise UserError(
            *(f"{one}: neither an address that apprise knows, such as slack://..., nor a file of them" for one in wrong)
        )


def deliver(channels: Sequence[Channel], message: Message, seconds: float = DELIVERY_SECONDS) -> list[str]:
    """Hand a message to all of them; returns what went wrong, a line each."""
    answers = _answers(channels, message, seconds)
    wrong = {None: f"no answer in {seconds:g} s", FAILED: "it was refused, or nothing answers there"}
    return [
        f"{_shown(channels, number)}: {message.title!r} was not delivered ({wrong.get(answer, answer)})"
        for number, answer in enumerate(answers)
        if answer != DONE
    ]


def _answers(channels: Sequence[Channel], message: Message | None, seconds: float) -> list[str | None]:
    """What became of it at each of them; None: nothing in time."""
    asked = {
        "channels": [channel.get_secret_value() for channel in channels],
        "message": None if message is None else asdict(message),
    }
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    try:
        told = subprocess.run(
            [sys.executable, "-P", "-m", "tuner.notifications.send"],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries say has addresses in it
            timeout=seconds,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C in a terminal is this process's affair
        ).stdout
    except subprocess.TimeoutExpired as late:
        told = late.stdout or b""
    except OSError:
        told = b""
    answers = dict(json.loads(line) for line in told.splitlines(keepends=True) if line.endswith(b"\n"))
    return [answers.get(number) for number in range(len(channels))]


def _shown(channels: Sequence[Channel], number: int) -> str:
    """A channel as people may see it, such as `--notify 2 (slack)`."""
    service = re.match(r"([a-z]{2,20})s?://", channels[number].get_secret_value())
    return f"--notify {number + 1}" + (f" ({service[1]})" if service else "")
