"""The device that a process trains on, and what is asked of it."""

from __future__ import annotations

import os

import torch


def trial_device() -> torch.device:
    """The device of this process: the first visible GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # single precision is single precision on every GPU (rule 10)
    torch.backends.cuda.matmul.allow_tf32 = False
