"""The precision that networks compute in: one for all trials of a search (rule 10). Weights are fp32 in each."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, get_args

from trainable.errors import UserError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
"""fp32: everything; bf16, fp16: what torch.autocast takes to be safe, the loss and the metrics in fp32"""


PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def stored_precision(given: str) -> Precision:
    """What a log says; fp32 where it does not say."""
    return next((known for known in PRECISIONS if known == given), "fp32")


def dtype_of(precision: Precision) -> torch.dtype:
    """What the frozen prefix's features are kept in."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def kept_in(precision: Precision, features: torch.Tensor) -> torch.Tensor:
    """Features as they are handed from block to block, kept and shared; in fp32 as they are."""
    return features if precision == "fp32" else features.to(dtype_of(precision))


def autocast(precision: Precision, device_type: str) -> AbstractContextManager[object]:
    """Forward passes inside are in this precision; in fp32 nothing changes, so that exporters see a plain network."""
    import torch

    return nullcontext() if precision == "fp32" else torch.autocast(device_type, dtype_of(precision))


def require_precision(precision: Precision, device_type: str) -> None:
    """Refuse what a device does not do well.

    Raises:
        UserError: fp16 on a CPU, where torch's convolutions take hundreds of times as long backwards as in fp32.
    """
    if precision == "fp16" and device_type == "cpu":
        raise UserError("--precision fp16: CPUs train in it hundreds of times slower than in fp32; use bf16 or fp32")


def gradient_scaler(precision: Precision, device_type: str) -> torch.amp.GradScaler:
    """Keeps fp16 gradients from vanishing, and skips steps whose gradients overflow; does nothing in bf16 and fp32."""
    import torch

    return torch.amp.GradScaler(device_type, enabled=precision == "fp16")
