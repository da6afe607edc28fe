"""A space with other means: the options of `check` and `search`, and what is kept of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from small_searches import MakeSpace, RunTuner
from small_trials import TINY

from search_spaces.document import parse_yaml
from search_spaces.overrides import Overrides, override
from search_spaces.space import read_space
from tuner.result import search


def test_check_says_what_was_replaced(make_space: MakeSpace, run_tuner: RunTuner) -> None:
    ran = run_tuner("check", make_space(), "--backbone", f"{TINY}=resnet18", "--image-size", "64", "--set", "seed=3")
    assert ran.code == 0
    told = [f"override: backbone: {TINY} -> resnet18", "override: image_size: 32 -> 64", "override: seed: 3"]
    assert ran.out.splitlines()[:3] == told
    assert "3 axes, 20 trials, resnet18" in ran.out


@pytest.mark.parametrize("verb", ["check", "search"])
def test_all_mistakes_of_the_options_at_once(
    verb: str, make_space: MakeSpace, labels_csv: Path, tmp_path: Path, run_tuner: RunTuner
) -> None:
    results = ("--results", tmp_path / "results", "--name", "new") if verb == "search" else ()
    options = ("--backbone", "resnet50=lite0", "--epochs", "2=0", "--epochs", "9=3", "--set", "bach_size=4")
    ran = run_tuner(verb, make_space(), "--data", labels_csv, *options, *results)
    assert ran.code == 2
    assert [line.split(": ")[1] for line in ran.err.splitlines()] == [
        "--epochs 2=0",
        "--set bach_size=4",
        "--backbone resnet50=lite0",
        "--epochs 9=3",
    ]
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("_without_ray")
def test_a_search_keeps_the_space_as_it_was_and_what_was_replaced(
    make_space: MakeSpace, labels_csv: Path, tmp_path: Path
) -> None:
    space = make_space(split="75/25")
    overrides = {"image_size": ["32=40"], "epochs": ["2=1"]}
    result = search(space, labels_csv, "small", trials=2, results=tmp_path, overrides=overrides)
    assert result.record.overrides == ("image_size: 32 -> 40", "epochs: 2 -> 1")
    assert {(t.config["image_size"], t.config["epochs"]) for t in result.record.trials} == {(40, 1)}
    stored = YAML(typ="safe").load(result.store.search_yaml)
    assert stored["space"] == space.read_text()
    assert stored["data"]["options"]["split"] == "75/25"
    again = override(read_space(parse_yaml(stored["space"], "s")), Overrides(**stored["search"]["overrides"]))
    assert again[1] == result.record.overrides, "the stored parts make the searched space again"
