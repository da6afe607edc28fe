"""A command line as what a server takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainable.errors import UserError
from tuner.cli.elsewhere import Call
from tuner.cli.options import OVERRIDING, READING, numbers

_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("name", "objective", "seed", "repeats", "folds", "audit", "precision", "warm_start")},
    **{name: (name,) for name in ("hypothesis", "notes", "tracking", "offline")},
    "top": ("top_k",),
    "reference": ("references",),
    **{name: ("budget", name) for name in ("trials", "hours", "gpu_hours", "disk_gib")},
    **{name: ("resources", name) for name in ("workers", "cpus_per_trial", "gpus_per_trial", "threads_per_trial")},
    **{name: ("reading", name) for name in READING},
    **{name: ("overrides", name) for name in OVERRIDING if name != "objective"},
}
"""where a submission has what an option of `search` gives"""
SUBMITTED = frozenset({"space", "data", "train_fractions", *_ELSEWHERE})
"""parameters of `search` that a server takes"""


def submission_of(call: Call) -> dict[str, Any]:
    """A search, as its command line has it.

    Raises:
        UserError: the space has mistakes, or the data are here and not there.
    """
    submission: dict[str, Any] = {**space_of(str(call.value("space"))), "data": _data_set(call.value("data"))}
    for parameter in call.given():
        if parameter.name == "train_fractions":
            submission["train_fractions"] = numbers("--train-fractions", call.value(parameter.name))
        elif parameter.name in _ELSEWHERE:
            *parts, field = _ELSEWHERE[parameter.name]
            part = submission
            for name in parts:
                part = part.setdefault(name, {})
            part[field] = call.value(parameter.name)
    return submission


def space_of(given: str) -> dict[str, str]:
    """A space as a server takes it: a shipped one by its name, a file by its text; raises UserError as `load_space`."""
    from search_spaces.shipped import find_space, shipped_paths
    from search_spaces.space import load_space

    load_space(given)
    path = find_space(given)
    shipped = next((name for name, file in shipped_paths().items() if file == path), None)
    return {"space": shipped} if shipped else {"space_yaml": path.read_text(encoding="utf-8")}


def _data_set(given: Path) -> str:
    if given.name == str(given):
        return given.name
    raise UserError(
        f"--data {given}: a server searches data sets that it knows by a name; `tuner upload {given} --name NAME` "
        "gives it a copy, then --data NAME"
    )
