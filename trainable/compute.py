"""How training steps are computed: plainly, or in the way that a short probe finds fastest on this machine.

Only the suffix's training and evaluation may depart from the plain way. The frozen prefix never does: its features are
shared by trials.

<cache>/compute/<key>.json      what the probe measured for one kind of step
<cache>/compute/<key>.lock      of the process that probes; others wait for what it finds
"""

from __future__ import annotations

import copy
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trainable.disk import whole_file
from trainable.strict import Strict

if TYPE_CHECKING:
    import torch

    from trainable.classifier import Classifier
    from trainable.losses import LossFunction
    from trainable.precision import Precision

Layout = Literal["channels_last", "contiguous"]
CompileMode = Literal["none", "default", "reduce-overhead"]

FORMAT = 1
"""raise by hand whenever the same step would be measured differently"""
TOLERANCES: dict[Precision, float] = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 1e-2}
"""How far logits, gradients and buffers may be from the plain ones, as a share of the largest plain value.

Two layouts of the same single-precision ResNet18 or EfficientNet-B0 are 1e-5 to 4e-5 apart: rounding, in another order.
"""
LEAST_GAIN = 0.05
"""share of the time that another way must save: timings of equals differ by so much"""
COMPILE_SHARE = 0.1
"""of the expected work: what may be spent on compiling at most"""
COMPILE_SECONDS = 30.0
"""that compiling is taken for before it has been tried"""
STEPS = 5
"""timed; the median counts"""


class Compute(Strict):
    """How the suffix is computed; the default is the plain way, the same on every machine."""

    layout: Layout = "channels_last"
    """of feature maps and weights"""
    compile: CompileMode = "none"
    """torch.compile of training steps, `reduce-overhead` with CUDA graphs"""


PLAIN = Compute()


def departures(compute: Mapping[str, str]) -> str:
    """In what a Compute's stored fields are not the plain way, as text; empty where in nothing."""
    plain = PLAIN.model_dump()
    return ", ".join(f"{name} {value}" for name, value in compute.items() if value != plain.get(name))


ComputeChoice = Literal["plain", "auto"]
"""what a search asks for: the plain way, or what the probe finds"""


@dataclass(frozen=True)
class Sample:
    """A batch to probe with, and how it is learnt from."""

    pixels: torch.Tensor
    """`[n, 3, size, size]` in 0..1, as many as pass the network at once"""
    targets: torch.Tensor
    loss: LossFunction
    parts: int = 1
    """so many of such batches make a step: gradients add up"""


@dataclass(frozen=True)
class Measured:
    """One way to compute a step, as the probe found it."""

    compute: Compute
    step_seconds: float
    begin_seconds: float = 0.0
    """of the first step, beyond what a step takes: compiling"""
    difference: float = 0.0
    """from the plain way, as a share of its largest value"""
    error: str = ""
    """why it does not work here at all"""


def compiled(suffix: torch.nn.Module, mode: CompileMode) -> Callable[[torch.Tensor], torch.Tensor]:
    """The suffix's forward pass for batches of one size; what it draws at random is what it would draw uncompiled."""
    import torch

    if mode == "none":
        return suffix
    torch.compiler.reset()  # a process keeps only a few compiled forms of one function
    options: dict[str, Any] = {"fallback_random": True, "triton.cudagraphs": mode == "reduce-overhead"}
    made: Callable[[torch.Tensor], torch.Tensor] = torch.compile(suffix, dynamic=False, options=options)
    return made


