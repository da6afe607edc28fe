from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from trainable.config import TrialConfig, parse_config
from trainable.errors import UserError


def mistakes(**fields: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_config({"backbone": "resnet18", **fields})
    return list(caught.value.mistakes)


def test_every_mistake_is_told_at_once_by_dotted_path() -> None:
    found = mistakes(
        backbone="resnet81",
        frezee=1,
        freeze=-1,
        epochs=0,
        augment="heavy",
        batch_norm="off",
        seed="one",
        head={"kind": "mlp", "widht": 3, "dropout": 1.0},
        optimizer={"kind": "adamm"},
        schedule={"min_lr": 0.1},
        loss={"pos_weight": "heavy", "label_smoothing": -0.1},
        stages=[{"epochs": 0, "lr": 0}, {"epoch": 3}],
    )
    assert {line.partition(":")[0] for line in found} == {
        "backbone",
        "frezee",
        "freeze",
        "epochs",
        "augment",
        "batch_norm",
        "seed",
        "head.widht",
        "head.dropout",
        "optimizer.kind",
        "schedule.kind",
        "loss.pos_weight",
        "loss.label_smoothing",
        "stages.0.epochs",
        "stages.0.lr",
        "stages.1.epoch",
        "stages.1.epochs",
    }
    assert len(found) == 17


@pytest.mark.parametrize(
    ("fields", "near"),
    [
        ({"backbone": "resnet81"}, "'resnet18'"),
        ({"frezee": 1}, "'freeze'"),
        ({"head": {"kind": "mpl"}}, "'mlp'"),
        ({"optimizer": {"kind": "adamm"}}, "'adam'"),
        ({"schedule": {"kind": "onecycle"}}, "'one_cycle'"),
        ({"loss": {"pos_wieght": 1}}, "'pos_weight'"),
        ({"stages": [{"epoch": 3, "epochs": 3}]}, "'epochs'"),
    ],
)
def test_the_nearest_name_is_offered(fields: dict[str, Any], near: str) -> None:
    (found,) = mistakes(**fields)
    assert f"did you mean {near}?" in found


def test_a_choice_without_a_kind_lists_the_kinds() -> None:
    assert mistakes(head={"width": 3}) == ["head.kind: is required (one of linear, dropout_linear, mlp, two_linear)"]
    assert mistakes(schedule={}) == [
        "schedule.kind: is required (one of constant, plateau, cosine, exponential, one_cycle)"
    ]


def test_what_was_given_is_shown() -> None:
    (found,) = mistakes(epochs=-3)
    assert found == "epochs: input should be greater than or equal to 1 (given: -3)"
    with pytest.raises(UserError, match="backbone: is required"):
        parse_config({})


def test_rules_over_several_fields_are_told_together() -> None:
    found = mistakes(freeze=6, epochs=5, stages=[{"epochs": 2, "freeze": 9}, {"epochs": 2}], head_warmup_epochs=5)
    assert len(found) == 5
    assert found[0] == "freeze: 6 is more than the 5 blocks of resnet18; give 0 to 5, or 'all'"
    assert found[1].startswith("stages.0.freeze: 9 is more than the 5 blocks")
    assert "not both" in found[2]
    assert found[3] == "the stages last 4 epochs but epochs is 5: make them equal"
    assert "leave at least one epoch" in found[4]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 0.0, 11.0])
def test_a_learning_rate_is_a_small_positive_number(bad: float) -> None:
    assert [line.partition(":")[0] for line in mistakes(optimizer={"kind": "sgd", "lr": bad})] == ["optimizer.lr"]


def test_a_config_does_not_change() -> None:
    config = parse_config({"backbone": "lite0"})
    with pytest.raises(ValidationError):
        config.epochs = 3  # type: ignore[misc]


@settings(deadline=None)
@given(st.one_of(st.integers(), st.booleans(), st.none(), st.floats(), st.text(), st.text().map(lambda t: t + "%")))
def test_freeze_is_a_count_or_all_or_a_share(given_freeze: Any) -> None:
    """Whatever is given, either a config comes of it or one line about `freeze`."""
    try:
        config = parse_config({"backbone": "timm:test_resnet", "freeze": given_freeze})
    except UserError as error:
        (line,) = error.mistakes
        assert line.startswith("freeze: must be a number of blocks (0 or more), 'all', or a share")
    else:
        freeze = config.freeze
        assert freeze == "all" or (type(freeze) is int and freeze >= 0) or str(freeze).endswith("%")


@pytest.mark.parametrize("freeze", ["all", 0, 5, "0%", "50%", "33.3%", "100%"])
def test_freezes_that_are_understood(freeze: int | str) -> None:
    assert parse_config({"backbone": "resnet18", "freeze": freeze}).freeze == freeze


@pytest.mark.parametrize("freeze", [True, -1, 1.5, "50", "-5%", "101%", "half%", "²%", "%", None, [1]])
def test_freezes_that_are_refused(freeze: Any) -> None:
    assert len(mistakes(freeze=freeze)) == 1


