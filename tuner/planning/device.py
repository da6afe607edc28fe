"""What there is to run a search on, and how fast its cache is read."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from trainable.data.cache import GIB, cache_folder
from tuner.config import Resources

if TYPE_CHECKING:
    import torch

_PROBE_BYTES = 2**25


@dataclass(frozen=True)
class Basis:
    """What a plan's numbers rest on."""

    device: str
    threads: int
    """CPU threads of torch in a trial"""
    time: datetime
    workers: int
    """trials at once"""
    unit: str
    """GPU, or CPU where there is none"""
    units: float
    """GPUs or CPUs that a trial has"""
    memory_gib: float
    """that a trial can have: its share of the GPU's, or of the machine's"""


def basis_of(resources: Resources, device: torch.device) -> Basis:
    """This machine, as `tuner search` would use it."""
    import psutil
    import torch

    from trainable.devices import device_name

    workers = max(1, int(len(os.sched_getaffinity(0)) / resources.cpus_per_trial + 1e-9))
    unit, units, memory = "CPU", resources.cpus_per_trial, psutil.virtual_memory().total
    if device.type == "cuda":
        unit, units = "GPU", 1.0 if resources.gpus_per_trial is None else resources.gpus_per_trial
        memory = torch.cuda.get_device_properties(device).total_memory
        workers = min(workers, max(1, int(torch.cuda.device_count() / units + 1e-9)))
    workers = min(workers, resources.workers or workers)
    share = min(1.0, units) if device.type == "cuda" else 1 / workers
    return Basis(
        device=device_name(device),
        threads=resources.threads_per_trial,
        time=datetime.now().astimezone(),
        workers=workers,
        unit=unit,
        units=units,
        memory_gib=memory * share / GIB,
    )


def read_seconds_per_byte() -> float:
    """Of what lies in the cache folder and has just been written, as features that a trial uses epoch by epoch do."""
    import numpy as np

    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache) as file:
        np.ones(_PROBE_BYTES // 4, np.float32).tofile(file)
        file.flush()
        rows = np.memmap(file, np.float32, mode="r").reshape(-1, 1024)
        order = np.random.default_rng(0).permutation(len(rows))
        began = time.perf_counter()
        np.asarray(rows[order])
        return (time.perf_counter() - began) / _PROBE_BYTES
