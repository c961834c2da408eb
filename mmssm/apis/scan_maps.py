"""Looking inside a scan: how much of each token arrives at each other one.

With its step sizes, input and output weights taken as the numbers that they are for
some input, a scan is a matrix. Along path ``k``, for channel ``e``::

    M[i, j] = C_i . (exp(A (t_i - t_j)) * B_j) delta_j  for j not after i,  else 0

with ``t`` the sum of the step sizes ``delta`` up to a token (the product of the decays
between ``j`` and ``i``), and the skip ``D`` added on the diagonal. The matrices of
all paths are added, and what the paths read in the place of the tokens themselves (a
local order, held joints, deformable samples) is a matrix too, which is multiplied in.
Then ``y_i = sum_j M[i, j] x_j``, with ``x`` what goes into the layer's scan and ``y``
what comes out.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmssm.models.layers import DSSM, S6, SS2D, CausalSS2D, RowScan
from mmssm.ops import ScanPaths, deform_sample

LAYERS = (SS2D, CausalSS2D, RowScan)
"""What has a map; `DSSM` is a `RowScan`."""

_ELEMENTS = 2**22
"""Numbers of a map, over all channels, that are made at once."""


@dataclass(frozen=True)
class ScanMap:
    """Which token's features arrive where, in one layer.

    The sign of an entry says little, as channels have signs of their own; therefore
    ``strength`` is what the aggregations take.

    Attributes:
        name: Name of the layer in its model.
        size: Rows and columns of the grid of tokens: frames and joints of a clip,
            height and width of an image, tokens and 1 in Hamba's blocks.
        signed: Mean over the channels of ``M``, ``(N, L, L)`` float64: row ``i`` reads
            column ``j``; tokens are numbered row by row.
        strength: Mean over the channels of the absolute value of ``M``, the same way.
        residual: Largest difference between ``M x`` and what the layer made of ``x``,
            over the largest value of that: how exactly the map tells what happened.
    """

    name: str
    size: tuple[int, int]
    signed: Tensor
    strength: Tensor
    residual: float

    def among_rows(self) -> Tensor:
        """Shares among rows of the grid (frames of a clip), ``(N, rows, rows)``.

        Entry ``(r, s)``: of all that arrives at the tokens of row ``r``, the part
        that comes from row ``s``, summed over the columns read and averaged over the
        columns reading. Every row sums to one.
        """
        return _shares(self._grid().sum((2, 4)))

    def among_columns(self) -> Tensor:
        """Shares among columns (joints of a clip), ``(N, columns, columns)``.

        As :meth:`among_rows`, with rows and columns exchanged.
        """
        return _shares(self._grid().sum((1, 3)))

    def reads_of(self, token: int) -> Tensor:
        """Shares of what arrives at one token, on the grid, ``(N, rows, columns)``."""
        shares = _shares(self.strength[:, token : token + 1])
        return shares.view(-1, *self.size)

    def _grid(self) -> Tensor:
        return self.strength.view(-1, *self.size, *self.size)


@dataclass
class _Part:
    """A scan with weights of its own: all paths of an `S6`."""

    s6: S6
    sources: list[Tensor] = field(default_factory=list)
    paths: ScanPaths | None = None
    skip_reads_tokens: bool = False


@dataclass
class TracedScan:
    """A layer's scan in one forward pass, its weights as numbers.

    Attributes:
        name: Name of the layer.
        size: Rows and columns of the grid.
        x: What went into the scan, ``(N, L, E)`` float64.
        y: What came out, ``(N, L, E)`` float64.
    """

    name: str
    size: tuple[int, int]
    x: Tensor
    y: Tensor
    _parts: list[_Part]
    _read: Callable[[int, Tensor], Sequence[Tensor]]

    @torch.no_grad()
    def rows(self, sample: int, tokens: Sequence[int]) -> Tensor:
        """Rows of the map of every channel.

        Args:
            sample: Which of the inputs.
            tokens: The ``i`` in ``y_i = sum_j M[i, j] x_j``.

        Returns:
            ``(tokens, L, E)`` float64.
        """
        index = torch.as_tensor(list(tokens))
        of_tokens = torch.zeros(len(index), *self.x.shape[1:], dtype=torch.float64)
        of_sources: list[Tensor] = []
        for part in self._parts:
            assert part.paths is not None
            arguments = {
                name: value[sample] if name in ('dt', 'B', 'C') else value
                for name, value in _double(part).items()
            }
            made = [torch.zeros_like(of_tokens) for _ in part.sources]
            for k, (_, source, _) in enumerate(part.paths.steps):
                made[source] += _path_rows(arguments, part.paths, k, index)
                skip = of_tokens if part.skip_reads_tokens else made[source]
                skip[torch.arange(len(index)), index] += arguments['D'][k]
            of_sources += made
        return of_tokens + self._pull_back(sample, of_sources)

    def _pull_back(self, sample: int, of_sources: Sequence[Tensor]) -> Tensor:
        """Turns maps of what the paths read into one of the tokens."""
        with torch.enable_grad():
            tokens = torch.zeros_like(of_sources[0], requires_grad=True)
            read = self._read(sample, tokens)
            # Both are linear: the gradient is the transposed matrix at work.
            (rows,) = torch.autograd.grad(list(read), tokens, list(of_sources))
        return rows


def scan_layers(model: nn.Module) -> list[str]:
    """Names of the layers of a model that have a map."""
    return [
        name for name, module in model.named_modules() if isinstance(module, LAYERS)
    ]


def scan_map(
    model: nn.Module, inputs: Tensor, layer: str, progress: Any = None
) -> ScanMap:
    """Maps which token's features arrive where in one layer.

    All of a map is made from the numbers of one forward pass in evaluation mode, in
    float64. The time grows with the square of the number of tokens: 27 frames of 17
    joints take seconds, 243 frames an hour.

    Args:
        model: An estimator, a backbone, or any module with such layers.
        inputs: What the network takes, ``(N, ...)``: 2D joints of clips, normalised
            images.
        layer: Name of the layer, one of :func:`scan_layers`; its end is enough where
            one layer alone ends so.
        progress: Called with the number of tokens done and of all. Default: nothing.

    Returns:
        The map.

    Raises:
        ValueError: If there is no such layer, or it does not run.
    """
    traced = trace_scan(model, inputs, layer)
    clips, length, channels = traced.x.shape
    signed = torch.empty(clips, length, length, dtype=torch.float64)
    strength = torch.empty_like(signed)
    error = 0.0
    at_once = max(1, _ELEMENTS // max(length * channels, 1))
    for sample in range(clips):
        for start in range(0, length, at_once):
            tokens = range(start, min(start + at_once, length))
            rows = traced.rows(sample, tokens)
            part = slice(tokens.start, tokens.stop)
            signed[sample, part] = rows.mean(-1)
            strength[sample, part] = rows.abs().mean(-1)
            applied = torch.einsum('ije,je->ie', rows, traced.x[sample])
            error = max(error, (applied - traced.y[sample, part]).abs().max().item())
            if progress is not None:
                progress(sample * length + tokens.stop, clips * length)
    largest = traced.y.abs().max().item()
    residual = error / largest if largest else error
    return ScanMap(traced.name, traced.size, signed, strength, residual)


@torch.no_grad()
def trace_scan(model: nn.Module, inputs: Tensor, layer: str) -> TracedScan:
    """Runs a model once and keeps what one layer's scan saw.

    Args:
        model: As for :func:`scan_map`.
        inputs: As for :func:`scan_map`.
        layer: As for :func:`scan_map`.

    Returns:
        The scan, for :meth:`TracedScan.rows`.

    Raises:
        ValueError: If there is no such layer, or it does not run.
    """
    name = _full_name(model, layer)
    module = model.get_submodule(name)
    was_training = {m for m in model.modules() if m.training}
    try:
        model.eval()
        with _listening(module) as seen:
            run = getattr(model, '_forward', None)
            _ = model(inputs) if run is None else run(inputs, None)
    finally:
        for m in was_training:
            m.training = True
    if not seen.size:
        raise ValueError(
            f'{name} did not run: a later stage than the outputs of the model need'
        )
    return seen.traced(name)


def _full_name(model: nn.Module, layer: str) -> str:
    names = scan_layers(model)
    if not names:
        raise ValueError(
            f'this {type(model).__name__} has no layer that scans '
            f'({", ".join(kind.__name__ for kind in LAYERS)})'
        )
    found = [n for n in names if n == layer] or [
        n for n in names if n.endswith(f'.{layer}')
    ]
    if len(found) != 1:
        raise ValueError(
            f'{layer!r} is {"not one" if not found else "the end of more than one"} of '
            f'the layers that scan: {", ".join(found or names)}'
        )
    return found[0]


class _Seen:
    """What hooks have kept of a layer."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.is_running = False
        self.size: tuple[int, int] | None = None
        self.mixed: Tensor | None = None
        self.y: Tensor | None = None
        scans = [m for m in layer.children() if isinstance(m, S6)]
        self.parts = [_Part(s6) for s6 in scans]

    def traced(self, name: str) -> TracedScan:
        assert self.size is not None and self.y is not None
        read: Callable[[int, Tensor], Sequence[Tensor]]
        if isinstance(self.layer, DSSM):
            (part,) = self.parts
            (x,) = part.sources
            read = self._sampled(self.layer, x)
        elif self.mixed is not None:
            x = self.mixed.flatten(1, 2)
            read = self._mixed
        else:
            x = self.parts[0].sources[0]
            read = self._plain
        y = self.y.double().cpu()
        return TracedScan(name, self.size, x.double().cpu(), y, self.parts, read)

    def _plain(self, sample: int, tokens: Tensor) -> list[Tensor]:
        return [tokens for part in self.parts for _ in part.sources]

    def _mixed(self, sample: int, tokens: Tensor) -> list[Tensor]:
        mix: Any = self.layer.mix
        assert self.size is not None
        # 'identity' leaves out a part of the gradient, but not of the matrix.
        given = getattr(mix, 'grad', None)
        try:
            if given is not None:
                mix.grad = 'full'
            made = mix(tokens.unflatten(1, self.size))
        finally:
            if given is not None:
                mix.grad = given
        sources = [source.flatten(1, 2) for source in made]
        if isinstance(self.layer, CausalSS2D):
            return [sources[number] for number in self.layer.sources]
        return sources

    def _sampled(self, layer: DSSM, x: Tensor) -> Callable:
        offset, weight = (t.double().cpu() for t in layer.samples(x))
        anchors = layer.anchors.double().cpu()
        assert self.size is not None
        size = self.size

        def read(sample: int, tokens: Tensor) -> list[Tensor]:
            places = offset[sample].expand(len(tokens), *offset.shape[1:])
            weights = weight[sample].expand(len(tokens), *weight.shape[1:])
            return [deform_sample(tokens, places, weights, anchors, size)]

        return read


