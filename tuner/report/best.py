"""best.yaml and top/: a config, its result and where it came from; written to be rerun, read back strictly."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from search_spaces.document import Document, read_yaml
from trainable.errors import UserError, nearest
from tuner.children import lineage_of
from tuner.evidence.gathering import Evidence
from tuner.records import SearchRecord, TrialRecord
from tuner.report.leaderboard import to_csv, to_markdown
from tuner.report.shown import certainty
from tuner.store import Store, write_atomically
from tuner.tolerant import mapping, number

_PARTS = ("config", "result", "provenance")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"})
"""plain words that some YAML reader takes for something else than text"""
_REMEDY = "take it from the file that the search wrote"
_TOP_FILE = re.compile(r"\d{2,}-t\d+\.yaml")


def best_yaml(
    search: SearchRecord, trial: TrialRecord, splits: str = "splits.csv", evidence: Evidence | None = None
) -> str:
    """A trial as YAML with exactly `config`, `result` and `provenance`; its numbers read back equal to the bit.

    Args:
        search: the search that ran the trial
        trial: a trial with a result
        splits: where the search's splits.csv is, seen from the file that the YAML goes to
        evidence: gives rank, interval, ties and spread; None: rank by value

    Raises:
        ValueError: the trial has no result.
    """
    if trial.best_value is None:
        raise ValueError(f"trial {trial.id} has no result to write")
    record = {
        "config": trial.config,
        "result": _result(search, trial, evidence),
        "provenance": _provenance(search, trial, splits),
    }
    text = io.StringIO()
    _yaml_writer().dump(_plain(record), text)
    return text.getvalue()


def write_outputs(
    store: Store, search: SearchRecord, top_k: int, evidence: Evidence | None = None, conclusions: str = ""
) -> None:
    """Bring leaderboard.md, leaderboard.csv, best.yaml and the `top_k` files of top/ up to date, each atomically.

    Files in top/ that are named like its own but no longer belong there are removed. Before a trial is eligible there
    is no best.yaml. May be called as often as wanted while the search runs; what is up to date is not touched.
    Without `evidence` ranks are by value. `conclusions` go into leaderboard.md,
    and the plots that are there.
    """
    plots = sorted(path.relative_to(store.folder).as_posix() for path in store.plots.glob("*.png"))
    _refresh(store.leaderboard_md, to_markdown(search, evidence, conclusions=conclusions, plots=plots))
    _refresh(store.leaderboard_csv, to_csv(search, evidence))
    if search.best:
        _refresh(store.best_yaml, best_yaml(search, search.best, evidence=evidence))
    eligible = [trial for trial in search.ranked() if trial.eligible][:top_k]
    top = {f"{place:02}-{trial.id}.yaml": trial for place, trial in enumerate(eligible, start=1)}
    for name, trial in top.items():
        _refresh(store.top / name, best_yaml(search, trial, "../splits.csv", evidence))
    for path in store.top.glob("*.yaml"):
        if _TOP_FILE.fullmatch(path.name) and path.name not in top:
            path.unlink(missing_ok=True)


def read_best(path: Path | str) -> dict[str, Any]:
    """A file that `best_yaml` wrote, perhaps edited; or a bare config, which comes back under `config` alone.

    The config itself is left to TrialConfig to judge.

    Raises:
        UserError: the file is missing, is no YAML, or has other keys than it should; every mistake at once.
    """
    document = read_yaml(path)
    record = document.data
    known = [part for part in _PARTS if part in record]
    if not known:
        return {"config": record}
    exactly = f"a best.yaml has exactly {', '.join(_PARTS)}"
    mistakes = [
        document.mistake([name], f"is no key of it; {exactly}{nearest(name, _PARTS)}")
        for name in record
        if name not in _PARTS
    ]
    mistakes += [
        document.mistake([part], f"is missing; {exactly}; {_REMEDY}, or keep the config alone")
        for part in _PARTS
        if part not in record
    ]
    mistakes += [
        document.mistake([part], f"is {record[part]!r} but must be a mapping; {_REMEDY}")
        for part in known
        if not isinstance(record[part], dict)
    ]
    mistakes = mistakes or _result_mistakes(document)
    if mistakes:
        raise UserError(*mistakes)
    return record


def _result(search: SearchRecord, trial: TrialRecord, evidence: Evidence | None) -> dict[str, Any]:
    result = {
        "trial": trial.id,
        "rank": (evidence.ranks if evidence else search.ranks()).get(trial.id),
        "status": trial.status,
        "objective": {"metric": search.metric, "value": trial.best_value, "direction": search.direction},
        **certainty(search, trial, evidence),
        "best_epoch": trial.best_epoch,
        "epochs_run": trial.epochs_run,
        "val": trial.best_metrics,
        "trained_parameters": trial.trained_parameters,
        "total_parameters": trial.total_parameters,
        "seconds": trial.seconds,
    }
    if trial.test:
        result["test"] = trial.test
        result["test_reads"] = trial.test_reads
    thresholds = trial.best_details.get("thresholds")
    if trial.config.get("thresholds") == "fitted" and isinstance(thresholds, list):
        result["thresholds"] = dict(zip(search.labels, thresholds, strict=False))
    if per_class := mapping(trial.best_details.get("per_class")):
        result["per_class"] = per_class
    return result


def _provenance(search: SearchRecord, trial: TrialRecord, splits: str) -> dict[str, Any]:
    provenance = {
        "search": search.name,
        "space": search.space,
        "task": search.task,
        "data": {name: search.data.get(name) for name in ("root", "hash", "options")} | _data_hash(trial),
        "splits": splits,
        "labels": search.labels,
        "data_seed": search.data.get("data_seed"),
        "seed": search.seed,
        "precision": search.precision,
        "threads": search.threads,
        "device": trial.epochs[-1].device,
        "versions": search.versions,
        "git": search.git,
        "created": trial.updated,  # the event's time, so that the same log gives the same file
    }
    if sha256 := trial.facts.get("weights_sha256"):
        provenance["weights_sha256"] = sha256
    if compute := trial.epochs[-1].compute:
        provenance["compute"] = compute
    if search.plugins:
        provenance["plugins"] = search.plugins
    if trial.parent:
        provenance["parent"] = trial.parent
        provenance["lineage"] = [
            {"config": one.config.model_dump(mode="json"), "epochs_run": one.epochs}
            for one in lineage_of(search, trial)
        ]
    return provenance


def _data_hash(trial: TrialRecord) -> dict[str, Any]:
    """Of the data as they were when it began, which may have been changed on purpose since the search did."""
    return {"hash": trial.facts["data_hash"]} if trial.facts.get("data_hash") else {}


def _refresh(path: Path, text: str) -> None:
    try:
        current = path.read_bytes()
    except FileNotFoundError:
        current = b""
    if current != text.encode("utf-8", "backslashreplace"):
        write_atomically(path, text)


def _result_mistakes(document: Document) -> list[str]:
    """What a rerun needs from `result` and does not find."""
    result = document.data["result"]
    objective, epochs_run = mapping(result.get("objective")), result.get("epochs_run")
    metric, value, direction = (objective.get(name) for name in ("metric", "value", "direction"))
    rules = [
        (["epochs_run"], epochs_run, (number(epochs_run) or 0) > 0, "a number above 0"),
        (["objective", "metric"], metric, isinstance(metric, str), "a metric's name"),
        (["objective", "value"], value, number(value) is not None, "a finite number"),
        (["objective", "direction"], direction, direction in ("maximize", "minimize"), "maximize or minimize"),
    ]
    return [
        document.mistake(["result", *path], f"is {given!r} but must be {rule}; {_REMEDY}")
        for path, given, holds, rule in rules
        if not holds
    ]


def _plain(value: Any) -> Any:
    """Mappings and sequences as the dicts and lists that YAML represents."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _yaml_writer() -> YAML:
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # declared as None
    writer.allow_unicode = True
    writer.width = 1 << 20
    return writer


class _Representer(SafeRepresenter):
    """Writes what readers of YAML 1.1 (PyYAML) and 1.2 take for the same value."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def represent_exact_float(self, value: float) -> ScalarNode:
        text = repr(value)
        if "e" in text and "." not in text:  # PyYAML reads 1e-05 as text
            text = text.replace("e", ".0e")
        return self.represent_scalar("tag:yaml.org,2002:float", text)

    def represent_safe_text(self, value: str) -> ScalarNode:
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Representer.add_representer(float, _Representer.represent_exact_float)
_Representer.add_representer(str, _Representer.represent_safe_text)
