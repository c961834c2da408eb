"""Lifting sequences of any length: windows that overlap and are cross-faded.

A network sees clips of a fixed length, a video has any. The video is cut into
windows that overlap; where two overlap, the result goes smoothly from the older
to the younger one. A sequence that is shorter than a window is one window, as it
is: nothing is padded.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Network = Callable[[NDArray], NDArray]
"""From ``(N, T, J, C)`` to ``(N, T, J, D)``, with T up to the window's length."""


@dataclass(frozen=True)
class Windows:
    """How a sequence is cut.

    Attributes:
        length: Frames in a window.
        overlap: Frames that a window shares with the next.

    Raises:
        ValueError: ``overlap`` is not below ``length``.
    """

    length: int
    overlap: int

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f'a window has at least one frame, got {self.length}')
        if not 0 <= self.overlap < self.length:
            raise ValueError(
                f'overlap must be from 0 to {self.length - 1} frames, less than the '
                f'window of {self.length}, got {self.overlap}'
            )

    @property
    def step(self) -> int:
        """Frames from the start of a window to that of the next."""
        return self.length - self.overlap

    @classmethod
    def of(cls, length: int, overlap: int | None = None) -> 'Windows':
        """Windows of so many frames; by default half of them are shared.

        The first and last two frames of a window are twice as restless as the
        others; with half a window to fade in, nothing of that is left.
        """
        return cls(length, length // 2 if overlap is None else overlap)

    def starts(self, num_frames: int) -> list[int]:
        """First frames of the windows of a sequence.

        The last window ends with the sequence; it may share more than ``overlap``
        frames with the one before.
        """
        if num_frames <= self.length:
            return [0] if num_frames else []
        last = num_frames - self.length
        starts = list(range(0, last, self.step))
        return [*starts, last]

    def fade(self, num_frames: int) -> NDArray[np.float64]:
        """Weights ``(num_frames,)`` of a window in the frames that it shares.

        They rise from 0 to 1 along half a cosine; those of the window before are
        what is left to 1, which is the same backwards.
        """
        phase = (np.arange(num_frames) + 0.5) / max(num_frames, 1)
        return 0.5 - 0.5 * np.cos(np.pi * phase)

    def weights(self, num_frames: int) -> NDArray[np.float64]:
        """What each window counts in each frame ``(windows, num_frames)``.

        Every column sums to one.
        """
        starts = self.starts(num_frames)
        length = min(self.length, num_frames)
        blend = CrossFade(self)
        parts = [
            blend.push(start, np.tile(row, (length, 1)))
            for start, row in zip(starts, np.eye(len(starts)), strict=True)
        ]
        return np.concatenate([*parts, blend.finish()]).T


class CrossFade:
    """Joins the windows of one sequence as they come.

    It keeps the frames that a later window may still change, and no others.

    Where all windows agree, the result is what they agree on, to the bit.

    Args:
        windows: How the sequence is cut.
    """

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self._start = 0
        self._tail: NDArray | None = None

    def push(self, start: int, values: NDArray) -> NDArray:
        """Takes the next window.

        Args:
            start: Its first frame, behind that of the window before.
            values: ``(T, ...)``, what the network made of it.

        Returns:
            Values ``(t, ...)`` of the frames that are final now: those from the
            start of the window before up to ``start``.

        Raises:
            ValueError: The window does not go on where those before ended.
        """
        if self._tail is None:
            self._start, self._tail = start, values
            return values[:0]
        shared = self._start + len(self._tail) - start
        if start < self._start or not 0 <= shared <= len(values):
            raise ValueError(
                f'a window of {len(values)} frames from {start} on does not go on '
                f'from frames {self._start} to {self._start + len(self._tail) - 1}'
            )
        done = self._tail[: start - self._start]
        old, new = self._tail[start - self._start :], values[:shared]
        weights = self.windows.fade(shared).reshape(-1, *[1] * (values.ndim - 1))
        # not old * (1 - weights) + new * weights, which rounds where both are equal
        faded = (old + weights * (new - old)).astype(values.dtype)
        self._start, self._tail = start, np.concatenate([faded, values[shared:]])
        return done

    def finish(self) -> NDArray:
        """Values ``(t, ...)`` of the frames that are left."""
        if self._tail is None:
            raise ValueError('there was no window')
        tail, self._tail = self._tail, None
        return tail


def lift_windows(
    network: Network,
    clips: Iterable[NDArray],
    windows: Windows,
    batch_size: int = 16,
) -> Iterator[tuple[int, NDArray]]:
    """Lifts clips of any length, many windows of many people at once.

    Args:
        network: What sees a batch of windows of one length.
        clips: Sequences ``(T, J, C)``, such as one person each; taken one after the
            other, as they are needed.
        windows: How they are cut.
        batch_size: Windows at once, at most.

    Yields:
        Which clip, and results ``(t, J, D)`` of its next frames, in order; all
        frames of all clips, each once. Only ``batch_size`` windows and the clips
        that they are from are held at a time.

    Raises:
        ValueError: The network returns another number of windows or frames.
    """
    # by length: of clips that are shorter than a window each is its own
    waiting: dict[int, list[tuple[int, int, NDArray, bool]]] = {}
    blends: dict[int, CrossFade] = {}
    for number, clip in enumerate(clips):
        starts = windows.starts(len(clip))
        for start in starts:
            part = clip[start : start + windows.length]
            batch = waiting.setdefault(len(part), [])
            batch.append((number, start, part, start == starts[-1]))
            if len(batch) == batch_size:
                yield from _lift_batch(network, batch, windows, blends)
                batch.clear()
    for batch in waiting.values():
        if batch:
            yield from _lift_batch(network, batch, windows, blends)


def _lift_batch(
    network: Network,
    batch: Sequence[tuple[int, int, NDArray, bool]],
    windows: Windows,
    blends: dict[int, CrossFade],
) -> Iterator[tuple[int, NDArray]]:
    inputs = np.stack([part for _, _, part, _ in batch])
    outputs = network(inputs)
    if outputs.shape[:2] != inputs.shape[:2]:
        raise ValueError(
            f'the network made {outputs.shape[:2]} of {inputs.shape[:2]} windows and '
            'frames; a lifter that predicts one frame of a clip cannot be used here'
        )
    for (number, start, _, is_last), values in zip(batch, outputs, strict=True):
        blend = blends.setdefault(number, CrossFade(windows))
        done = blend.push(start, values)
        if len(done):
            yield number, done
        if is_last:
            yield number, blends.pop(number).finish()


def lift_clips(
    network: Network,
    clips: Iterable[NDArray],
    windows: Windows,
    batch_size: int = 16,
) -> list[NDArray]:
    """Lifts clips of any length as a whole.

    Args:
        network: As in :func:`lift_windows`, like all that follow.
        clips: Sequences.
        windows: How they are cut.
        batch_size: Windows at once.

    Returns:
        Per clip the results ``(T, J, D)``.
    """
    lengths: list[int] = []
    results: dict[int, NDArray] = {}
    filled: dict[int, int] = {}
    for number, done in lift_windows(
        network, _measured(clips, lengths), windows, batch_size
    ):
        # one array from the start: small ones that live on, made between large ones
        # that do not, would let the heap grow with the sequence
        if number not in results:
            shape = lengths[number], *done.shape[1:]
            results[number], filled[number] = np.empty(shape, done.dtype), 0
        end = filled[number] + len(done)
        results[number][filled[number] : end] = done
        filled[number] = end
    return [results[number] for number in sorted(results)]


def _measured(clips: Iterable[NDArray], lengths: list[int]) -> Iterator[NDArray]:
    for clip in clips:
        lengths.append(len(clip))
        yield clip
