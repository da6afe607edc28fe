"""The process that hands one message to services: asked on stdin, it answers on stdout with a line for each of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from apprise import Apprise, AppriseConfig, NotifyFormat

from tuner.notifications.delivery import DONE, FAILED, UNKNOWN


def send(channels: Sequence[str], message: Mapping[str, Any] | None, answer: Callable[[int, str], object]) -> None:
    """Hand a message to each channel, all at once; None: only find out whether they are understood."""
    with ThreadPoolExecutor(len(channels)) as at_once:
        for number, channel in enumerate(channels):
            at_once.submit(_send, channel, message, partial(answer, number))


def _send(channel: str, message: Mapping[str, Any] | None, answer: Callable[[str], object]) -> None:
    service = Apprise()
    understood = service.add(AppriseConfig(paths=channel) if Path(channel).is_file() else channel)
    if not understood or not len(service):
        answer(UNKNOWN)
    elif message is None:
        answer(DONE)
    else:
        text = {"title": message["title"], "body": message["body"], "notify_type": message["kind"]}
        answer(DONE if service.notify(**text, body_format=NotifyFormat.TEXT) else FAILED)


def main() -> None:
    """Do what stdin asks for."""
    asked = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    send(**asked, answer=lambda number, answer: print(json.dumps([number, answer]), file=answers, flush=True))


if __name__ == "__main__":
    main()
