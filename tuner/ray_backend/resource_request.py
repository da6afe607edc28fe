"""What a trial asks Ray for."""

from __future__ import annotations

from collections.abc import Collection

from ray.tune import PlacementGroupFactory

_NODE_ID = "ray.io/node-id"
"""the label that Ray gives each node"""


def request(cpu: float, gpu: float, avoid: Collection[str]) -> PlacementGroupFactory:
    """So much of any node but some, by their ids."""
    selector = {"bundle_label_selector": [{_NODE_ID: f"!in({','.join(sorted(avoid))})"}]} if avoid else {}
    return PlacementGroupFactory([{"CPU": cpu, "GPU": gpu}], **selector)
