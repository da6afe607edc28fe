"""What is measured of a backbone adds up; how long things take is not asserted."""

from __future__ import annotations

import pytest
import torch
from small_data import small_dataset
from small_trials import CPU, TINY, small_config
from torch import nn

from trainable import measure
from trainable.backbones import IMAGENET_MEAN, IMAGENET_STD, backbone_facts
from trainable.classifier import Classifier, build_classifier
from trainable.config import parse_config
from trainable.heads import LinearHead, MlpHead
from trainable.measure import MeasuredBackbone, evaluation_seconds, head_parameters, torch_threads
from trainable.metrics import parse_objective


@pytest.fixture(scope="module")
def tiny() -> MeasuredBackbone:
    return MeasuredBackbone(TINY, 32, labels=3, device=CPU)


def test_there_is_a_time_for_every_block_and_the_neck(tiny: MeasuredBackbone) -> None:
    assert len(tiny.times) == len(tiny.sizes) == tiny.block_count + 1 == 6
    for block in tiny.times[:-1]:
        assert min(block.forward_seconds, block.train_seconds, block.update_seconds) > 0
    assert tiny.latency_ms > 0
    assert tiny.head_step_seconds(8) > 0


def test_parameters_are_those_of_blocks_and_neck(tiny: MeasuredBackbone) -> None:
    whole = build_classifier(small_config(), 3, None)
    without_head = sum(p.numel() for p in whole.parameters()) - sum(p.numel() for p in whole.head.parameters())
    assert tiny.parameters == sum(block.parameters for block in tiny.sizes) == without_head
    assert MeasuredBackbone("resnet18", 32, 3, CPU).parameters == backbone_facts("resnet18").parameters


def test_outputs_are_what_a_prefix_gives(tiny: MeasuredBackbone) -> None:
    classifier = build_classifier(small_config(), 3, None)
    image = torch.rand(1, 3, 32, 32)
    sizes = []
    for frozen in range(1, 6):
        classifier.freeze(frozen)
        sizes.append(classifier.eval().prefix(image).nbytes)
    assert [block.output_bytes for block in tiny.sizes][:4] == sizes[:4]
    assert tiny.sizes[-1].output_bytes == sizes[-1] == 4 * tiny.features  # all frozen: the neck's


def test_more_training_takes_more_memory(tiny: MeasuredBackbone) -> None:
    assert tiny.memory_gib(0, 32) > tiny.memory_gib(2, 32) > tiny.memory_gib(5, 32)
    assert tiny.memory_gib(0, 64) > tiny.memory_gib(0, 32)
    assert tiny.memory_gib(5, 64) == tiny.memory_gib(5, 32)  # a chunk of the prefix, whatever the batch


def test_what_is_kept_for_the_backward_pass_is_an_images(monkeypatch: pytest.MonkeyPatch) -> None:
    convolution = Classifier(
        [nn.Conv2d(3, 4, 3, padding=1)], nn.Flatten(1), nn.Linear(4 * 32 * 32, 3), IMAGENET_MEAN, IMAGENET_STD
    )
    monkeypatch.setattr(measure, "build_classifier", lambda *_: convolution)
    block, neck = MeasuredBackbone(TINY, 32, 3, CPU).sizes
    assert block.saved_bytes == 3 * 32 * 32 * 4  # its input; weights are there anyway
    assert neck.saved_bytes == 0


@pytest.mark.parametrize("head", [LinearHead(), MlpHead(kind="mlp", width=7)])
def test_a_heads_parameters_are_counted_without_building_it(head: LinearHead | MlpHead) -> None:
    built = head.build(10, 3)
    assert head_parameters(head, 10, 3) == sum(p.numel() for p in built.parameters())


def test_evaluation_is_timed_on_the_validation_images() -> None:
    config = parse_config(small_config().model_dump(mode="json") | {"thresholds": "fitted"})
    assert evaluation_seconds(config, small_dataset(), parse_objective("f2_macro")) > 0


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
