"""What prove.py proves, as a test: `pytest -m long tests/netlab`, as root. A quarter of an hour."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from lab import why_not
from prove import NAME, proven

pytestmark = pytest.mark.long


def test_a_search_by_ray_up_outlives_the_loss_of_a_host(tmp_path: Path) -> None:
    """The proof asserts; that it comes to its end is what is tested."""
    if reason := why_not():
        pytest.skip(reason)
    with proven(tmp_path / "lab", f"t{os.getpid()}", Path(sys.prefix)) as proof:
        assert proof.record(NAME).status == "complete"
