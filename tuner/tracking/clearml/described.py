"""What a task is made with, in one request: its name, tags, settings, code and packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.provenance import git_remote
from tuner.records import SearchRecord, TrialRecord
from tuner.report import table
from tuner.store import Store
from tuner.tracking.told import hyperparameters, tags

SHORTEST_NAME = 3
"""letters in the name of a project or a task, by ClearML's rule"""

Fields = dict[str, Any]


def task_name(trial: TrialRecord) -> str:
    """Such as `t0007-lite0`; no two trials of a search share one."""
    return f"{trial.id}-{trial.config.get('backbone')}"


def long_enough(name: str) -> str:
    return name if len(name) >= SHORTEST_NAME else f"search {name}"


def describe_search(search: SearchRecord, store: Store, mark: str) -> Fields:
    """Fields of `tasks.create` for the search's own task."""
    settings = {
        "space": search.space,
        "task": search.task,
        "objective": search.metric,
        "direction": search.direction,
        "sampler": search.sampler,
        "scheduler": table.named(search.scheduler, first=("kind",)),
        "trials": search.budget,
        "seed": search.seed,
        "precision": search.precision,
        "data": search.data.get("root"),
        "data_hash": search.data.get("hash"),
        "data_seed": search.data.get("data_seed"),
    }
    described = {
        "name": long_enough(search.name),
        "type": "optimizer",
        "tags": ["thaw", f"search:{search.name}", f"space:{search.space}"],
        "comment": f"{search.about or search.space} (Thaw search {search.name}, {mark})",
        "hyperparams": _section("search", {name: table.short(value) for name, value in settings.items()}),
        "script": _script(search),
    }
    if resolved := resolved_yaml(store, search):
        item = {"name": "search.yaml", "value": resolved, "type": "yaml"}
        described["configuration"] = {"search.yaml": item}
    return described


def describe_trial(search: SearchRecord, trial: TrialRecord, mark: str) -> Fields:
    """Fields of `tasks.create` for a trial's task."""
    return {
        "name": task_name(trial),
        "type": "training",
        "tags": tags(search, trial, is_top=False),
        "comment": f"trial {trial.id} of Thaw search {search.name} ({mark})",
        "hyperparams": _section("trial", hyperparameters(trial)),
        "script": _script(search),
    }


def _section(name: str, values: Mapping[str, str]) -> Fields:
    """Settings as ClearML keeps them: texts, in sections."""
    return {name: {key: {"section": name, "name": key, "value": value} for key, value in values.items()}}


def _script(search: SearchRecord) -> Fields:
    """The code that trains, at its commit, and the packages that matter."""
    commit = (search.git or "").removesuffix("+")
    packages = [f"{name}=={version}" for name, version in sorted(search.versions.items()) if name != "python"]
    changed = "# and changes that were in no commit\n" if (search.git or "").endswith("+") else ""
    python = f"# Python {search.versions['python']}\n" if "python" in search.versions else ""
    return {
        "binary": "python",
        "repository": (git_remote() or "") if commit else "",
        "version_num": commit,
        "entry_point": "-m tuner.cli",
        "working_dir": ".",
        "requirements": {"pip": python + "\n".join(packages)},
        "diff": changed,
    }


def resolved_yaml(store: Store, search: SearchRecord) -> str:
    """The search with every default, as YAML."""
    if search.resolved:
        return search.resolved
    try:
        return store.search_yaml.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
