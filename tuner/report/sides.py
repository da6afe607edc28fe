"""What is compared: a search by its best trial, or one trial by the YAML file that a search wrote of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search_spaces.document import parse_yaml, read_yaml
from trainable.config import parse_config
from trainable.errors import UserError
from tuner.records import EpochRecord, SearchRecord, TrialRecord
from tuner.report.best import read_best
from tuner.storage.place import Place, as_place, beneath
from tuner.store import Store
from tuner.tolerant import flat, integer, mapping, metrics, number, text


@dataclass(frozen=True)
class Side:
    """One of two that are compared."""

    label: str
    search: SearchRecord
    """of a file whose search is not at hand: what the file says of it"""
    trial: TrialRecord
    """the best one, or the file's"""
    store: Store | None
    """None: the file's search is not at hand"""
    is_file: bool
    source: Mapping[str, Any] = field(default_factory=dict)
    """search.yaml; empty where it is not at hand"""

    @property
    def config(self) -> dict[str, Any]:
        """The trial's config by dotted path, with today's defaults where it is older; what is null is left out."""
        config = dict(self.trial.config)
        with contextlib.suppress(UserError):  # made with a plugin that is not at hand, or by another version
            config = parse_config(config).model_dump(mode="json")
        return {path: value for path, value in flat(config).items() if value is not None}

    @property
    def space(self) -> Mapping[str, Any]:
        """The space as its author wrote it; empty where it is not known."""
        try:
            return parse_yaml(text(self.source.get("space")), "space").data
        except UserError:
            return {}


def read_side(given: str, results: Place) -> Side:
    """A search's name or folder, or a best.yaml or a file of top/.

    Raises:
        UserError: there is no such search or file, or it holds no result yet.
    """
    return _of_file(Path(given), results) if Path(given).is_file() else _of_search(given, results)


def _of_search(given: str, results: Place) -> Side:
    store = Store.open(given, results)
    search = store.record()
    if search.best is None:
        raise UserError(f"search {store.name!r}: no trial has finished, so there is nothing to compare yet")
    return Side(store.name, search, search.best, store, is_file=False, source=_search_yaml(store))


def _of_file(path: Path, results: Place) -> Side:
    record = read_best(path)
    if "result" not in record:
        raise UserError(f"{path}: is a config without a result; give a best.yaml, or train it first with `tuner train`")
    try:
        config = parse_config(record["config"]).model_dump(mode="json")
    except UserError as error:
        raise UserError(*(f"{path}: {mistake}" for mistake in error.mistakes)) from None
    recorded = _recorded(record, config)
    (trial,) = recorded.trials
    label = f"{path.absolute().parent.name}/{path.name}"
    for store, search in _searches_at_hand(path, results, recorded.name):
        original = next((one for one in search.trials if one.id == trial.id), None)
        if original and original.best_value == trial.best_value and search.data.get("hash") == recorded.data["hash"]:
            return Side(label, search, original, store, is_file=True, source=_search_yaml(store))
    return Side(label, recorded, trial, None, is_file=True)


def _searches_at_hand(path: Path, results: Place, name: str) -> Iterator[tuple[Store, SearchRecord]]:
    """Where the file's search may lie: around the file, or by its name in the results folder."""
    folders = (path.absolute().parent, path.absolute().parent.parent, beneath(as_place(results), name))
    for store in map(Store, dict.fromkeys(folders)):
        if store.home.exists():
            yield store, store.record()


def _recorded(record: Mapping[str, Any], config: Mapping[str, Any]) -> SearchRecord:
    """A file's trial as the only one of its search."""
    result, provenance = mapping(record["result"]), mapping(record["provenance"])
    objective, data = mapping(result.get("objective")), mapping(provenance.get("data"))
    value, epoch = number(objective.get("value")), number(result.get("best_epoch")) or 0
    best = EpochRecord(epoch, value=value, best_value=value, best_epoch=epoch, val=metrics(result.get("val")))
    trial = TrialRecord(
        id=text(result.get("trial")),
        number=0,
        config=config,
        status=text(result.get("status")),
        epochs=(best,),
        test=metrics(result.get("test")),
    )
    labels = provenance.get("labels")
    return SearchRecord(
        name=text(provenance.get("search")),
        space=text(provenance.get("space")),
        task=text(provenance.get("task")),
        metric=text(objective.get("metric")),
        direction="minimize" if objective.get("direction") == "minimize" else "maximize",
        labels=tuple(map(str, labels)) if isinstance(labels, list) else (),
        data={"hash": data.get("hash"), "root": data.get("root"), "options": data.get("options")}
        | {"data_seed": provenance.get("data_seed")},
        seed=integer(provenance.get("seed")),
        versions=mapping(provenance.get("versions")),
        git=text(provenance.get("git")) or None,
        threads=integer(provenance.get("threads")) or 1,
        precision=text(provenance.get("precision")),
        trials=(trial,),
    )


def _search_yaml(store: Store) -> Mapping[str, Any]:
    try:
        return read_yaml(store.search_yaml).data
    except UserError:
        return {}
