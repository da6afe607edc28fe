"""What /static gives: our own files, others' as VENDORED lists them, and the style that report.html has as well."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib.resources import files

from tuner.report.page.rendering import theme

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
SHARED_THEME = "theme.css"
_VERSION_CHARACTERS = 12


@dataclass(frozen=True)
class Asset:
    content: bytes
    media_type: str
    version: str
    """of its content: another content has another address, so that a browser may keep each for good"""


@functools.cache
def assets() -> dict[str, Asset]:
    """By file name."""
    folder = files(__package__) / "static"
    contents = {file.name: file.read_bytes() for file in folder.iterdir() if _suffix(file.name) in _TYPES}
    contents[SHARED_THEME] = theme().encode()
    return {name: _asset(name, content) for name, content in sorted(contents.items())}


def asset_url(name: str) -> str:
    """Raises KeyError for a file that there is not."""
    return f"/static/{name}?v={assets()[name].version}"


def _asset(name: str, content: bytes) -> Asset:
    return Asset(content, _TYPES[_suffix(name)], hashlib.sha256(content).hexdigest()[:_VERSION_CHARACTERS])


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]
