"""Files that a search leaves: tables and conclusions as artifacts of its task, models of the best trials as models."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tuner.records import SearchRecord, TrialRecord
from tuner.store import Store
from tuner.tracking.clearml.described import task_name
from tuner.tracking.clearml.server import Server

ARTIFACTS = {
    "leaderboard": "leaderboard.md",
    "leaderboard.csv": "leaderboard.csv",
    "conclusions": "conclusions.md",
    "best.yaml": "best.yaml",
    "report": "report.html",
}
"""artifact -> file in the search's folder"""
_PREVIEWED = (".md", ".csv", ".yaml")
_PREVIEW_CHARACTERS = 60_000


def show_files(server: Server, store: Store, kept: Mapping[str, Any], task: str) -> None:
    """Have the search's task have the files that are there, as they are now.

    Raises:
        UnreachableError, RefusedError
    """
    known: dict[str, Any] = kept["artifacts"]
    changed = False
    for key, name in ARTIFACTS.items():
        try:
            content, changed_at = (store.folder / name).read_bytes(), (store.folder / name).stat().st_mtime
        except FileNotFoundError:
            continue
        if key in known and known[key]["hash"] == _sha256(content):
            continue
        uri = server.upload(store.folder / name, f"{_place(store.name, task)}/artifacts/{key}/{name}")
        known[key] = _artifact(key, name, content, int(changed_at), uri)
        changed = True
    if changed:
        server.ask("tasks.edit", task=task, force=True, execution={"artifacts": list(known.values())})


def show_models(
    server: Server, store: Store, kept: Mapping[str, Any], search: SearchRecord, top: Iterable[TrialRecord]
) -> None:
    """Have these trials' tasks have the models of their best epochs; those that are not kept are left out.

    Raises:
        UnreachableError, RefusedError
    """
    for trial in top:
        task, epoch = kept["tasks"].get(trial.id), trial.best_epoch
        if task is None or kept["models"].get(trial.id) == epoch:
            continue
        checkpoint = store.fetch(store.best_checkpoint(trial.id))
        if not checkpoint.exists():
            continue
        uri = server.upload(checkpoint, f"{_place(task_name(trial), task)}/models/{trial.id}-best.pt")
        server.ask("tasks.edit", task=task, force=True, models=_models(_model(server, kept, search, trial, uri)))
        kept["models"][trial.id] = epoch


def _model(server: Server, kept: Mapping[str, Any], search: SearchRecord, trial: TrialRecord, uri: str) -> str:
    """The trial's model in ClearML's list of models: the one that is there, or a new one."""
    task = kept["tasks"][trial.id]
    told = {
        "name": f"{search.name} {task_name(trial)}",
        "uri": uri,
        "comment": f"best epoch {trial.best_epoch:g}, {search.metric} {trial.best_value}",
        "tags": ["thaw", f"search:{search.name}", "top"],
        "framework": "PyTorch",
    }
    found = server.ask("models.get_all", task=[task], only_fields=["id"]).get("models")
    if found:
        server.ask("models.edit", model=found[0]["id"], **told)
        return str(found[0]["id"])
    return str(server.ask("models.create", task=task, project=kept["project"], labels={}, ready=False, **told)["id"])


def _models(model: str) -> dict[str, Any]:
    return {"input": [], "output": [{"name": "best", "model": model}]}


def _artifact(key: str, name: str, content: bytes, changed_at: int, uri: str) -> dict[str, Any]:
    previewed = Path(name).suffix in _PREVIEWED
    preview = content.decode("utf-8", "replace")[:_PREVIEW_CHARACTERS] if previewed else ""
    return {
        "key": key,
        "type": "custom",
        "mode": "output",
        "uri": uri,
        "hash": _sha256(content),
        "content_size": len(content),
        "timestamp": changed_at,
        "type_data": {"preview": preview, "content_type": mimetypes.guess_type(name)[0] or "text/plain"},
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _place(name: str, task: str) -> str:
    """Where a task's files are put, beneath the place of all."""
    return f"Thaw/{name}.{task}"
