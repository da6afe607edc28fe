from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_data import small_dataset
from small_trials import equal_states, job_of, reports_of, small_config
from torch import nn

import trainable.learner
from trainable.backbones import backbone_facts, build_model
from trainable.classifier import Classifier, build_classifier
from trainable.config import TrialConfig
from trainable.errors import UserError
from trainable.weights import Weights, load_weights

FAMILIES = {
    "resnet18": 3,
    "efficientnet_b0": 5,
    "mobilenet_v3_large": 9,
    "lite0": 5,
    "timm:mobilenetv3_small_050": 4,
}
"""Backbones of every family, with a number of blocks to freeze."""
LONG = ("efficientnet_b0", "mobilenet_v3_large")
"""those of so many blocks that every boundary takes seconds"""

NOISY = (nn.Dropout, nn.modules.batchnorm._BatchNorm)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Classifier]:
    """The classifiers that trials build while the test runs."""
    classifiers: list[Classifier] = []

    def keep(*given: object) -> Classifier:
        classifiers.append(build_classifier(*given))  # type: ignore[arg-type]
        return classifiers[-1]

    monkeypatch.setattr(trainable.learner, "build_classifier", keep)
    return classifiers


def is_noise(module: nn.Module) -> bool:
    return isinstance(module, NOISY) or type(module).__name__ in ("StochasticDepth", "DropPath")


def family_config(backbone: str, **fields: object) -> TrialConfig:
    return small_config(
        **{
            "backbone": backbone,
            "pretrained": True,
            "epochs": 1,
            "optimizer": {"kind": "sgd", "lr": 0.05},
            "batch_size": 18,
        }
        | fields
    )


def frozen_parts(classifier: Classifier) -> list[nn.Module]:
    return [*classifier.blocks[: classifier.frozen], *([classifier.neck] if classifier.wholly_frozen else [])]


@pytest.mark.parametrize(
    ("backbone", "freeze"), [*FAMILIES.items(), ("efficientnet_b0", "all"), ("timm:mobilenetv3_small_050", "all")]
)
def test_what_is_frozen_is_equal_to_the_bit_after_an_epoch(
    backbone: str, freeze: int | str, built: list[Classifier], tmp_path: Path, weights_of: Callable[[str], Weights]
) -> None:
    config, weights = family_config(backbone, freeze=freeze), weights_of(backbone)
    before = build_classifier(config, 3, weights)
    reports_of(job_of(config, tmp_path, weights=weights), small_dataset(images=36))
    (after,) = built
    after.train()  # and not even this wakes it
    old, new = before.state_dict(), after.state_dict()
    frozen = len(after.blocks) if freeze == "all" else freeze
    kept = tuple(f"blocks.{block}." for block in range(int(frozen))) + (("neck.",) if freeze == "all" else ())
    for name in old:
        if name.startswith(kept):
            assert torch.equal(old[name], new[name]), name
    for block in after.blocks[int(frozen) :]:
        own = {id(p) for p in block.parameters()}
        assert any(not torch.equal(old[name], new[name]) for name, p in after.named_parameters() if id(p) in own)
    statistics = [name for name in old if name.endswith("running_mean") and not name.startswith(kept)]
    assert all(not torch.equal(old[name], new[name]) for name in statistics)
    for part in frozen_parts(after):
        assert not any(p.requires_grad for p in part.parameters())
        assert not any(module.training for module in part.modules())
    assert not torch.equal(old["head.weight"], new["head.weight"])


@pytest.mark.parametrize(("backbone", "freeze"), FAMILIES.items())
def test_nothing_random_is_left_in_the_prefix(backbone: str, freeze: int, weights_of: Callable[[str], Weights]) -> None:
    classifier = build_classifier(family_config(backbone), 3, weights_of(backbone))
    classifier.train()
    classifier.freeze(freeze)
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(classifier.prefix(images), classifier.prefix(images))
    waking = [module.training for block in classifier.blocks[freeze:] for module in block.modules() if is_noise(module)]
    assert waking
    assert all(waking)
    classifier.eval()
    assert not any(module.training for module in classifier.modules())


