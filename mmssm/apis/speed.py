"""How fast a model, or a scan, is on this machine."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS
from torch import Tensor, nn

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.ops import backend, selective_scan

from .complexity import count

SCAN_SHAPES = ((4, 128, 243, 16), (8, 512, 459, 16), (1, 4096, 22, 1))
"""Clips, channels, steps and states of the scans that are timed."""


class EstimatorNetwork(nn.Module):
    """The network of a pose estimator, without loss and decoding.

    Args:
        estimator: Any pose estimator of MMPose.
    """

    def __init__(self, estimator: nn.Module) -> None:
        super().__init__()
        self.estimator: Any = estimator

    def forward(self, inputs: Tensor) -> Any:
        """Runs backbone, neck and head."""
        return self.estimator._forward(inputs, None)


@dataclass(frozen=True)
class Speed:
    """What was measured of a model.

    Attributes:
        shape: Of one input: channels, height, width; or frames, joints, channels.
        batch: How many inputs a batch has.
        params: How many numbers are learnt.
        macs: Multiply-accumulates of one input, scans and all.
        latency_ms: Median time of one input, milliseconds.
        batch_ms: Median time of a batch, milliseconds.
    """

    shape: tuple[int, ...]
    batch: int
    params: int
    macs: int
    latency_ms: float
    batch_ms: float

    @property
    def per_second(self) -> float:
        """Inputs a second, in batches."""
        return 1000 * self.batch / self.batch_ms


def measure_speed(
    config: Config,
    shape: tuple[int, ...] | None = None,
    batch: int = 4,
    repeats: int = 5,
    device: str | torch.device = 'cpu',
) -> Speed:
    """Measures the network of a config, with random weights on random input.

    Loading of data, decoding and second looks (``flip_test``) are left out.

    Args:
        config: With the model.
        shape: Of one input; None: what the config is for (:func:`input_shape`).
        batch: How many inputs a batch has.
        repeats: Timed runs of each, after one that is not counted.
        device: Where it runs.

    Raises:
        ValueError: The config does not say for what inputs it is.
    """
    device = torch.device(device)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpose')):
        estimator = MODELS.build(config.model)
    network = EstimatorNetwork(estimator).to(device).eval()
    shape = shape or input_shape(config, estimator)
    one = torch.rand(1, *shape, device=device)
    many = torch.rand(batch, *shape, device=device)
    with torch.inference_mode():
        latency = median_ms(lambda: network(one), device, repeats)
        together = median_ms(lambda: network(many), device, repeats)
    size = count(network, one)
    return Speed(tuple(shape), batch, size.params, size.macs, latency, together)


def measure_scans(
    repeats: int = 5, device: str | torch.device = 'cpu'
) -> list[tuple[str, dict[str, float]]]:
    """Times `selective_scan` forward, compiled and as its reference.

    Args:
        repeats: Timed runs of each, after one that is not counted.
        device: Where they run.

    Returns:
        For each of :data:`SCAN_SHAPES` what it is, and milliseconds by backend; the
        reference alone where the kernels are not built.
    """
    from mmssm.ops import _library

    device = torch.device(device)
    built = _library.obstacle(device.type) is None
    backends = ('native', 'reference') if built else ('reference',)
    rows = []
    for clips, channels, steps, states in SCAN_SHAPES:
        arguments = _scan_arguments(clips, channels, steps, states)
        arguments = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in arguments.items()
        }
        times = {}
        for name in backends:
            with backend(name), torch.inference_mode():
                scan = partial(selective_scan, **arguments)
                times[name] = median_ms(scan, device, repeats)
        case = f'{clips} x {channels} channels, {steps} steps, {states} states'
        rows.append((case, times))
    return rows


def input_shape(config: Config, estimator: nn.Module) -> tuple[int, ...]:
    """The shape of one input of a model.

    Args:
        config: Its config, whose validation pipeline says how large crops are.
        estimator: The model, whose backbone says what clips it takes.

    Returns:
        ``(frames, joints, channels)`` or ``(3, height, width)``.

    Raises:
        ValueError: Neither says it.
    """
    backbone: Any = estimator.backbone
    if hasattr(backbone, 'num_frames') and hasattr(backbone, 'num_joints'):
        return backbone.num_frames, backbone.num_joints, backbone.in_channels
    loader = config.get('val_dataloader') or config.get('train_dataloader') or {}
    for size in _input_sizes(loader):
        return 3, size[1], size[0]
    raise ValueError(
        'the config does not say how large its inputs are (input_size in the '
        'validation pipeline): give the shape'
    )


def median_ms(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median time of a call in milliseconds, after one that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _input_sizes(node: Any) -> Iterator[tuple[int, int]]:
    """All (width, height) that steps of a pipeline name."""
    if isinstance(node, dict):
        size = node.get('input_size')
        if size is not None and len(size) >= 2:
            yield size[0], size[1]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            yield from _input_sizes(item)


def _scan_arguments(clips: int, channels: int, steps: int, states: int) -> dict:
    generator = torch.Generator().manual_seed(0)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator)

    return dict(
        u=normal(clips, channels, steps),
        delta=normal(clips, channels, steps) / 2,
        A=-torch.arange(1.0, states + 1).repeat(channels, 1),
        B=normal(clips, 1, states, steps),
        C=normal(clips, 1, states, steps),
        D=torch.ones(channels),
        delta_softplus=True,
    )
