"""How a search's space, data, weights and code differ from what they were when it was left: a line a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search_spaces.fields import flattened
from trainable.data.splits import read_splits
from tuner.preparation import PreparedData
from tuner.proved import ProvedSearch
from tuner.provenance import code_sha256, versions
from tuner.store import Store
from tuner.tolerant import mapping, text

SHOWN_IMAGES = 3
IS_NOT_WHAT_IT_WAS = "is not what it was when it was left"
"""in what is said of a search whose changes nobody has accepted"""


def changes_since(stored: Mapping[str, Any], store: Store, proved: ProvedSearch) -> Iterator[str]:
    """What differs in code, weights and data.

    Args:
        stored: what the search last said of them, as `resolved_yaml`
    """
    yield from differences("versions", mapping(stored.get("versions")), versions())
    before, now = text(stored.get("code")), code_sha256()
    if before != now:
        yield f"code: {before[:12] or '(not there)'} -> {now[:12]} (this program's own files)"
    known = {name: mapping(told).get("sha256") for name, told in mapping(stored.get("weights")).items()}
    of_today = {name: sha256 for name, sha256 in proved.weights_sha256.items() if name in known}
    yield from differences("weights", {name: known[name] for name in of_today}, of_today)
    yield from _in_data(store, mapping(stored.get("data")), proved.data)


def differences(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A line for each key that differs."""
    earlier, today = flattened(before), flattened(now)
    for key in dict.fromkeys([*earlier, *today]):
        if earlier.get(key) != today.get(key):
            yield f"{name}.{key}: {_shown(earlier, key)} -> {_shown(today, key)}"


def _shown(found: Mapping[str, Any], key: str) -> str:
    return str(found[key]) if key in found else "(not there)"


def _in_data(store: Store, stored: Mapping[str, Any], now: PreparedData) -> Iterator[str]:
    if stored.get("hash") == now.hash:
        return
    told = list(_in_images(store, now))
    labels = (", ".join(map(str, stored.get("labels") or ())), ", ".join(now.labels))
    told += [f"data.labels: {labels[0]} -> {labels[1]}"] * (labels[0] != labels[1])
    yield from told or [f"data.hash: {text(stored.get('hash'))[:12]} -> {now.hash[:12]}"]


def _in_images(store: Store, now: PreparedData) -> Iterator[str]:
    before = {row.image: row for row in read_splits(store.splits)}
    today = {row.image: row for row in now.rows}
    changed = [image for image in before.keys() & today.keys() if before[image] != today[image]]
    kinds = {"added": today.keys() - before.keys(), "gone": before.keys() - today.keys(), "changed": changed}
    for kind, images in kinds.items():
        if images:
            some = ", ".join([*sorted(images)[:SHOWN_IMAGES], *["..."] * (len(images) > SHOWN_IMAGES)])
            yield f"data: {len(images)} image{'s' * (len(images) > 1)} {kind}: {some}"
