"""Running out of memory: how it is told from other errors, and what a trial that did is tried with next."""

from __future__ import annotations

from trainable.backbones import outline
from trainable.config import TrialConfig
from trainable.stages import least_frozen

_TOLD = (
    "DefaultCPUAllocator",  # c10/core/impl/alloc_cpu.cpp
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""what torch says where it raises a plain RuntimeError"""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, on a GPU or a CPU."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TOLD)


def smaller_micro_batch(config: TrialConfig, train_images: int) -> int | None:
    """Half of the images that pass the network at once; None where there is no less.

    BatchNorm that learns its statistics takes them from two images at least.
    """
    at_once = min(config.micro_batch or config.batch_size, config.batch_size, train_images)
    least = 2 if trains_batch_norm(config) else 1
    return max(least, at_once // 2) if at_once > least else None


def trains_batch_norm(config: TrialConfig) -> bool:
    """Whether BatchNorm learns its statistics in some stage, which makes each micro-batch a config of its own."""
    import torch
    from torch import nn

    if config.batch_norm == "frozen":
        return False
    backbone = outline(config.backbone, config.image_size)
    blocks = len(backbone.blocks)
    frozen = least_frozen(config, blocks)
    with torch.device("meta"):
        head = config.head.build(backbone.features, 2)
    trained = [head, *backbone.blocks[frozen:], *([backbone.neck] if frozen < blocks else [])]
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for part in trained for module in part.modules())
