from __future__ import annotations

from pathlib import Path

import pytest

from trainable.errors import UserError
from tuner.shipping.new_folder import new_folder


def test_a_filled_folder_comes_to_its_place(tmp_path: Path) -> None:
    place = tmp_path / "export" / "t0001"
    with new_folder(place, "remedy") as unfinished:
        (unfinished / "model").write_text("all of it")
        assert not place.exists()
    assert [path.name for path in place.iterdir()] == ["model"]
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize("ending", [ValueError, KeyboardInterrupt])
def test_nothing_stays_of_what_was_not_finished(ending: type[BaseException], tmp_path: Path) -> None:
    def fill_half() -> None:
        with new_folder(tmp_path / "export" / "t0001", "remedy") as unfinished:
            (unfinished / "model").write_text("half of it")
            raise ending

    with pytest.raises(ending):
        fill_half()
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    for place in (tmp_path, tmp_path / "model"):
        with (
            pytest.raises(UserError, match="exists, and nothing is overwritten; give another one"),
            new_folder(place, "give another one"),
        ):
            pytest.fail("the block runs")
    assert (tmp_path / "model").read_text() == "mine"


def test_a_place_below_a_file_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"), new_folder(tmp_path / "file" / "out", ""):
        pytest.fail("the block runs")