@contextlib.contextmanager
def _listening(layer: nn.Module) -> Iterator[_Seen]:
    """Keeps what goes into the parts of a layer, and what comes out of its scans."""
    seen = _Seen(layer)

    def on_layer(_: nn.Module, args: tuple) -> None:
        rows, columns = args[0].shape[1:3]
        seen.size, seen.y, seen.is_running = (rows, columns), None, True

    def after_layer(_: nn.Module, __: tuple, ___: Any) -> None:
        seen.is_running = False

    def on_scan(part: _Part) -> Callable:
        def keep(_: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
            sources, part.paths = args
            part.sources = list(sources[: part.paths.num_sources])
            y = output[0] if isinstance(output, tuple) else output
            seen.y = y if seen.y is None else seen.y + y

        return keep

    def on_mix(_: nn.Module, args: tuple) -> None:
        if seen.is_running:  # one module may serve all layers
            seen.mixed = args[0]

    def on_deformable(module: DSSM, args: tuple, output: Tensor) -> None:
        (part,) = seen.parts
        part.sources = [args[0].flatten(1, 2)]
        rows, columns = args[0].shape[1:3]
        part.paths = module.paths(rows, columns, args[0].device)
        part.skip_reads_tokens = True
        seen.y = output.flatten(1, 2)

    handles = [
        layer.register_forward_pre_hook(on_layer),
        layer.register_forward_hook(after_layer),
    ]
    if isinstance(layer, DSSM):
        handles.append(layer.register_forward_hook(on_deformable))
    else:
        handles += [
            part.s6.register_forward_hook(on_scan(part), with_kwargs=True)
            for part in seen.parts
        ]
    mix = getattr(layer, 'mix', None)
    if isinstance(mix, nn.Module):
        handles.append(mix.register_forward_pre_hook(on_mix))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _double(part: _Part) -> dict[str, Tensor]:
    """The arguments of a part's scan, as it computes them, in float64 on the CPU."""
    assert part.paths is not None
    arguments = part.s6.scan_arguments(part.sources, part.paths)
    return {name: value.double().cpu() for name, value in arguments.items()}  # type: ignore[attr-defined]


def _path_rows(
    arguments: dict[str, Tensor], paths: ScanPaths, k: int, tokens: Tensor
) -> Tensor:
    """Rows ``(tokens, L, E)`` of the map of path ``k`` on what it reads, without D."""
    row, _, reverse = paths.steps[k]
    order = paths.index[row].cpu()
    order = order.flip(0) if reverse else order
    place = order.argsort()[tokens]
    delta = F.softplus(
        arguments['dt'][k] @ arguments['dt_weight'][k].T + arguments['dt_bias'][k]
    )[order]
    time = delta.cumsum(0)
    B, C = (arguments[name][k][order] for name in ('B', 'C'))
    steps = torch.arange(len(order))
    segment = paths.segment or max(len(order), 1)
    seen = (steps <= place[:, None]) & (steps // segment == (place // segment)[:, None])
    # Where nothing is seen the exponent would be positive, and without bound.
    lag = (time[place][:, None] - time).masked_fill(~seen.unsqueeze(-1), 0.0)
    rows = torch.zeros_like(lag)
    for state in range(B.shape[1]):
        strength = C[place, state][:, None] * B[:, state] * seen
        decay = torch.exp(arguments['A'][k][:, state] * lag)
        rows += strength.unsqueeze(-1) * decay
    rows *= delta
    return torch.empty_like(rows).index_copy_(1, order, rows)


def _shares(strength: Tensor) -> Tensor:
    """Rows that sum to one; nothing arrives in a row of zeros, which stays."""
    total = strength.sum(-1, keepdim=True)
    return strength / torch.where(total > 0, total, 1.0)
