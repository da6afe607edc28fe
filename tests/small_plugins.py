"""A process as it was before plugins were loaded into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search_spaces.fields import refresh_fields
from trainable import plugins
from trainable.augment import AUGMENTS
from trainable.backbones import BACKBONES, CUSTOM, count_blocks
from trainable.config import TrialConfig
from trainable.metrics import METRICS

EXAMPLE = Path(__file__).parent.parent / "examples" / "plugin.py"
TABLES: tuple[dict[str, object], ...] = (AUGMENTS, BACKBONES, CUSTOM, METRICS, plugins._LOADED)  # type: ignore[assignment]
PARTS = ("head", "loss")


@pytest.fixture
def _plugins_end() -> Iterator[None]:
    """What the test registers is gone after it."""
    before = [dict(table) for table in TABLES]
    unions = {part: TrialConfig.model_fields[part].annotation for part in PARTS}
    yield
    for table, rows in zip(TABLES, before, strict=True):
        table.clear()
        table.update(rows)
    for part, union in unions.items():
        TrialConfig.model_fields[part].annotation = union
    TrialConfig.model_rebuild(force=True)
    count_blocks.cache_clear()
    refresh_fields()
