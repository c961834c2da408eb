"""Where the deformable scans of a model read an image."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .backbones.df_mamba import LEVELS, DFMamba
from .layers import DSSM


@dataclass(frozen=True)
class DeformSamples:
    """What one deformable scan reads, in pixels of the image that the model sees.

    Attributes:
        name: Name of the layer in its backbone.
        stride: Pixels between neighbouring tokens.
        tokens: Place (x, y) of each token, ``(H, W, 2)``.
        positions: Places (x, y) of the samples of each token and group of
            channels, ``(N, H, W, G, K, 2)``.
        weights: Their weights, ``(N, H, W, G, K)``.
    """

    name: str
    stride: int
    tokens: Tensor
    positions: Tensor
    weights: Tensor


@torch.no_grad()
def deform_samples(model: nn.Module, images: Tensor) -> list[DeformSamples]:
    """Finds where the deformable scans of a model read images, and how much.

    The backbone runs once, in evaluation mode; only then its layers are listened
    to, so nothing is slower at other times.

    Args:
        model: A DF-Mamba, or a model that holds one.
        images: What its backbone takes, ``(N, C, H, W)``.

    Returns:
        The samples of each deformable scan, from the first block to the last.

    Raises:
        ValueError: If the model holds no DF-Mamba, or one without deformable
            scans.
    """
    backbone = next((m for m in model.modules() if isinstance(m, DFMamba)), None)
    layers = {} if backbone is None else _layers(backbone)
    if backbone is None or not layers:
        kind = (
            'DFMamba' if backbone is None else 'deformable scan (DSSM) in its DFMamba'
        )
        raise ValueError(f'this {type(model).__name__} has no {kind}')
    was_training = backbone.training
    try:
        with _inputs_kept(layers) as inputs:
            backbone.eval()(images)
    finally:
        backbone.train(was_training)
    return [
        _of_layer(name, layer, stride, inputs[name])
        for name, (layer, stride) in layers.items()
        if name in inputs  # stages behind the last map returned do not run
    ]


def _layers(backbone: DFMamba) -> dict[str, tuple[DSSM, int]]:
    """The deformable scans by name, and the stride of their stage."""
    return {
        f'stages.{index}.{name}': (module, 4 * 2**level)
        for index, (stage, level) in enumerate(
            zip(backbone.stages, LEVELS, strict=True)
        )
        for name, module in stage.named_modules()
        if isinstance(module, DSSM)
    }


@contextmanager
def _inputs_kept(layers: dict[str, tuple[DSSM, int]]) -> Iterator[dict[str, Tensor]]:
    inputs: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_pre_hook(
            lambda _, args, name=name: inputs.update({name: args[0]})
        )
        for name, (layer, _) in layers.items()
    ]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()


def _of_layer(name: str, layer: DSSM, stride: int, x: Tensor) -> DeformSamples:
    rows, columns = x.shape[1:3]
    offset, weight = layer.samples(x.flatten(1, 2))
    place = torch.cartesian_prod(
        torch.arange(rows, device=x.device), torch.arange(columns, device=x.device)
    ).view(rows, columns, 2)
    at = place[:, :, None, None] + layer.anchors + offset.unflatten(1, (rows, columns))
    # A convolution of stride 2 and padding 1 has its middle tap on every other place.
    return DeformSamples(
        name=name,
        stride=stride,
        tokens=stride * place.flip(-1),
        positions=stride * at.flip(-1),
        weights=weight.unflatten(1, (rows, columns)),
    )
