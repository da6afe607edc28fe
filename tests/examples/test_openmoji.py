"""The example set: several labels with groups, or class folders; one does not leave its pictures in the other."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from trainable.data.manifest import read_manifest

SCRIPT = Path(__file__).parents[2] / "examples" / "openmoji.py"
pytest.importorskip("resvg_py")


@pytest.mark.real
def test_a_set_of_labels_becomes_a_set_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(*options: str) -> str:
        monkeypatch.setattr(
            sys, "argv", ["openmoji.py", str(tmp_path / "moji"), "--size", "16", "--limit", "45", *options]
        )
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    assert "several of" in make()
    labelled = read_manifest(tmp_path / "moji")
    assert labelled.task == "multilabel"
    assert len({row.group for row in labelled.rows}) < len(labelled.rows) <= 45

    make("--classes")
    classes = read_manifest(tmp_path / "moji")
    assert (classes.layout, classes.task) == ("a folder per class, 9 classes", "multiclass")
    assert {label: sum(label in row.labels for row in classes.rows) for label in classes.labels} == dict.fromkeys(
        classes.labels, 5
    )
    assert "nothing to do" in make("--classes")

    make()
    assert {row.image for row in read_manifest(tmp_path / "moji").rows} == {row.image for row in labelled.rows}
