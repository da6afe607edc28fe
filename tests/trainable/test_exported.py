"""What is no exported model, or none that can be read; what is one, test_export.py reads."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from trainable.errors import UserError
from trainable.exported import is_exported, read_exported


def onnx_file(path: Path, **metadata: str) -> Path:
    """A graph of one identity."""
    import onnx
    from onnx import helper

    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "identity", values[:1], values[1:]),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 18)],
    )
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def pt2_file(path: Path, **metadata: str) -> Path:
    """An archive with metadata and no program."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/extra/thaw.json", json.dumps(metadata))
    return path


def test_files_are_known_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "search.onnx").mkdir()
    assert is_exported(Path("missing/model.onnx"))
    assert is_exported(Path("model.pt2"))
    assert not is_exported(Path("flowers"))
    assert not is_exported(tmp_path / "search.onnx")  # a search may be called so


@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_a_missing_file_is_a_mistake(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no such file; `tuner export NAME` writes"):
        read_exported(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_a_damaged_file_is_a_mistake(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read \(.+\); export the model again"):
        read_exported(tmp_path / name)


def test_a_file_whose_program_is_damaged_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.pt2: cannot be read \(.+\); export the model again"):
        read_exported(pt2_file(tmp_path / "model.pt2", format="1", labels="[]", image_size="32"))


def test_models_of_others_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("other/models/model.json", "{}")
    for file in (onnx_file(tmp_path / "other.onnx", author="somebody"), tmp_path / "other.pt2"):
        with pytest.raises(UserError, match="does not tell its labels, so `tuner export` did not write it"):
            read_exported(file)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"format '2' is not '1', the one that this version reads"):
        read_exported(onnx_file(tmp_path / "model.onnx", format="2", labels="[]"))


def test_without_onnxruntime_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    file = onnx_file(tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"needs onnxruntime: pip install 'thaw-tuner\[export\]'"):
        read_exported(file)


def test_reading_imports_neither_torch_nor_onnx() -> None:
    command = "import sys, trainable.exported; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert not {"torch", "onnx", "onnxruntime"} & set(ran.stdout.split())
