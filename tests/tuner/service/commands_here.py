"""Commands of the service in this process, without torch."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from tuner.service.commands import Ended
from tuner.service.data import listing, unpacking

INSPECTION = {"layout": "folders", "task": "multiclass", "images": 40, "problems": []}


async def run_here(command: Sequence[str], folder: Path, limit_seconds: float) -> Ended:  # noqa: ARG001
    """What a command would do, in this process; what `tuner inspect` finds is the same for all data."""
    told, mistakes = io.StringIO(), io.StringIO()
    modules = {"tuner.service.data.unpacking": unpacking, "tuner.service.data.listing": listing}
    module = modules.get(command[2])
    if module is None:
        return Ended(0, json.dumps(INSPECTION), "")
    try:
        with redirect_stdout(told), redirect_stderr(mistakes):
            module.main(*command[3:])
    except SystemExit as ended:
        return Ended(int(str(ended.code)), told.getvalue(), mistakes.getvalue())
    return Ended(0, told.getvalue(), mistakes.getvalue())
