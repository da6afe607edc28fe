"""What a node lacks, in lines that people understand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tuner.ray_backend.needs import Needs, shortcomings


@pytest.fixture
def needs(tmp_path: Path) -> Needs:
    """Of which this machine has everything."""
    for name in ("cat.png", "resnet18.pth", "splits.csv"):
        (tmp_path / name).touch()
    return Needs.of_driver(tmp_path / "cat.png", (str(tmp_path / "resnet18.pth"),), str(tmp_path / "splits.csv"))


def test_the_driver_s_own_machine_lacks_nothing(needs: Needs) -> None:
    assert shortcomings(needs) == []


def test_other_versions_are_named(needs: Needs) -> None:
    (found,) = shortcomings(replace(needs, versions={**needs.versions, "torch": "0.1", "extra": "2.0"}))
    assert found.startswith("other version: torch ")
    assert "instead of 0.1, extra (none) instead of 2.0; install the same versions on all nodes" in found


def test_other_files_of_this_project(needs: Needs) -> None:
    (found,) = shortcomings(replace(needs, code="0" * 64))
    assert found.startswith("other version: this project's files")


def test_all_that_cannot_be_seen_is_told(needs: Needs) -> None:
    elsewhere = replace(needs, image="/no/cat.png", weights=("/no/weights.pth",), results="/no/results/splits.csv")
    data, weights, results = shortcomings(elsewhere)
    assert data.startswith("data not there: /no/cat.png; ")
    assert weights.startswith("weights not there: /no/weights.pth; ")
    assert results.startswith("results are local to the head: /no/results is not the same folder there; ")
    assert "--results s3://... or a path that all nodes mount" in results
