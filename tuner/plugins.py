"""Plugins of a command: loaded before anything reads a space or a config, and asked for again where they were used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from search_spaces.fields import refresh_fields
from trainable.errors import UserError
from trainable.plugins import load_plugin, loaded_plugins, read_plugin


def load_plugins(files: Iterable[Path]) -> None:
    """Load files of a person's own into this process.

    Raises:
        UserError: a file is missing or fails; a line each.
    """
    mistakes: list[str] = []
    for file in files:
        try:
            load_plugin(read_plugin(file))
        except UserError as error:
            mistakes += error.mistakes
    refresh_fields()
    if mistakes:
        raise UserError(*mistakes)


def plugin_hashes() -> dict[str, str]:
    """File name -> sha256 of every plugin of this process."""
    return {plugin.name: plugin.sha256 for plugin in loaded_plugins()}


def require_plugins(recorded: Mapping[str, Any], user: str) -> None:
    """Make sure that the plugins something was made with are loaded here, to the byte.

    Raises:
        UserError: one is not, or another version of it is; `user` says what needs it.
    """
    here = plugin_hashes()
    mistakes = [
        f"{user} needs plugin {name} (sha256 {str(sha256)[:12]}): "
        + (f"the one given has {here[name][:12]}; give the same file" if name in here else "give it with --plugin")
        for name, sha256 in recorded.items()
        if here.get(name) != sha256
    ]
    if mistakes:
        raise UserError(*mistakes)
