"""What a person's own file adds to the tables: backbones, heads, losses, metrics, augmentations.

    from trainable.plugins import register_head

    class NormedHead(Strict): ...

    register_head(NormedHead)

A plugin is known by the bytes of its file: their sha256 is in every record, and a worker runs the text that the driver
read.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args

from trainable.augment import AUGMENTS, Policy
from trainable.backbones import BACKBONES, CUSTOM, Backbone, BackboneFacts, CustomBackbone
from trainable.config import TrialConfig, type_name
from trainable.errors import UserError
from trainable.metrics import METRICS, Metric
from trainable.strict import Strict

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Plugin:
    """A file of a person's own."""

    name: str
    """the file's name"""
    source: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()


_LOADED: dict[str, Plugin] = {}


def loaded_plugins() -> tuple[Plugin, ...]:
    """The plugins of this process, in the order loaded."""
    return tuple(_LOADED.values())


def read_plugin(path: Path) -> Plugin:
    """The plugin in a file, not yet run.

    Raises:
        UserError: there is no such file, or it is no text.
    """
    try:
        return Plugin(path.name, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--plugin {path}: cannot be read ({error.strerror}); give a Python file") from None
    except UnicodeDecodeError:
        raise UserError(f"--plugin {path}: is no text; give a Python file") from None


def load_plugin(plugin: Plugin) -> None:
    """Run a plugin's text, which registers what it adds; a second time does nothing.

    Raises:
        UserError: it fails, registers nothing, or a name that is taken, or another plugin of its name is loaded.
    """
    known = _LOADED.get(plugin.name)
    if known is not None and known.sha256 != plugin.sha256:
        raise UserError(f"--plugin {plugin.name}: another file of this name is loaded; rename one of the two")
    if known is not None:
        return
    module = types.ModuleType(f"thaw_plugin_{plugin.sha256[:12]}")
    sys.modules[module.__name__] = module  # where its classes look up their annotations
    file = f"<plugin {plugin.name}>"
    linecache.cache[file] = (len(plugin.source), None, plugin.source.splitlines(keepends=True), file)
    before = _registered()
    try:
        exec(compile(plugin.source, file, "exec"), module.__dict__)
    except UserError as error:
        raise UserError(*(f"--plugin {plugin.name}: {mistake}" for mistake in error.mistakes)) from None
    except Exception as error:  # whatever a person's own file does
        raise UserError(f"--plugin {plugin.name}: {_where(error, file)}{type(error).__name__}: {error}") from error
    if _registered() == before:
        raise UserError(f"--plugin {plugin.name}: registers nothing; call one of {', '.join(_REGISTRARS)}")
    _LOADED[plugin.name] = plugin


def register_backbone(
    facts: BackboneFacts, build: Callable[[], nn.Module], split: Callable[[nn.Module], Backbone]
) -> None:
    """Add a row of BACKBONES.

    Args:
        facts: with `library` plugin, and the number of its blocks; weights are looked for by its name
        build: the model, randomly initialised, as its checkpoints have it
        split: that model as blocks, neck and features, with the facts' mean and std
    """
    _require_free(facts.name, BACKBONES, "backbone")
    if facts.library != "plugin" or facts.blocks is None:
        raise UserError(f"backbone {facts.name!r}: give library 'plugin' and the number of blocks")
    BACKBONES[facts.name] = facts
    CUSTOM[facts.name] = CustomBackbone(build, split)


def register_head(head: type[Strict]) -> None:
    """Add a class like those of heads.py: a literal `kind`, bounded fields, `build(features, outputs)`."""
    _extend("head", head)


def register_loss(loss: type[Strict]) -> None:
    """Add a class like those of losses.py: a literal `kind`, fields, `build(task, positives, images, device)`."""
    _extend("loss", loss)


def register_metric(
    name: str,
    compute: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], float],
    *,
    direction: Any = "maximize",
    on: Any = "decisions",
    meaning: str = "",
) -> None:
    """Add a row of METRICS.

    Args:
        name: without an average
        compute: from probabilities, decisions and targets, all `[images, labels]`
        direction: maximize or minimize
        on: decisions, if thresholds change it, or probabilities
        meaning: in a few words
    """
    _require_free(name, METRICS, "metric")
    METRICS[name] = Metric(direction, averaged=False, on=on, meaning=meaning, compute=compute)


def register_augment(name: str, draws: int, apply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    """Add a row of AUGMENTS: uint8 `[n, size, size, 3]` and draws in 0..1 `[n, draws]` -> uint8, same shape.

    It must act on each image alone.
    """
    _require_free(name, AUGMENTS, "augmentation")
    AUGMENTS[name] = Policy(draws, apply)


_REGISTRARS = ("register_backbone", "register_head", "register_loss", "register_metric", "register_augment")


def _extend(field: str, member: type[Strict]) -> None:
    """Let a union of TrialConfig have one more member."""
    info = TrialConfig.model_fields[field]
    members = get_args(info.annotation)
    if not (isinstance(member, type) and issubclass(member, Strict) and hasattr(member, "build")):
        raise UserError(f"{field} {member!r}: must be a class of trainable.strict.Strict with a method `build`")
    if "kind" not in member.model_fields:
        raise UserError(f"{field} {member.__name__}: needs a field `kind: Literal[...]`, its name in a space")
    _require_free(type_name(member), [type_name(known) for known in members], field)
    info.annotation = Union[(*members, member)]  # type: ignore[assignment]
    TrialConfig.model_rebuild(force=True)


def _require_free(name: str, known: Any, what: str) -> None:
    if name in known:
        raise UserError(f"{what} {name!r}: is there already; choose another name")


def _registered() -> tuple[int, ...]:
    unions = [len(get_args(TrialConfig.model_fields[field].annotation)) for field in ("head", "loss")]
    return (len(BACKBONES), len(METRICS), len(AUGMENTS), *unions)


def _where(error: Exception, file: str) -> str:
    """`line 7: ` of the plugin, where its traceback or a syntax error tells."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return f"line {error.lineno}: "
    trace, line = error.__traceback__, None
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == file else line
        trace = trace.tb_next
    return f"line {line}: " if line else ""
