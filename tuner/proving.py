"""Everything that can be found wrong before a trial runs: in the space, the weights and the data, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from search_spaces.check import prove
from search_spaces.overrides import NO_OVERRIDES, Overrides, override
from search_spaces.space import Space, load_space
from trainable.backbones import backbone_facts, count_blocks
from trainable.errors import UserError
from trainable.freezing import blocks_to_freeze
from trainable.metrics import Objective, parse_objective
from trainable.weights import Weights, download_weights, find_weights, require_weights, verify_weights
from tuner.config import DEFAULT_SPLIT, DataConfig
from tuner.preparation import PreparedData, examine, prepare


@dataclass(frozen=True)
class Proved:
    """A space whose every option makes a valid trial, with its weights and, where data were given, on those data."""

    space: Space
    objective: Objective
    weights: dict[str, Weights]
    data: PreparedData | None
    reading: DataConfig | None
    """how the data were read: what neither the data nor their options say is as the space says"""
    overrides: tuple[str, ...] = ()
    """what was replaced in the space, such as `backbone: resnet50 -> lite2`"""


def prove_all(
    space: str | Space,
    data: DataConfig | None,
    *,
    download: bool,
    overrides: Overrides = NO_OVERRIDES,
    with_weights: bool = True,
) -> Proved:
    """Prove a space, its pretrained weights and its data; images are decoded at every size on the way.

    Args:
        space: a shipped one's name or a file, or what was read from one
        overrides: values of the space that are replaced first
        with_weights: False where nothing is to be trained: weights may be missing

    Raises:
        UserError: every mistake found, one line each.
    """
    loaded, overridden = override(load_space(space) if isinstance(space, str) else space, overrides)
    mistakes: list[str] = []
    weights: dict[str, Weights] = {}
    prepared = reading = None
    with _collected(mistakes):
        weights = provide_weights(loaded.pretrained_backbones() if with_weights else (), download=download)
    if data:
        with _collected(mistakes):
            reading = _as_space_says(data, loaded)
            prepared = prepare(examine(reading, loaded.sizes()))
    task = prepared.task if prepared else None if loaded.task == "auto" else loaded.task
    in_space = prove(loaded, task) or list(_block_mistakes(loaded))
    if mistakes := [*in_space, *mistakes]:
        raise UserError(*dict.fromkeys(mistakes))
    return Proved(loaded, parse_objective(loaded.objective), weights, prepared, reading, overridden)


def _as_space_says(data: DataConfig, space: Space) -> DataConfig:
    """The data read for the space's task and split as it says, where the options leave that open."""
    if "auto" not in (space.task, data.task) and space.task != data.task:
        raise UserError(f"--task {data.task}: space {space.name!r} is for task {space.task}; leave out one of the two")
    task = space.task if data.task == "auto" else data.task
    return data.model_copy(update={"task": task, "split": data.split or space.split or DEFAULT_SPLIT})


@contextmanager
def _collected(mistakes: list[str]) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        mistakes += error.mistakes


def _block_mistakes(space: Space) -> Iterator[str]:
    """Freezing more blocks than a backbone has whose blocks only its building tells, as with any timm model."""
    sampled = space.occurring("backbone", "freeze", "stages", values=lambda axis: [value for _, value in axis.ends()])
    baseline = space.baseline_config()
    freezes: dict[str, set[int | str]] = {baseline.backbone: {stage.freeze or 0 for stage in baseline.plan}}
    for backbone, freeze, stages in sampled:
        of_stages = [stage.get("freeze") for stage in stages] if isinstance(stages, list) else []
        for given in (freeze, *of_stages):
            if given is not None:
                freezes.setdefault(str(backbone), set()).add(given if isinstance(given, int) else str(given))
    for backbone in freezes:
        if backbone_facts(backbone).blocks is not None:
            continue
        try:
            blocks = count_blocks(backbone)
        except UserError as error:
            yield from _placed(space, "backbone", error)
            continue
        for freeze in sorted(freezes[backbone], key=str):
            try:
                blocks_to_freeze(freeze, blocks, backbone)
            except UserError as error:
                yield from _placed(space, "freeze", error)


def _placed(space: Space, path: str, error: UserError) -> Iterator[str]:
    section = next((name for name in ("axes", "fixed") if path in getattr(space, name)), "baseline")
    for text in error.mistakes:
        yield space.mistake((section, path), text.removeprefix(f"{path}: "))


def provide_weights(backbones: tuple[str, ...], *, download: bool) -> dict[str, Weights]:
    """Pretrained weights on this machine, downloaded where they may be, each proved to fit its backbone.

    Raises:
        UserError: weights that are missing or do not fit, a line each.
    """
    mistakes: list[str] = []
    for backbone in backbones:
        with _collected(mistakes):
            if download and find_weights(backbone) is None:
                download_weights(backbone)
            for weights in require_weights([backbone]).values():
                verify_weights(weights)
    if mistakes:
        raise UserError(*mistakes)
    return require_weights(backbones)
