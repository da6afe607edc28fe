"""What counts as running out of memory, and how far a batch is cut for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_trials import small_config

from trainable.memory import is_out_of_memory, smaller_micro_batch, trains_batch_norm


def test_torch_says_that_there_is_no_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("The size of tensor a (3) must match"), False),
        (ValueError("DefaultCPUAllocator"), False),
        (KeyError("memory"), False),
    ],
)
def test_other_errors_are_not_taken_for_it(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) is is_one


@pytest.mark.parametrize(
    ("fields", "steps"),
    [
        ({"batch_size": 12}, [6, 3, 2]),  # BatchNorm learns from two images at least
        ({"batch_size": 12, "batch_norm": "frozen"}, [6, 3, 1]),
        ({"batch_size": 12, "freeze": "all"}, [6, 3, 1]),
        ({"batch_size": 12, "freeze": "all", "micro_batch": 4}, [2, 1]),
        ({"batch_size": 64, "freeze": "all"}, [18, 9, 4, 2, 1]),  # no batch has more images than there are
        ({"batch_size": 2}, []),
        ({"batch_size": 1, "freeze": "all"}, []),
    ],
)
def test_half_as_many_images_until_there_is_no_less(fields: dict[str, Any], steps: list[int]) -> None:
    config, found = small_config(**fields), []
    while (smaller := smaller_micro_batch(config, train_images=36)) is not None:
        found.append(smaller)
        config = config.model_copy(update={"micro_batch": smaller})
    assert found == steps


@pytest.mark.parametrize(
    ("fields", "does"),
    [
        ({}, True),
        ({"freeze": "all"}, False),
        ({"batch_norm": "frozen"}, False),
        ({"backbone": "resnet18", "freeze": 4}, True),
        ({"backbone": "resnet18", "freeze": 5}, False),
        ({"stages": [{"epochs": 1, "freeze": "all"}, {"epochs": 1, "freeze": 3}]}, True),
        ({"backbone": "timm:test_convnext", "freeze": 0}, False),  # it has layer norm
    ],
)
def test_batch_norm_learns_where_a_block_that_has_it_is_trained(fields: dict[str, Any], does: bool) -> None:
    assert trains_batch_norm(small_config(**fields)) is does
