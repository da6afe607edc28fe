"""How far a tracker has shown a search, and what it must know to go on; a file of its own, which others read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tuner.links import FOLDER, links_of, read_cursor
from tuner.store import write_atomically
from tuner.tolerant import integer, mapping

_FORMAT = 1


class Cursor:
    """One tracker's mark in a search's log, `tracking/<tracker>.json`. What it holds is true once it is saved."""

    def __init__(self, search_folder: Path, tracker: str) -> None:
        self.path = search_folder / FOLDER / f"{tracker}.json"
        told = read_cursor(self.path)
        self.seq = integer(told.get("seq")) or 0
        """number of the last event that is shown, with all before it"""
        self.is_finished = told.get("finished") is True
        """whether the search's files are shown too, as they were after that event"""
        self.kept: dict[str, Any] = dict(mapping(told.get("kept")))
        """what the tracker remembers, as JSON has it"""
        self.links = links_of(told)
        """where the tracker shows things on the web; replaced by it whole"""

    def save(self) -> None:
        """Write it, durably. Raises OSError."""
        told = {"seq": self.seq, "finished": self.is_finished, "links": asdict(self.links), "kept": self.kept}
        write_atomically(self.path, json.dumps({"v": _FORMAT} | told, indent=1) + "\n")
