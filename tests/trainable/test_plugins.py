from __future__ import annotations

from pathlib import Path

import pytest
from small_data import small_dataset
from small_plugins import EXAMPLE, _plugins_end  # noqa: F401  (a fixture)
from small_trials import job_of, reports_of

from trainable.backbones import BACKBONES
from trainable.config import parse_config
from trainable.errors import UserError
from trainable.plugins import Plugin, load_plugin, loaded_plugins, read_plugin

pytestmark = pytest.mark.usefixtures("_plugins_end")


def plugin(source: str, name: str = "mine.py") -> Plugin:
    return Plugin(name, source)


def test_what_a_plugin_adds_trains_beside_what_ships(tmp_path: Path) -> None:
    load_plugin(read_plugin(EXAMPLE))
    config = parse_config(
        {
            "backbone": "shallow",
            "pretrained": False,
            "image_size": 32,
            "freeze": 1,
            "head": {"kind": "normed"},
            "loss": {"kind": "squared"},
            "augment": "noise",
            "epochs": 1,
        }
    )
    (report,) = reports_of(job_of(config, tmp_path, "hamming_accuracy"), small_dataset())
    assert 0 < report.value <= 1
    assert report.total_parameters == BACKBONES["shallow"].parameters + 2 * 32 + 3 * 32 + 3


def test_a_plugin_is_run_once() -> None:
    load_plugin(read_plugin(EXAMPLE))
    load_plugin(read_plugin(EXAMPLE))
    assert [known.name for known in loaded_plugins()] == ["plugin.py"]
    with pytest.raises(UserError, match="another file of this name is loaded"):
        load_plugin(plugin("x = 1", "plugin.py"))


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        ("x = 1", "registers nothing; call one of register_backbone, "),
        ("x = 1\ny = x / 0", r"line 2: ZeroDivisionError"),
        ("x = = 1", r"line 1: SyntaxError"),
        ("import no_such_module", r"line 1: ModuleNotFoundError"),
        (
            "from trainable.plugins import register_augment\nregister_augment('light', 0, None)",
            "augmentation 'light': is there already; choose another name",
        ),
        (
            "from trainable.plugins import register_head\nregister_head(int)",
            "must be a class of trainable.strict.Strict with a method `build`",
        ),
    ],
)
def test_a_plugin_that_fails_is_a_line(source: str, mistake: str) -> None:
    with pytest.raises(UserError, match=mistake) as caught:
        load_plugin(plugin(source))
    assert len(caught.value.mistakes) == 1
    assert caught.value.mistakes[0].startswith("--plugin mine.py: ")
    assert loaded_plugins() == ()


def test_a_missing_file_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(No such file"):
        read_plugin(tmp_path / "none.py")