def choose_compute(
    classifier: Classifier, sample: Sample, steps: int, kind: dict[str, str | int], cache: Path
) -> Compute:
    """The fastest way to take so many training steps, out of those that give what the plain way gives.

    What is measured is remembered in `cache` for steps of the same kind on a device of the same name.

    Args:
        classifier: frozen as it will be trained; left as it is
        sample: a batch
        steps: how many are expected; compiling must pay within them
        kind: what the step's time depends on beside device and precision: backbone, frozen blocks, sizes, ...
    """
    key = _key(classifier, sample, kind)
    path = cache / "compute" / f"{_digest(key)}.json"
    with _one_at_a_time(path):
        known = _read(path)
        found = probe(classifier, sample, steps, known)
        if len(found) > len(known):
            with suppress(OSError):
                _write(path, key, found)
    return fastest(found, steps, TOLERANCES[classifier.precision])


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process measure, and others read what it has found; where the cache cannot be written, each measures."""
    from filelock import FileLock

    lock = FileLock(path.with_suffix(".lock"))
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def probe(classifier: Classifier, sample: Sample, steps: int, known: Sequence[Measured] = ()) -> list[Measured]:
    """What is known, and what there is beside it that may pay within so many steps, measured; the plain way first."""
    measured = list(known)
    plain_outcome: list[torch.Tensor] | None = None
    for compute in _ways(sample):
        if any(one.compute == compute for one in measured):
            continue
        if compute.compile != "none" and not _pays(COMPILE_SECONDS, steps * measured[0].step_seconds):
            continue
        if compute != PLAIN and plain_outcome is None:
            plain_outcome = _measure(PLAIN, classifier, sample)[1]
        try:
            one, outcome = _measure(compute, classifier, sample)
        except Exception as error:  # compilers and kernels fail in their own ways; the plain way must not
            if compute == PLAIN:
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            measured.append(Measured(compute, 0.0, error=reason))
            continue
        if plain_outcome is None:
            plain_outcome = outcome
        measured.append(Measured(compute, one.step_seconds, one.begin_seconds, _difference(plain_outcome, outcome)))
    return measured


def fastest(measured: Sequence[Measured], steps: int, tolerance: float) -> Compute:
    """The way that takes least time for so many steps, the beginning included; the first one, unless another gains."""
    plain = measured[0]
    plain_seconds = steps * plain.step_seconds
    equal = [
        one
        for one in measured[1:]
        if not one.error and one.difference <= tolerance and _pays(one.begin_seconds, plain_seconds)
    ]
    best = min(equal, key=lambda one: one.begin_seconds + steps * one.step_seconds, default=plain)
    seconds = best.begin_seconds + steps * best.step_seconds
    return best.compute if seconds <= (1 - LEAST_GAIN) * plain_seconds else plain.compute


def _pays(begin_seconds: float, work_seconds: float) -> bool:
    return begin_seconds <= COMPILE_SHARE * work_seconds


def _ways(sample: Sample) -> list[Compute]:
    """The plain way first. CPUs gain nothing from compiling: it takes minutes, and steps are as slow as before."""
    ways = [Compute(), Compute(layout="contiguous")]
    if sample.pixels.device.type == "cpu":
        return ways
    # a CUDA graph's next replay overwrites gradients that are still to be added to
    modes: list[CompileMode] = ["default"] if sample.parts > 1 else ["default", "reduce-overhead"]
    return ways + [Compute(layout=way.layout, compile=mode) for mode in modes for way in ways]


def _measure(compute: Compute, classifier: Classifier, sample: Sample) -> tuple[Measured, list[torch.Tensor]]:
    """Times of a step, and the first one's logits, gradients and buffers, in double precision on the CPU."""
    import torch

    from trainable.freezing import frozen_features

    trial = copy.deepcopy(classifier)
    trial.lay_out(compute.layout)
    trial.train()
    suffix = trial.suffix
    features = frozen_features(trial, sample.pixels)
    forward = compiled(suffix, compute.compile)

    def step() -> torch.Tensor:
        trial.zero_grad(set_to_none=True)
        logits = forward(features)
        sample.loss(logits, sample.targets).backward()  # type: ignore[no-untyped-call]
        return logits.detach()

    with torch.random.fork_rng():
        torch.manual_seed(0)
        began = _now(sample.pixels.device)
        outcome = _copied([step(), *_gradients(suffix), *suffix.buffers()])
        first_seconds = _now(sample.pixels.device) - began
        step()  # CUDA graphs are recorded at the second call
        seconds = statistics.median(_timed(step, sample.pixels.device) for _ in range(STEPS))
    if compute.compile != "none":
        torch.compiler.reset()
    begin_seconds = max(0.0, first_seconds - seconds) if compute.compile != "none" else 0.0
    return Measured(compute, seconds, begin_seconds), outcome


def _gradients(suffix: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.grad for parameter in suffix.parameters() if parameter.grad is not None]


def _copied(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.double().cpu() for tensor in tensors]


def _difference(plain: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    """The largest difference, as a share of the largest value of the same kind: logits, or the rest; NaN for NaN."""
    import torch

    def largest(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
        return torch.stack([tensor.abs().max() for tensor in tensors]).max()

    kinds = ((plain[:1], other[:1]), (plain[1:], other[1:]))
    shares = [largest(b - a for a, b in zip(*kind, strict=True)) / largest(kind[0]) for kind in kinds]
    return float(torch.stack(shares).max())


def _timed(step: Callable[[], object], device: torch.device) -> float:
    began = _now(device)
    step()
    return _now(device) - began


def _now(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _key(classifier: Classifier, sample: Sample, kind: dict[str, str | int]) -> dict[str, Any]:
    import torch

    from trainable.devices import device_name

    return {
        "format": FORMAT,
        "device": device_name(sample.pixels.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "precision": classifier.precision,
        "frozen": classifier.frozen,
        "batch_norm_frozen": classifier.batch_norm_frozen,
        "pixels": list(sample.pixels.shape),
        "parts": sample.parts,
        **kind,
    }


def _digest(key: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> list[Measured]:
    """What was measured before; nothing where the file is missing or not as this code writes it."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["measured"]
        return [Measured(**{**row, "compute": Compute.model_validate(row["compute"])}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write(path: Path, key: dict[str, Any], measured: Sequence[Measured]) -> None:
    rows = [{**vars(one), "compute": one.compute.model_dump()} for one in measured]
    with whole_file(path) as file:
        file.write(json.dumps({"key": key, "measured": rows}, indent=1).encode())
