"""The orders in which a scan visits its tokens."""

from collections.abc import Sequence

import torch
from torch import Tensor

Step = tuple[int, int, bool]

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class ScanPaths:
    """Validated paths over ``L`` tokens, made once and used for many scans.

    Path ``k`` is ``steps[k] = (row, source, reverse)``: it reads the tokens of
    ``source`` in the order ``index[row]``, from the end if ``reverse``. Two paths
    over the same row and source in opposite directions are one visit of the
    tokens forth and back; such pairs are listed in ``pairs``.

    Everything but ``index`` is a Python constant, so nothing is read back from
    the device and ``torch.compile`` can specialise on it.

    Args:
        index: Orders of the tokens, ``(P, L)`` integers (a tensor or nested
            sequences). Each row is a permutation of ``0 .. L - 1``.
        steps: One ``(row, source, reverse)`` per path.
        segment: The state restarts every ``segment`` steps along the path; the
            last segment may be shorter. ``None``: it never restarts.

    Attributes:
        index: ``(P, L)`` int64 tensor, contiguous.
        steps: Tuple of ``(row, source, reverse)``.
        segment: Steps between restarts, or ``None``.
        num_paths: Number of paths ``K``.
        num_tokens: Number of tokens ``L``.
        num_sources: Number of sources the steps name.
        num_segments: Number of stretches between restarts.
        pairs: Tuple of ``(forward path, reverse path)``.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a row is no permutation, or a step names a row or source
            that cannot be.

    Example:
        >>> paths = ScanPaths([[0, 1, 2]], [(0, 0, False), (0, 0, True)])
        >>> paths.pairs
        ((0, 1),)
    """

    def __init__(
        self,
        index: Tensor | Sequence[Sequence[int]],
        steps: Sequence[Step],
        segment: int | None = None,
    ) -> None:
        self.index = _as_index(index)
        self.steps = _as_steps(steps, len(self.index))
        self.segment = _as_segment(segment)
        self.pairs = _find_pairs(self.steps)

    @property
    def num_paths(self) -> int:
        """Number of paths ``K``."""
        return len(self.steps)

    @property
    def num_tokens(self) -> int:
        """Number of tokens ``L``."""
        return self.index.shape[1]

    @property
    def num_sources(self) -> int:
        """Number of sources that the steps name."""
        return 1 + max(source for _, source, _ in self.steps)

    @property
    def num_segments(self) -> int:
        """Number of stretches between restarts of the state (at least 1)."""
        if self.segment is None:
            return 1
        return max(1, -(-self.num_tokens // self.segment))

    def to(self, device: torch.device | str) -> 'ScanPaths':
        """Returns these paths with the index on ``device``."""
        device = torch.device(device)
        if device == self.index.device:
            return self
        moved = object.__new__(ScanPaths)
        moved.index = self.index.to(device)
        moved.steps = self.steps
        moved.segment = self.segment
        moved.pairs = self.pairs
        return moved

    def __repr__(self) -> str:
        return (
            f'ScanPaths(num_tokens={self.num_tokens}, steps={self.steps}, '
            f'segment={self.segment}, device={str(self.index.device)!r})'
        )


def _as_index(index: Tensor | Sequence[Sequence[int]]) -> Tensor:
    """Returns the orders as contiguous int64 after checking every row."""
    index = torch.as_tensor(index)
    if index.numel() and index.dtype not in _INTEGERS:
        raise TypeError(f'index must hold integers, got {index.dtype}')
    if index.dim() != 2 or len(index) == 0:
        raise ValueError(
            'index must be (P, L) with at least one row, got shape '
            f'{tuple(index.shape)}'
        )
    index = index.to(torch.int64).contiguous()
    if index.device.type == 'meta':
        raise ValueError(
            'index must have values to check, got a tensor on the meta device; '
            "make the paths on the CPU and move them with .to('meta')"
        )
    expected = torch.arange(index.shape[1], device=index.device)
    wrong = (index.sort(dim=1).values != expected).any(dim=1).tolist()
    for row, is_wrong in enumerate(wrong):
        if is_wrong:
            raise ValueError(
                f'index row {row} must be a permutation of '
                f'0 .. {index.shape[1] - 1}, got {_shorten(index[row].tolist())}'
            )
    return index


def _as_steps(steps: Sequence[Step], num_rows: int) -> tuple[Step, ...]:
    """Returns the steps as plain Python tuples after checking each."""
    checked = []
    for k, step in enumerate(steps):
        try:
            row, source, reverse = step
        except (TypeError, ValueError):
            raise TypeError(
                f'steps[{k}] must be (index row, source, reverse), got {step!r}'
            ) from None
        if not _is_int(row) or not 0 <= row < num_rows:
            raise ValueError(
                f'steps[{k}] names index row {row!r}, but index has rows '
                f'0 .. {num_rows - 1}'
            )
        if not _is_int(source) or source < 0:
            raise ValueError(
                f'steps[{k}] names source {source!r}, expected an integer >= 0'
            )
        if not isinstance(reverse, bool):
            raise TypeError(
                f'steps[{k}] has reverse = {reverse!r}, expected True or False'
            )
        checked.append((int(row), int(source), reverse))
    if not checked:
        raise ValueError('steps must name at least one path, got none')
    return tuple(checked)


def _as_segment(segment: int | None) -> int | None:
    if segment is not None and (not _is_int(segment) or segment < 1):
        raise ValueError(f'segment must be None or an integer >= 1, got {segment!r}')
    return segment


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _find_pairs(steps: tuple[Step, ...]) -> tuple[tuple[int, int], ...]:
    """Matches each forward path with the first free reverse path like it."""
    free = [k for k, (_, _, reverse) in enumerate(steps) if reverse]
    pairs = []
    for k, (row, source, reverse) in enumerate(steps):
        if reverse:
            continue
        match = next((j for j in free if steps[j][:2] == (row, source)), None)
        if match is not None:
            free.remove(match)
            pairs.append((k, match))
    return tuple(pairs)


def _shorten(values: list[int], most: int = 12) -> str:
    shown = ', '.join(map(str, values[:most]))
    return f'[{shown}{", ..." if len(values) > most else ""}]'
