"""The spaces that come with the package: every YAML file in this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from search_spaces.document import read_yaml
from trainable.errors import UserError, nearest

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ShippedSpace:
    """A row of `tuner spaces`."""

    name: str
    """what `load_space` takes; with its folder if it is in one"""
    about: str
    axes: int
    """how many fields it searches"""
    path: Path


def shipped_paths() -> dict[str, Path]:
    """The shipped files by name, in alphabetical order."""
    paths = sorted(_FOLDER.rglob("*.yaml"))
    return {path.relative_to(_FOLDER).with_suffix("").as_posix(): path for path in paths}


def shipped_spaces() -> list[ShippedSpace]:
    """What each shipped space is about; read without proving it."""
    spaces = []
    for name, path in shipped_paths().items():
        data = read_yaml(path).data
        spaces.append(ShippedSpace(name, " ".join(str(data.get("about", "")).split()), len(data["axes"]), path))
    return spaces


def find_space(path_or_name: Path | str) -> Path:
    """The file at a path, or the shipped file of a name with or without `.yaml`.

    Raises:
        UserError: there is neither; names the nearest shipped space.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = shipped_paths()
    name = str(path_or_name).removesuffix(".yaml").removesuffix(".yml")
    if name in shipped:
        return shipped[name]
    hint = nearest(name, shipped)
    raise UserError(
        f"space {str(path_or_name)!r}: there is no such file, and no shipped space of that name{hint} "
        f"(shipped: {', '.join(shipped)})"
    )
