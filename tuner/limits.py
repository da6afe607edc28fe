"""Which configs keep a space's limits, by what its backbones take on this device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from search_spaces.space import Limits, Space
from trainable.config import TrialConfig
from trainable.errors import UserError
from tuner.ray_backend.resources import memory_key
from tuner.records import ModelCost

Model = tuple[str, int]
"""backbone and image size in pixels"""


@dataclass(frozen=True)
class Footprint:
    """What a backbone takes at one image size."""

    cost: ModelCost
    features: int
    """what its head is given of an image"""
    memory_gib: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    """blocks frozen -> images at once, ascending -> the most that training takes; only where that is limited"""

    def memory(self, frozen: int, images: int) -> float:
        """In GiB; numbers of images that were not measured lie on a line between those that were."""
        import numpy as np

        known = self.memory_gib[frozen]
        return float(np.interp(images, list(known), list(known.values())))


def measure_models(space: Space, labels: int, threads: int) -> dict[Model, Footprint]:
    """What each backbone of a space takes at each of its sizes, the baseline's first.

    Args:
        labels: of the data; the head's outputs
        threads: CPU threads of torch in a trial

    Raises:
        UserError: a backbone that cannot be built, or not at that size.
    """
    import torch

    from trainable.devices import trial_device
    from trainable.measure import MeasuredBackbone, torch_threads

    device, images = trial_device(), _images_at_once(space) if space.limits.memory_gib else []
    found: dict[Model, Footprint] = {}
    with torch_threads(threads):
        for backbone, size in _models(space):
            measured = MeasuredBackbone(backbone, size, labels, device, with_memory=bool(images))
            cost = ModelCost(**measured.facts)
            depths = range(measured.block_count + 1) if images else ()
            memory = {frozen: {count: measured.memory_gib(frozen, count) for count in images} for frozen in depths}
            found[backbone, size] = Footprint(cost, measured.features, memory)
            del measured  # before the memory of the last one is given back
    if device.type == "cuda":
        torch.cuda.empty_cache()  # trials share this GPU
    return found


def _models(space: Space) -> list[Model]:
    baseline = space.baseline_config()
    return list(dict.fromkeys([(baseline.backbone, baseline.image_size), *_sampled_models(space)]))


def _sampled_models(space: Space) -> list[Model]:
    """Those that a sampled trial can have."""
    found = space.occurring("backbone", "image_size", values=lambda axis: axis.values() or ())
    return list(dict.fromkeys((str(backbone), int(size)) for backbone, size in found))


def _images_at_once(space: Space) -> list[int]:
    """That pass the network together, ascending: each option, or low and high of a range."""
    baseline = space.baseline_config()
    found = space.occurring("batch_size", "micro_batch", values=lambda axis: [value for _, value in axis.ends()])
    pairs = [(baseline.batch_size, baseline.micro_batch), *found]
    return sorted({min(int(micro or batch), int(batch)) for batch, micro in pairs})


class Feasible:
    """The configs of a space that keep its limits."""

    def __init__(self, space: Space, footprints: Mapping[Model, Footprint], labels: int) -> None:
        """
        Args:
            footprints: of every backbone and size of the space; not needed where it has no limits
            labels: of the data; the head's outputs
        """
        self._limits = space.limits
        self._footprints = footprints
        self._labels = labels
        self.models = _sampled_models(space)
        """those that a sampled trial can have, limits aside"""

    @property
    def costs(self) -> list[ModelCost]:
        """What every backbone that was measured takes at every size, the baseline's first."""
        return [footprint.cost for footprint in self._footprints.values()]

    @property
    def never(self) -> list[str]:
        """What no trial can be because of the limits, one line for each backbone and size."""
        broken = {model: self.broken_by_all(model) for model in self.models if model in self._footprints}
        return [f"{backbone} at {size} px is never trained: {why}" for (backbone, size), why in broken.items() if why]

    def breach(self, config: TrialConfig) -> str | None:
        """What a config takes too much of, or None."""
        if self._limits == Limits():
            return None
        from trainable.measure import head_parameters

        found = self._footprints[config.backbone, config.image_size]
        head = head_parameters(config.head, found.features, self._labels)
        taken = {"parameters_m": (found.cost.parameters + head) / 1e6, "latency_ms": found.cost.latency_ms}
        if self._limits.memory_gib is not None:
            key = memory_key(config, "fp32")
            taken["memory_gib"] = found.memory(key.frozen, key.images)
        return self._broken(taken)

    def broken_by_all(self, model: Model) -> str | None:
        """What every config of a backbone and size takes too much of, or None."""
        return self._broken(self.least(model))

    def least(self, model: Model) -> dict[str, float]:
        """What any config of a backbone and size takes at least, by the names of limits."""
        found = self._footprints[model]
        memory = [gib for by_images in found.memory_gib.values() for gib in by_images.values()]
        return {
            "parameters_m": found.cost.parameters / 1e6,
            "latency_ms": found.cost.latency_ms,
            "memory_gib": min(memory, default=0.0),
        }

    def _broken(self, taken: Mapping[str, float]) -> str | None:
        limits = self._limits.model_dump(exclude_none=True)
        # not `>`: between images that fit and images that do not, memory is not a number
        broken = [name for name, limit in limits.items() if not taken[name] <= limit]
        return ", ".join(f"{_told(name, taken[name])} (limits.{name} {limits[name]:g})" for name in broken) or None


def prove_limits(space: Space, labels: int, threads: int) -> Feasible:
    """Measure a space's backbones, as `measure_models` does, and hold its limits against them.

    Without limits nothing is measured: workers do it once the trials are through.

    Raises:
        UserError: the baseline breaks a limit, or every config does; as `measure_models`.
    """
    if space.limits == Limits():
        return Feasible(space, {}, labels)
    feasible = Feasible(space, measure_models(space, labels, threads), labels)
    mistakes = []
    if broken := feasible.breach(space.baseline_config()):
        text = f"takes {broken}; choose a smaller one, or raise the limit"
        mistakes.append(space.mistake(("baseline",), text))
    if all(map(feasible.broken_by_all, feasible.models)):
        least = ", ".join(_least(space.limits, feasible))
        mistakes.append(space.mistake(("limits",), f"no config keeps them; the least that there is: {least}"))
    if mistakes:
        raise UserError(*mistakes)
    return feasible


def _least(limits: Limits, feasible: Feasible) -> Iterator[str]:
    """The least of what is limited, and whose."""
    for name in limits.model_dump(exclude_none=True):
        by_model = {model: feasible.least(model)[name] for model in feasible.models}
        (backbone, size), taken = min(by_model.items(), key=lambda item: item[1])
        yield f"{_told(name, taken)} ({backbone} at {size} px)"


def _told(name: str, taken: float) -> str:
    """An amount as a limit of this name is about it."""
    forms = {"parameters_m": "{:.3g} M parameters", "latency_ms": "{:.3g} ms an image", "memory_gib": "{:.2g} GiB"}
    return forms[name].format(taken)
