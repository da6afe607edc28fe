"""A plugin's names in a space, from the command line to what is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_plugins import EXAMPLE, _plugins_end  # noqa: F401  (a fixture)
from small_searches import MakeSpace, RunTuner

from trainable.errors import UserError
from trainable.plugins import read_plugin
from tuner.plugins import load_plugins, require_plugins
from tuner.replay import replay
from tuner.store import Store

pytestmark = pytest.mark.usefixtures("_plugins_end", "_without_ray")

FIXED = {"backbone": "shallow", "pretrained": False, "image_size": 32, "epochs": 1, "freeze": 1}
AXES = {"head.kind": {"choice": ["linear", "normed"]}, "loss.kind": {"choice": ["squared", "cross_entropy"]}}


@pytest.fixture
def space(make_space: MakeSpace) -> Path:
    baseline = {"head.kind": "normed", "loss.kind": "squared", "augment": "noise"}
    return make_space(objective="hamming_accuracy", fixed=FIXED, baseline=baseline, axes=AXES)


def test_a_space_names_what_a_plugin_adds(run_tuner: RunTuner, space: Path, labels_csv: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    options = ("--data", labels_csv, "--trials", 2, "--name", "new", "--results", results)
    ran = run_tuner("search", space, *options, "--plugin", EXAMPLE)
    assert ran.code == 0, ran.err
    store = Store(results / "new")
    record = replay(store.events())
    sha256 = read_plugin(EXAMPLE).sha256
    assert record.plugins == {"plugin.py": sha256}
    assert all(trial.facts["plugins"] == {"plugin.py": sha256} for trial in record.trials)
    assert record.best is not None
    assert record.metric == "hamming_accuracy"
    assert sha256 in store.best_yaml.read_text()
    assert (store.folder / "plugins" / "plugin.py").read_text() == EXAMPLE.read_text()
    assert run_tuner("leaderboard", "new", "--results", results).code == 0


def test_without_the_plugin_its_names_are_mistakes(run_tuner: RunTuner, space: Path) -> None:
    ran = run_tuner("check", space)
    assert ran.code == 2
    assert "unknown metric 'hamming_accuracy'" in ran.err
    assert "'normed' is not one of linear" in ran.err


def test_what_was_made_with_a_plugin_wants_it_again(tmp_path: Path) -> None:
    recorded = {"plugin.py": read_plugin(EXAMPLE).sha256}
    with pytest.raises(UserError, match=r"best.yaml needs plugin plugin.py \(sha256 \w{12}\): give it with --plugin"):
        require_plugins(recorded, "best.yaml")
    changed = tmp_path / "plugin.py"
    changed.write_text(EXAMPLE.read_text() + "# changed\n")
    load_plugins([changed])
    with pytest.raises(UserError, match="give the same file"):
        require_plugins(recorded, "best.yaml")
