"""A search's options: what they default to, and how mistakes in them are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainable.errors import UserError
from tuner.config import DataConfig, Resources, SearchConfig, parse_options

DATA = {"path": Path("/data")}


def mistakes(**fields: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_options(SearchConfig, **({"name": "new", "space": "quick", "data": DATA} | fields))
    return caught.value.mistakes


def test_defaults_are_a_search_on_this_machine() -> None:
    config = parse_options(SearchConfig, name="new", space="quick", data=DATA)
    assert config.data == DataConfig(path=Path("/data"), split=None, data_seed=0)
    assert config.resources == Resources(cpus_per_trial=1, gpus_per_trial=None, workers=None, threads_per_trial=1)
    assert (config.trials, config.hours, config.seed, config.top_k, config.offline) == (None, None, 0, 3, False)


def test_a_resolved_config_reads_back_equal() -> None:
    config = parse_options(
        SearchConfig, name="new", space="quick", data=DATA, hours=0.5, resources={"gpus_per_trial": 0.5}
    )
    assert SearchConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"trials": 0}, "--trials 0: should be greater than or equal to 1"),
        ({"top_k": 0}, "--top 0: should be greater than or equal to 1"),
        ({"hours": 0.0}, "--hours 0.0: should be greater than 0"),
        ({"hours": float("nan")}, "--hours nan: should be"),
        ({"seed": -1}, "--seed -1: should be greater than or equal to 0"),
        ({"seed": 2**32}, "--seed 4294967296: should be less than 4294967296"),
        ({"data": {**DATA, "data_seed": -1}}, "--data-seed -1: should be"),
        ({"data": {**DATA, "drop_rare_labels": 0}}, "--drop-rare-labels 0: should be"),
        ({"data": {**DATA, "layout": "zip"}}, "--layout 'zip': should be 'auto', 'folders'"),
        ({"resources": {"cpus_per_trial": 0}}, "--cpus-per-trial 0: should be greater than 0"),
        ({"resources": {"gpus_per_trial": -1}}, "--gpus-per-trial -1: should be"),
        ({"resources": {"gpus_per_trial": 2.5}}, "--gpus-per-trial 2.5: should be a share of one GPU"),
        ({"resources": {"workers": 0}}, "--workers 0: should be"),
        ({"resources": {"threads_per_trial": 0}}, "--threads-per-trial 0: should be"),
        ({"epochs": 3}, "--epochs 3: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_names_its_option_and_the_rule(fields: dict[str, Any], told: str) -> None:
    (mistake,) = mistakes(**fields)
    assert mistake.startswith(told)


def test_all_mistakes_at_once() -> None:
    assert len(mistakes(trials=0, hours=-1.0, data={**DATA, "data_seed": -1}, resources={"workers": 0})) == 4


@pytest.mark.parametrize("number", [0, 0.25, 1, 2])
def test_gpus_are_shares_or_whole(number: float) -> None:
    assert Resources(gpus_per_trial=number).gpus_per_trial == number
