from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from plot_records import guessed, mixed_search, search, source, trial, write_predictions

from tuner.records import SearchRecord
from tuner.report.plots import PLOTS, draw_plots, pictures
from tuner.store import Store
from tuner.tolerant import integer


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


@pytest.mark.real
def test_pictures_are_written_as_png_in_the_order_of_the_table(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = mixed_search(8)
    assert record.best
    write_predictions(store.test_predictions(record.best.id), *guessed(40, 3, multilabel=True))
    written = draw_plots(store, record)
    assert names(written) == [name for name in PLOTS if name != "confusion"]
    for path in written:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert 600 <= picture.width <= 1400
            assert integer(round(picture.info["dpi"][0])) == 120
            assert "Software" not in picture.info
    assert sorted(store.plots.iterdir()) == sorted(written)  # no unfinished file stays


def test_what_has_nothing_to_show_is_not_written_and_an_old_one_goes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert draw_plots(store, SearchRecord()) == []
    assert not store.plots.exists()
    store.plots.mkdir()
    (store.plots / "labels.png").write_bytes(b"old")
    (store.plots / "mine.png").write_bytes(b"of a person")
    assert names(draw_plots(store, search(trial(0, [0.5])))) == ["learning_curves", "losses", "history"]
    assert not (store.plots / "labels.png").exists()
    assert (store.plots / "mine.png").exists()


def test_the_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    given = source(tmp_path, mixed_search(8))
    first = pictures.draw_png(PLOTS["learning_curves"], given)
    assert first == pictures.draw_png(PLOTS["learning_curves"], given)


def test_a_picture_that_fails_costs_only_itself_and_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(numbers: object) -> None:
        raise ZeroDivisionError(str(type(numbers)))

    broken = pictures.Plot(PLOTS["losses"].numbers, fail)
    monkeypatch.setattr(pictures, "PLOTS", {**PLOTS, "losses": broken})
    assert names(draw_plots(Store(tmp_path), search(trial(0, [0.5])))) == ["learning_curves", "history"]
    (message,) = caplog.records
    assert "losses.png was not drawn" in message.getMessage()
    assert message.exc_info
    assert message.exc_info[0] is ZeroDivisionError


def test_a_full_disk_fails_no_search(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "plots").write_text("a file in the way")
    assert draw_plots(Store(tmp_path), search(trial(0, [0.5]))) == []
    assert "was not drawn" in caplog.text


def test_numbers_need_no_matplotlib_and_no_picture_needs_pyplot(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from plot_records import search, trial, source
from tuner.report.plots import PLOTS, draw_plots
given = source(Path({str(tmp_path)!r}), search(trial(0, [0.5])))
assert PLOTS["history"].numbers(given) is not None
assert not {{"matplotlib", "sklearn", "torch"}} & sys.modules.keys()
assert draw_plots(given.store, given.record)
assert "matplotlib.pyplot" not in sys.modules
"""
    here = Path(__file__)
    path = f"{here.parent}:{here.parents[4]}"
    run = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path, "DISPLAY": ""}, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
