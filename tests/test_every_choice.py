"""Every member of every union and table is built, trained a step and survives YAML: a new one is tested by existing."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import BaseModel
from ruamel.yaml import YAML
from small_data import small_dataset
from small_trials import CPU, job_of, model_of, reports_of, small_config

from trainable.augment import AUGMENTS
from trainable.backbones import BACKBONES, build_model
from trainable.config import TrialConfig, choices, parse_config
from trainable.errors import UserError
from trainable.evaluation import predict_all
from trainable.losses import Balance
from trainable.metrics import AVERAGES, METRICS, parse_objective, scores
from trainable.predict import load_model

UNIONS = {
    name: members
    for name, field in TrialConfig.model_fields.items()
    if "kind" in {part for model in choices(field.annotation).values() for part in model.model_fields}
    for members in [choices(field.annotation)]
}
MEMBERS = [(field, kind) for field, members in UNIONS.items() for kind in members]
CHOSEN = [
    *({field: {"kind": kind}} for field, kind in MEMBERS),
    *({"augment": augment} for augment in tuple(AUGMENTS)),
    *({"loss": {"pos_weight": pos_weight}} for pos_weight in (*get_args(Balance), 3.0)),
    *(
        {field: value}
        for field in ("batch_norm", "thresholds")
        for value in get_args(TrialConfig.model_fields[field].annotation)
    ),
]
HEAVY = ("efficientnet_b4", "efficientnet_v2_l")


def named(chosen: dict[str, Any]) -> str:
    return " ".join(str(part) for part in chosen.items())


def test_the_unions_are_found() -> None:
    assert UNIONS.keys() == {"head", "optimizer", "schedule", "loss", "averaging", "mix"}
    assert min(map(len, UNIONS.values())) >= 2


def through_yaml(config: TrialConfig) -> TrialConfig:
    yaml, text = YAML(typ="safe"), io.StringIO()
    yaml.dump(config.model_dump(mode="json"), text)
    return parse_config(yaml.load(text.getvalue()))


@pytest.mark.parametrize("chosen", CHOSEN, ids=named)
def test_a_choice_trains_and_survives_yaml(chosen: dict[str, Any], tmp_path: Path) -> None:
    config = small_config(**chosen, epochs=1)
    assert through_yaml(config) == config
    data = small_dataset()
    job = job_of(config, tmp_path)
    (report,) = reports_of(job, data)
    assert (report.epoch, report.status) == (1, "complete")
    assert math.isfinite(report.train_loss)
    assert math.isfinite(report.train_loss_weighted)
    assert 0 <= report.value <= 1
    assert any(tensor.is_floating_point() and tensor.ndim >= 2 for tensor in model_of(job.files.best).values())
    assert load_model(job.files.best, CPU).config == config


@pytest.mark.parametrize("chosen", [chosen for chosen in CHOSEN if "thresholds" not in chosen], ids=named)
def test_a_choice_trains_classes_too(chosen: dict[str, Any], tmp_path: Path) -> None:
    config = small_config(**chosen, epochs=1)
    if config.mistakes_for("multiclass"):
        return
    (report,) = reports_of(job_of(config, tmp_path, "accuracy"), small_dataset("multiclass"))
    assert math.isfinite(report.train_loss)


@pytest.mark.parametrize(("field", "kind"), MEMBERS)
def test_a_choice_is_documented_and_strict(field: str, kind: str) -> None:
    model = UNIONS[field][kind]
    assert model.__doc__
    assert hasattr(model, "build")
    with pytest.raises(UserError, match=rf"{field}\.no_such_field: {kind} has no field 'no_such_field'"):
        small_config(**{field: {"kind": kind, "no_such_field": 1}})


@pytest.mark.parametrize(("field", "kind"), MEMBERS)
def test_each_field_of_a_choice_is_bounded(field: str, kind: str) -> None:
    """A number that nothing bounds is a mistake waiting for the middle of the night."""
    model: type[BaseModel] = UNIONS[field][kind]
    for name in model.model_fields.keys() - {"kind"}:
        for bad in (-1, math.nan, math.inf, "many"):
            with pytest.raises(UserError, match=rf"{field}\.{name}"):
                small_config(**{field: {"kind": kind, name: bad}})


@pytest.mark.parametrize(
    "backbone", [pytest.param(name, marks=[pytest.mark.real] if name in HEAVY else []) for name in BACKBONES]
)
def test_a_backbone_trains_a_step(backbone: str, tmp_path: Path) -> None:
    """All but the last block frozen, and random, since what is asked is whether it runs."""
    blocks = BACKBONES[backbone].blocks
    assert blocks
    config = small_config(backbone=backbone, freeze=blocks - 1, epochs=1, batch_size=99)
    assert through_yaml(config) == config
    (report,) = reports_of(job_of(config, tmp_path), small_dataset(images=20))
    assert math.isfinite(report.train_loss)
    assert 0 < report.trained_parameters < report.total_parameters
    assert report.total_parameters == BACKBONES[backbone].parameters + 3 * features_of(backbone) + 3


def features_of(backbone: str) -> int:
    with torch.device("meta"):
        model = build_model(BACKBONES[backbone])
    inputs = [module.in_features for module in model.modules() if isinstance(module, torch.nn.Linear)]
    return inputs[0]


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_can_be_optimised(metric: str, task: Any, tmp_path: Path) -> None:
    row = METRICS[metric]
    assert row.meaning
    names = [f"{metric}_{average}" for average in AVERAGES] if row.averaged else [metric]
    data = small_dataset(task)
    logits = torch.randn(60, len(data.labels), generator=torch.Generator().manual_seed(0))
    found = scores(predict_all(logits, torch.from_numpy(data.targets), task), names)
    assert all(math.isfinite(value) for value in found.values())
    job = job_of(small_config(freeze="all", epochs=1), tmp_path, names[0])
    (report,) = reports_of(job, data)
    assert report.value == report.val[names[0]]
    assert parse_objective(names[0]).direction == row.direction