@pytest.mark.parametrize("batch_norm_frozen", [False, True])
def test_stochastic_depth_acts_in_the_suffix(batch_norm_frozen: bool, weights_of: Callable[[str], Weights]) -> None:
    classifier = build_classifier(family_config("efficientnet_b0"), 3, weights_of("efficientnet_b0"))
    classifier.freeze(3, batch_norm_frozen=batch_norm_frozen)
    classifier.train()
    images = torch.rand(8, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(classifier(images), classifier(images))


@pytest.mark.parametrize("backbone", ["resnet18", "lite0"])
def test_frozen_batch_norm_keeps_the_suffix_statistics(
    backbone: str, built: list[Classifier], tmp_path: Path, weights_of: Callable[[str], Weights]
) -> None:
    config, weights = family_config(backbone, freeze=2, batch_norm="frozen"), weights_of(backbone)
    before = build_classifier(config, 3, weights).state_dict()
    reports_of(job_of(config, tmp_path, weights=weights), small_dataset(images=36))
    after = built[0].state_dict()
    statistics = [name for name in before if name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert statistics
    assert all(torch.equal(before[name], after[name]) for name in statistics)
    assert not torch.equal(before["head.weight"], after["head.weight"])
    last = [name for name, _ in built[0].blocks[-1].named_parameters()]
    place = f"blocks.{len(built[0].blocks) - 1}."
    assert all(not torch.equal(before[place + name], after[place + name]) for name in last)


def test_freezing_goes_both_ways() -> None:
    classifier = build_classifier(small_config(), 3, None).train()
    for frozen in (5, 2, 0, 3):
        classifier.freeze(frozen)
        assert classifier.wholly_frozen == (frozen == 5)
        for number, block in enumerate(classifier.blocks):
            assert all(p.requires_grad == (number >= frozen) for p in block.parameters())
            assert all(module.training == (number >= frozen) for module in block.modules())
        assert all(p.requires_grad for p in classifier.head.parameters())


@pytest.mark.parametrize(
    "backbone",
    [
        *(pytest.param(name, marks=[pytest.mark.real] if name in LONG else []) for name in FAMILIES),
        *("timm:test_convnext", "timm:regnety_002", "timm:test_byobnet"),
    ],
)
def test_prefix_and_suffix_compute_what_the_library_does(backbone: str, weights_of: Callable[[str], Weights]) -> None:
    """For every boundary: the library's own forward with its classifier replaced by the head."""
    facts, weights = backbone_facts(backbone), weights_of(backbone)
    classifier = build_classifier(family_config(backbone), 3, weights).eval()
    model = build_model(facts)
    load_weights(facts, model, weights)
    if facts.library == "timm":
        model.reset_classifier(0)  # type: ignore[operator]
        model = nn.Sequential(model, classifier.head)
    else:
        setattr(model, "fc" if hasattr(model, "fc") else "classifier", classifier.head)
    # in double precision: random weights magnify what single precision rounds
    classifier, model = classifier.double(), model.double()
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = model.eval()((images - classifier.mean) / classifier.std)
        assert (expected[0] - expected[1]).abs().max() > 1e-4  # it tells images apart
        for frozen in range(len(classifier.blocks) + 1):
            classifier.freeze(frozen)
            error = (classifier.suffix(classifier.prefix(images)) - expected).abs().max()
            assert error <= 1e-6 * expected.abs().max(), frozen
            assert torch.equal(classifier(images), classifier.suffix(classifier.prefix(images)))


def test_the_seed_keys_the_head_and_nothing_else_does() -> None:
    first, again, other = (build_classifier(small_config(seed=seed), 3, None).state_dict() for seed in (1, 1, 2))
    assert equal_states(first, again)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    torch.rand(5)
    assert equal_states(first, build_classifier(small_config(seed=1), 3, None).state_dict())


def test_random_weights_are_never_taken_for_pretrained_ones() -> None:
    with pytest.raises(UserError, match="resnet18: pretrained is true but no weights were given"):
        build_classifier(small_config(backbone="resnet18", pretrained=True), 3, None)
