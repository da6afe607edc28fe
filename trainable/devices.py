"""The device that a process trains on, and what is asked of it."""

from __future__ import annotations

import functools
import os

import torch


def trial_device() -> torch.device:
    """The device of this process: the first visible GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_device(host: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor's copy on the device; on a GPU from pinned memory, made while the GPU does what it was asked before.

    The copy has a stream of its own, and whatever is asked of the GPU from now on waits for it. So the next batch is
    gathered and copied while the GPU trains on the last one, which the host does not wait for.
    """
    if device.type != "cuda":
        return host.to(device)
    copies, work = _copy_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(copies):
        copy = host.pin_memory().to(device, non_blocking=True)
    work.wait_stream(copies)
    copy.record_stream(work)  # its memory is not used again before the work on it is done
    return copy


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def device_name(device: torch.device) -> str:
    """`cpu`, or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def gpu_memory_gib(device: torch.device) -> float | None:
    """How much memory a GPU has, in use or not; None for a CPU."""
    return torch.cuda.get_device_properties(device).total_memory / 2**30 if device.type == "cuda" else None


def peak_memory_gib(device: torch.device) -> float:
    """On a GPU the most memory that tensors took; on a CPU the process's resident memory now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    import psutil

    return float(psutil.Process().memory_info().rss / 2**30)


def make_deterministic() -> None:
    """The same numbers on every run with the same seeds, device type and threads (rule 6)."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # no kernel here reads what it has not written, and writing NaN there first takes 4 to 20 % of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # single precision is single precision on every GPU (rule 10)
    torch.backends.cuda.matmul.allow_tf32 = False
