from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainable.checkpoint import load_checkpoint, save_checkpoint
from trainable.errors import UserError


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state = {"model": {"w": torch.rand(3)}, "epoch": 3, "best": {"value": None}, "labels": ["a"], "lr": 1e-3}
    path = tmp_path / "new" / "last.pt"
    save_checkpoint(path, state)
    loaded = load_checkpoint(path)
    assert torch.equal(loaded["model"].pop("w"), state["model"].pop("w"))  # type: ignore[attr-defined]
    assert loaded == state
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_writer_leaves_the_former_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"epoch": 1})

    def half(_: object, file) -> None:  # type: ignore[no-untyped-def]
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"epoch": 2})
    monkeypatch.undo()
    assert load_checkpoint(path) == {"epoch": 1}
    save_checkpoint(path, {"epoch": 2})
    assert load_checkpoint(path) == {"epoch": 2}


def test_a_missing_checkpoint_is_told_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    assert str(caught.value) == f"{path}: there is no checkpoint; train the trial again"


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", "cut"])
def test_a_damaged_checkpoint_is_told_in_a_line(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_checkpoint(path, {"model": torch.rand(100)})
    path.write_bytes(path.read_bytes()[:400] if isinstance(content, str) else content)
    with pytest.raises(UserError, match="the checkpoint cannot be read") as caught:
        load_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    torch.save({"model": Path("x")}, path)
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(path)