def test_blocks_of_a_timm_model_are_counted_when_it_is_built() -> None:
    assert parse_config({"backbone": "timm:test_resnet", "freeze": 400}).freeze == 400


def test_the_plan_of_one_stage() -> None:
    config = parse_config({"backbone": "lite0", "freeze": 3, "epochs": 4, "optimizer": {"kind": "adam", "lr": 0.01}})
    assert [(stage.epochs, stage.freeze, stage.lr) for stage in config.plan] == [(4, 3, 0.01)]


def test_the_plan_of_a_head_warmup() -> None:
    config = parse_config({"backbone": "lite0", "freeze": 3, "epochs": 5, "head_warmup_epochs": 2})
    assert [(stage.epochs, stage.freeze, stage.lr) for stage in config.plan] == [(2, "all", 1e-3), (3, 3, 1e-3)]


def test_stages_fill_in_what_they_leave_out() -> None:
    stages = [{"epochs": 1}, {"epochs": 2, "freeze": 0}, {"epochs": 3, "lr": 0.5}]
    config = parse_config({"backbone": "lite0", "freeze": "50%", "epochs": 6, "stages": stages})
    assert [(s.epochs, s.freeze, s.lr) for s in config.plan] == [(1, "50%", 1e-3), (2, 0, 1e-3), (3, "50%", 0.5)]


def test_what_does_not_fit_a_task() -> None:
    config = parse_config({"backbone": "lite0", "thresholds": "fitted", "loss": {"pos_weight": 3}})
    assert config.mistakes_for("multilabel") == []
    assert [line.partition(":")[0] for line in config.mistakes_for("multiclass")] == ["loss.pos_weight", "thresholds"]
    balanced = parse_config({"backbone": "lite0", "loss": {"pos_weight": "balanced"}})
    assert balanced.mistakes_for("multiclass") == []


stages = st.lists(
    st.fixed_dictionaries(
        {"epochs": st.integers(1, 5)},
        optional={"freeze": st.sampled_from(["all", 0, 2, "50%"]), "lr": st.floats(1e-6, 1)},
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=40)
@given(
    stages,
    st.sampled_from(
        [
            {"kind": "linear"},
            {"kind": "dropout_linear", "dropout": 0.1},
            {"kind": "mlp", "width": 7},
            {"kind": "two_linear"},
        ]
    ),
    st.one_of(st.sampled_from(["none", "balanced", "sqrt_balanced"]), st.floats(0.001, 1e4), st.integers(1, 9)),
    st.integers(0, 2**32 - 1),
    st.floats(1e-9, 10),
)
def test_a_config_survives_json_and_yaml(
    stages: list[dict[str, Any]], head: dict[str, Any], pos_weight: Any, seed: int, lr: float
) -> None:
    fields = {
        "backbone": "lite0",
        "epochs": sum(stage["epochs"] for stage in stages) or 3,
        "stages": stages,
        "head": head,
        "loss": {"pos_weight": pos_weight},
        "optimizer": {"kind": "sgd", "lr": lr},
        "seed": seed,
    }
    config = parse_config(fields)
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config
    text = io.StringIO()
    yaml = YAML(typ="safe")
    yaml.dump(config.model_dump(mode="json"), text)
    assert parse_config(yaml.load(text.getvalue())) == config


def test_with_stages_freeze_is_what_the_last_one_freezes() -> None:
    stages = [{"epochs": 1, "freeze": "all"}, {"epochs": 2, "freeze": 2}]
    config = parse_config({"backbone": "resnet18", "epochs": 3, "stages": stages})
    assert config.freeze == 2
    assert parse_config(config.model_dump(mode="json")) == config
    with pytest.raises(UserError, match="freeze is 3 but the last stage freezes 2: leave out freeze"):
        parse_config({"backbone": "resnet18", "epochs": 3, "stages": stages, "freeze": 3})


def test_cosine_never_raises_the_rate() -> None:
    with pytest.raises(UserError, match=r"schedule\.min_lr 0\.001 is above the learning rate 1e-05"):
        parse_config(
            {
                "backbone": "resnet18",
                "optimizer": {"kind": "adamw", "lr": 1e-5},
                "schedule": {"kind": "cosine", "min_lr": 1e-3},
            }
        )


def test_cosine_never_raises_the_rate_of_a_lower_block() -> None:
    optimizer = {"kind": "adamw", "lr": 1e-3, "block_lr_decay": 0.1}
    fields = {"backbone": "resnet18", "optimizer": optimizer, "schedule": {"kind": "cosine", "min_lr": 1e-5}}
    assert parse_config(fields | {"freeze": 2})
    with pytest.raises(UserError, match=r"schedule\.min_lr 1e-05 is above the learning rate 1e-06: lower it"):
        parse_config(fields | {"freeze": 1})
    assert parse_config(fields | {"freeze": "all"})


def test_stages_say_how_long_they_last() -> None:
    stages = [{"epochs": 7, "freeze": "all"}, {"epochs": 5, "freeze": 0}]
    told = parse_config({"backbone": "resnet18", "stages": stages})
    assert (told.epochs, told.freeze) == (12, 0)
