from __future__ import annotations

import subprocess
import sys

import numpy as np
import torch

from trainable.devices import make_deterministic, to_device

CPU = torch.device("cpu")


def test_what_is_sent_to_a_device_is_what_was_gathered() -> None:
    stored = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    sent = to_device(torch.from_numpy(stored[[1, 0]]), CPU)
    assert sent.device == CPU
    assert np.array_equal(sent.numpy(), stored[[1, 0]])


def test_deterministic_kernels_do_not_fill_memory_that_they_write_anyway() -> None:
    make_deterministic()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]


def test_a_search_s_options_are_known_without_torch() -> None:
    code = "import sys, trainable.compute, trainable.precision, tuner.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
