"""What a causal model keeps of the frames that it has seen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class LayerState:
    """What one causal layer keeps.

    Attributes:
        past: The last ``P`` frames before the convolution, ``(N, E, P, J)``.
        frame_scan: State of the scan frame by frame, ``(N, 1, E, d_state)``.
        joint_scan: State of the scan along each joint, ``(N, 1, J, E, d_state)``.
    """

    past: Tensor
    frame_scan: Tensor
    joint_scan: Tensor


class StreamState:
    """What a causal lifter keeps of ``N`` streams: its size never changes.

    Args:
        seen: How many frames each stream has had, counted up to the length of the
            position table: int64, ``(N,)``.
        layers: The state of each layer, from the first block to the last.
    """

    def __init__(self, seen: Tensor, layers: Sequence[LayerState]) -> None:
        self.seen = seen
        self.layers = list(layers)

    @property
    def batch_size(self) -> int:
        """Number of streams ``N``."""
        return self.seen.shape[0]  # a symbol stays one

    @property
    def nbytes(self) -> int:
        """Memory of all tensors, in bytes."""
        return sum(tensor.nbytes for tensor in self.state_dict().values())

    def reset(self, streams: Sequence[int] | None = None) -> None:
        """Forgets the frames of some streams: the next frame is their first.

        Args:
            streams: Numbers of the streams. Default: all.

        Raises:
            IndexError: If there is no stream of such a number.
        """
        chosen = range(self.batch_size) if streams is None else streams
        if any(not 0 <= stream < self.batch_size for stream in chosen):
            raise IndexError(
                f'there are streams 0 to {self.batch_size - 1}, got {list(chosen)}'
            )
        rows = torch.tensor(list(chosen), dtype=torch.int64, device=self.seen.device)
        # New tensors: another state may share the old ones.
        self._replace(lambda tensor: tensor.index_fill(0, rows, 0))

    def clone(self) -> 'StreamState':
        """A copy that shares no memory."""
        other = StreamState(self.seen, [LayerState(**vars(s)) for s in self.layers])
        other._replace(torch.clone)
        return other

    def to(self, device: torch.device | str) -> 'StreamState':
        """Moves the state to a device, and returns it."""
        self._replace(lambda tensor: tensor.to(device))
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """All that is kept, as tensors by name, for saving."""
        return dict(self._named())

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state_dict` of a like model gave.

        Args:
            tensors: Tensors by name; they are copied, to the device and dtype of
                this state.

        Raises:
            ValueError: If a name is missing or too many, or a shape does not fit:
                the number of streams, or the model, is another one.
        """
        own = self.state_dict()
        if own.keys() != tensors.keys():
            differing = sorted(own.keys() ^ tensors.keys())
            raise ValueError(
                f'this is the state of another model: {differing[0]!r} and '
                f'{len(differing) - 1} more names are in one of the two only'
            )
        for name, tensor in own.items():
            if tensors[name].shape != tensor.shape:
                raise ValueError(
                    f'{name} is {tuple(tensors[name].shape)}, expected '
                    f'{tuple(tensor.shape)}: the state of another number of streams '
                    'or another model'
                )
        new = iter(tensors[name] for name in own)
        self._replace(lambda tensor: next(new).detach().to(tensor, copy=True))

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        yield 'seen', self.seen
        for number, layer in enumerate(self.layers):
            for name, tensor in vars(layer).items():
                yield f'layers.{number}.{name}', tensor

    def _replace(self, change: Callable[[Tensor], Tensor]) -> None:
        """Changes every tensor, in the order of their names."""
        self.seen = change(self.seen)
        for layer in self.layers:
            for name, tensor in vars(layer).items():
                setattr(layer, name, change(tensor))

    def __repr__(self) -> str:
        return (
            f'StreamState(batch_size={self.batch_size}, layers={len(self.layers)}, '
            f'seen={self.seen.tolist()})'
        )
