"""What a backbone costs on this device: seconds, bytes and memory, measured on random weights and random images."""

from __future__ import annotations

import functools
import importlib
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import nn
from torch.nn import functional

from trainable.classifier import Classifier, build_classifier
from trainable.config import TrialConfig, parse_config
from trainable.devices import device_name, make_deterministic
from trainable.evaluation import Evaluator, evaluated_at_once
from trainable.freezing import CHUNK_IMAGES, parameter_groups
from trainable.heads import Head
from trainable.optim import AdamW

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset
    from trainable.metrics import Objective

RUNS = 5
"""most often that a thing is timed; the median counts"""
SECONDS = 1.0
"""after which a thing is not timed again"""
_GIB = 2**30


@dataclass(frozen=True)
class BlockSize:
    """How much one block of a backbone holds, in single precision; the last of a backbone's is its neck."""

    parameters: int
    output_bytes: int
    """an image"""
    saved_bytes: int
    """an image: what the backward pass needs of the forward pass"""


@dataclass(frozen=True)
class BlockTime:
    """How long one block of a backbone takes; the last of a backbone's is its neck."""

    forward_seconds: float
    """an image, in eval mode"""
    train_seconds: float
    """an image, forward and backward"""
    update_seconds: float
    """a step of AdamW"""


class MeasuredBackbone:
    """A backbone with a linear head for so many labels, to be measured at one image size (pixels) on one device.

    Nothing is measured before it is asked for, and nothing twice.

    Raises:
        UserError: as `build_classifier`.
    """

    def __init__(
        self, backbone: str, image_size: int, labels: int, device: torch.device, *, with_memory: bool = True
    ) -> None:
        """`with_memory`: whether `memory_gib` will be asked for, for which libraries are imported that take seconds."""
        make_deterministic()  # as trials are, whose kernels differ
        self._process_bytes = _process_bytes() if with_memory else None
        self.device = device
        began = self._now()
        config = parse_config({"backbone": backbone, "pretrained": False, "image_size": image_size})
        self._classifier = build_classifier(config, labels, None).to(device)
        self.build_seconds = self._now() - began
        self.backbone = backbone
        self.image_size = image_size

    @property
    def facts(self) -> dict[str, Any]:
        """What a search's log tells of it: its size, its latency, and what that was measured with."""
        return {
            "backbone": self.backbone,
            "image_size": self.image_size,
            "parameters": self.parameters,
            "latency_ms": self.latency_ms,
            "device": self.device_name,
            "threads": torch.get_num_threads(),
        }

    @property
    def device_name(self) -> str:
        return device_name(self.device)

    @property
    def block_count(self) -> int:
        """Without the neck."""
        return len(self._classifier.blocks)

    @property
    def parameters(self) -> int:
        """Of blocks and neck, without the head."""
        return sum(map(_parameters, self._modules))

    @functools.cached_property
    def features(self) -> int:
        """What the head is given of an image."""
        with torch.inference_mode():
            return int(self._frozen().prefix(self._images(1)).shape[1])

    @functools.cached_property
    def latency_ms(self) -> float:
        """Milliseconds from one image's pixels to its logits, the median of several runs."""
        classifier, images = self._frozen(), self._images(1)
        with torch.inference_mode():
            return 1000 * self._seconds(lambda: classifier(images))

    @functools.cached_property
    def images(self) -> int:
        """How many images blocks are timed with: a chunk of the prefix, or fewer where that would take long."""
        return max(2, min(CHUNK_IMAGES, int(1000 * SECONDS / self.latency_ms)))

    @functools.cached_property
    def sizes(self) -> tuple[BlockSize, ...]:
        """Of the blocks in order, then of the neck."""
        with torch.inference_mode():
            output_bytes = self._output_bytes()
        saved_bytes = self._saved_bytes()
        return tuple(map(BlockSize, map(_parameters, self._modules), output_bytes, saved_bytes))

    @functools.cached_property
    def times(self) -> tuple[BlockTime, ...]:
        """Of the blocks in order, then of the neck."""
        with torch.inference_mode():
            forward = _medians(self._forward)
        train = _medians(self._forward_and_backward)
        return tuple(
            BlockTime(forward[place] / self.images, train[place] / self.images, self._update_seconds(module))
            for place, module in enumerate(self._modules)
        )

    def head_step_seconds(self, images: int) -> float:
        """A step of the head alone on features of so many images: forward, loss, backward and AdamW."""
        classifier = self._frozen().train()
        optimizer = AdamW().build(parameter_groups(classifier, 1e-6, 1e-6, 0.0))
        features = torch.zeros(images, self.features, device=self.device)
        targets = torch.zeros_like(classifier.head(features))

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            logits = classifier.head(features)
            functional.binary_cross_entropy_with_logits(logits, targets).backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():  # training tells the unweighted loss as well
                functional.binary_cross_entropy_with_logits(logits, targets)
            optimizer.step()

        return self._seconds(step)

    def memory_gib(self, frozen: int, images: int) -> float:
        """The most memory that training takes with so many blocks frozen and so many images at once.

        On a GPU as `torch.cuda.max_memory_allocated` tells of a step, infinite where that did not fit. On a CPU an
        estimate: the process, weights, gradients and Adam's two moments, what the backward pass keeps or what an
        evaluation of more images has in and out of a block, and the largest feature maps of a chunk of the prefix.
        """
        if self.device.type == "cuda":
            return self._peak_bytes(frozen, images) / _GIB
        assert self._process_bytes is not None  # built to be asked for memory
        trained = self.sizes[frozen:] if frozen < self.block_count else ()
        weights = 4 * self.parameters + 12 * sum(block.parameters for block in trained)
        weights += 16 * _parameters(self._classifier.head)
        widest = max((block.output_bytes for block in trained), default=0)
        evaluated = 2 * evaluated_at_once(images) * widest
        kept = max(evaluated, images * sum(block.saved_bytes for block in trained))
        maps = max((self._image_bytes, *(block.output_bytes for block in self.sizes[:frozen])))
        return (self._process_bytes + weights + kept + 2 * CHUNK_IMAGES * maps) / _GIB

    @property
    def _modules(self) -> list[nn.Module]:
        return [*self._classifier.blocks, self._classifier.neck]

    @property
    def _image_bytes(self) -> int:
        return 4 * 3 * self.image_size**2

    def _frozen(self) -> Classifier:
        """The classifier, all frozen, in eval mode."""
        self._classifier.freeze(self.block_count)
        return self._classifier.eval()

    def _images(self, count: int) -> torch.Tensor:
        """Random ones, `[count, 3, size, size]` in 0..1, in the layout of feature maps."""
        random = torch.Generator().manual_seed(0)
        images = torch.rand(count, 3, self.image_size, self.image_size, generator=random)
        return images.contiguous(memory_format=torch.channels_last).to(self.device)

    def _forward(self) -> list[float]:
        """Seconds of each module for all images, frozen."""
        self._frozen()
        x, marks = self._images(self.images), [self._now()]
        for module in self._modules:
            x = module(x)
            marks.append(self._now())
        return _between(marks)

    def _output_bytes(self) -> list[int]:
        """An image's, of each module."""
        self._frozen()
        x, sizes = self._images(1), []
        for module in self._modules:
            x = module(x)
            sizes.append(x.nbytes)
        return sizes

    def _forward_and_backward(self) -> list[float]:
        """Seconds of each module for all images, trained: a module's backward pass ends with its input's gradient."""
        self._classifier.freeze(0)
        self._classifier.train()
        x, marks = self._images(self.images), [self._now()]
        arrivals: list[float] = []
        for module in self._modules:
            x = module(x)
            x.register_hook(lambda _: arrivals.append(self._now()))
            marks.append(self._now())
        self._classifier.head(x).sum().backward()
        self._classifier.zero_grad(set_to_none=True)
        backward = _between([*arrivals, self._now()])[::-1]
        return [there + back for there, back in zip(_between(marks), backward, strict=True)]

    def _saved_bytes(self) -> list[int]:
        """An image's, of each module; weights, which are there anyway, are left out."""
        self._classifier.freeze(0)
        self._classifier.train()
        x, sizes = self._images(2), []
        weights = {parameter.untyped_storage().data_ptr() for parameter in self._classifier.parameters()}
        for module in self._modules:
            storages: dict[int, int] = {}

            def keep(tensor: torch.Tensor, storages: dict[int, int] = storages) -> torch.Tensor:
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in weights:
                    storages[storage.data_ptr()] = storage.nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                x = module(x)
            sizes.append(sum(storages.values()) // 2)
        return sizes

    def _update_seconds(self, module: nn.Module) -> float:
        parameters = list(module.parameters())
        if not parameters:
            return 0.0
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimizer = AdamW().build([{"params": parameters, "lr": 1e-6, "weight_decay": 0.0}])
        seconds = self._seconds(optimizer.step)
        module.zero_grad(set_to_none=True)
        return seconds

    def _peak_bytes(self, frozen: int, images: int) -> float:
        """Of a training step on a GPU, and of an evaluation of as many images as are evaluated at once."""
        classifier = self._classifier
        classifier.freeze(frozen)
        classifier.train()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        try:
            optimizer = AdamW().build(parameter_groups(classifier, 1e-6, 1e-6, 0.0))
            with torch.no_grad():
                chunks = [classifier.prefix(chunk) for chunk in torch.split(self._images(images), CHUNK_IMAGES)]
            features = torch.cat(chunks)
            classifier.suffix(features).sum().backward()
            optimizer.step()
            classifier.eval()
            with torch.no_grad():
                repeats = math.ceil(evaluated_at_once(images) / images)
                classifier.suffix(features.repeat(repeats, *[1] * (features.ndim - 1)))
        except torch.OutOfMemoryError:
            return float("inf")
        finally:
            classifier.zero_grad(set_to_none=True)
        return torch.cuda.max_memory_allocated(self.device)

    def _now(self) -> float:
        """Seconds on a clock, once all that was asked of the device is done.

        With one thread on a CPU it is the thread's own clock, which stands still while other programs have the core.
        """
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif torch.get_num_threads() == 1:
            return time.thread_time()
        return time.perf_counter()

    def _seconds(self, call: Callable[[], object]) -> float:
        """The median of some runs, after one that is not counted."""

        def run() -> list[float]:
            began = self._now()
            call()
            return [self._now() - began]

        call()
        return _medians(run)[0]


def _medians(run: Callable[[], list[float]]) -> list[float]:
    """Run it several times, unless that takes long: the median of each number that it gives."""
    began, runs = time.perf_counter(), [run()]
    while len(runs) < RUNS and time.perf_counter() - began < SECONDS:
        runs.append(run())
    return [statistics.median(numbers) for numbers in zip(*runs, strict=True)]


def _between(marks: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(marks)]


def evaluation_seconds(config: TrialConfig, data: ImageDataset, objective: Objective) -> float:
    """What it takes to score validation once, given its logits: here random ones."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(len(data.split["val"]), len(data.labels), generator=random)
    evaluator = Evaluator(config, data, objective)
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter

    def run() -> list[float]:
        began = clock()
        evaluator.validation(logits, with_fitted=True)
        return [clock() - began]

    run()  # imports what metrics need
    return _medians(run)[0]


def head_parameters(head: Head, features: int, labels: int) -> int:
    """Of a config's head on so many features; nothing is allocated."""
    with torch.device("meta"):
        return _parameters(head.build(features, labels))


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@functools.cache
def _process_bytes() -> int:
    """What this process takes before it builds a first backbone, with the libraries that every worker has in it."""
    for library in ("timm", "torchmetrics", "torchvision"):
        importlib.import_module(library)
    return int(psutil.Process().memory_info().rss)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """So many CPU threads of torch, as a trial has them."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
