"""Motion of one person over a video: still sheets and moving clips."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.axes3d import Axes3D
from numpy.typing import NDArray
from PIL import Image

from .scene import (
    CENTRE,
    LEFT,
    RIGHT,
    TRUTH,
    Skeleton,
    camera_to_plot,
    cube_around,
    draw_skeletons_2d,
    draw_skeletons_3d,
    prepare_axes_2d,
    prepare_axes_3d,
    render,
)


@dataclass(frozen=True)
class PoseSequence:
    """What a lifter was given and what it made of it, frame by frame.

    Attributes:
        name: Name of the video, for titles and file names.
        predicted: Predicted joints ``(F, K, 3)``, camera frame, metres,
            relative to the root joint; None to draw the ground truth alone.
        target: Ground truth in the same form.
        keypoints: 2D input ``(F, K, 2)`` in pixels (NaN: not seen), or None
            if it is not known.
    """

    name: str
    predicted: NDArray | None
    target: NDArray
    keypoints: NDArray | None = None

    def __post_init__(self) -> None:
        shape = self.target.shape
        if self.target.ndim != 3 or shape[-1] != 3 or not shape[0]:
            raise ValueError(
                f'target must be (frames, joints, 3) with at least one frame, got '
                f'{shape}'
            )
        if self.predicted is not None and self.predicted.shape != shape:
            raise ValueError(
                f'predicted must have the shape of target, {shape}, got '
                f'{self.predicted.shape}'
            )
        if self.keypoints is not None and self.keypoints.shape != (*shape[:2], 2):
            raise ValueError(
                f'keypoints must be {(*shape[:2], 2)} to go with target, got '
                f'{self.keypoints.shape}'
            )

    def __len__(self) -> int:
        return len(self.target)

    @property
    def errors(self) -> NDArray | None:
        """MPJPE of each frame, ``(F,)``, millimetres; None without a prediction."""
        if self.predicted is None:
            return None
        distance = np.linalg.norm(self.predicted - self.target, axis=-1)
        return 1000 * distance.mean(axis=-1)


@dataclass(frozen=True)
class SequencePainter:
    """Draws a sequence with one view and one scale from its first frame to its last.

    Attributes:
        skeleton: The links between joints.
        azimuth: Angle of the 3D view around the vertical, degrees; -90 looks
            along the camera's axis.
        elevation: Angle of the 3D view above the horizontal, degrees.
        dpi: Dots per inch; a panel is 2.4 inches wide.
    """

    skeleton: Skeleton
    azimuth: float = -60.0
    elevation: float = 12.0
    dpi: int = 110

    def sheet(self, sequence: PoseSequence, num_frames: int = 5) -> NDArray[np.uint8]:
        """One picture of some frames, evenly spread over the sequence.

        Args:
            sequence: The sequence.
            num_frames: How many frames to show.

        Returns:
            RGB ``(H, W, 3)``: 2D input above, below it the prediction over the
            ground truth.
        """
        count = min(num_frames, len(sequence))
        figure = Figure(figsize=(2.4 * count, 5.3), dpi=self.dpi)
        errors = sequence.errors
        title = '' if errors is None else f'   MPJPE {errors.mean():.1f} mm'
        figure.suptitle(f'{sequence.name}{title}', fontsize=11, y=0.985)
        panels = self._layout(figure, sequence, count, stacked=True)
        frames = np.linspace(0, len(sequence) - 1, count).round().astype(int)
        for panel, frame in zip(panels, frames, strict=True):
            self._fill(*panel, sequence, frame)
        return render(figure)

    def clip(
        self, sequence: PoseSequence, max_frames: int = 150, step: int = 1
    ) -> Iterator[NDArray[np.uint8]]:
        """The sequence as pictures, one frame each.

        Args:
            sequence: The sequence.
            max_frames: How many pictures at most.
            step: Draw every so many frames.

        Yields:
            RGB ``(H, W, 3)``: 2D input beside the prediction over the ground
            truth.
        """
        figure = Figure(figsize=(5.6, 3.15), dpi=self.dpi)
        figure.suptitle(sequence.name, fontsize=10, y=0.985)
        (panel,) = self._layout(figure, sequence, 1, stacked=False)
        for frame in range(0, len(sequence), step)[:max_frames]:
            self._fill(*panel, sequence, frame)
            yield render(figure)
            for axes in figure.axes:
                for artist in (*axes.lines, *axes.collections):
                    artist.remove()

    def _layout(
        self, figure: Figure, sequence: PoseSequence, columns: int, stacked: bool
    ) -> list[tuple[Axes | None, Axes3D]]:
        """Makes empty axes, a pair for each frame shown: 2D input and 3D."""
        kinds = 1 if sequence.keypoints is None else 2
        shape = (kinds, columns) if stacked else (1, kinds * columns)
        poses = [sequence.target]
        if sequence.predicted is not None:
            poses.append(sequence.predicted)
        limits = cube_around(camera_to_plot(np.stack(poses)))
        panels: list[tuple[Axes | None, Axes3D]] = []
        for column in range(columns):
            flat = None
            if sequence.keypoints is not None:
                flat = figure.add_subplot(*shape, column + 1)
                prepare_axes_2d(flat, cube_around(sequence.keypoints))
            place = (kinds - 1) * columns + column + 1
            solid = figure.add_subplot(*shape, place, projection='3d')
            prepare_axes_3d(solid, limits, self.azimuth, self.elevation)
            panels.append((flat, solid))
        figure.subplots_adjust(
            left=0.16 / columns if stacked else 0.065,
            right=0.97,
            top=0.9 if stacked else 0.85,
            bottom=0.09 if stacked else 0.16,
            wspace=0.3 if stacked else 0.12,
            hspace=0.16,
        )
        self._legend(figure, truth=sequence.predicted is not None)
        return panels

    def _fill(
        self, flat: Axes | None, solid: Axes3D, sequence: PoseSequence, frame: int
    ) -> None:
        """Draws one frame."""
        if flat is not None and sequence.keypoints is not None:
            draw_skeletons_2d(flat, self.skeleton, [sequence.keypoints[frame]])
            flat.set_title(f'2D input, frame {frame}', fontsize=8, pad=3)
        target = camera_to_plot(sequence.target[frame])
        errors, title = sequence.errors, f'3D ground truth, frame {frame}'
        if sequence.predicted is None or errors is None:
            draw_skeletons_3d(solid, self.skeleton, [target])
        else:
            predicted = camera_to_plot(sequence.predicted[frame])
            draw_skeletons_3d(solid, self.skeleton, [target], truth=True)
            draw_skeletons_3d(solid, self.skeleton, [predicted])
            title = f'3D, frame {frame}: MPJPE {errors[frame]:.0f} mm'
        solid.set_title(title, fontsize=8, pad=0)

    def _legend(self, figure: Figure, truth: bool) -> None:
        entries = [
            Line2D([], [], color=RIGHT, linewidth=2, label='right side'),
            Line2D([], [], color=LEFT, linewidth=2, label='left side'),
            Line2D([], [], color=CENTRE, linewidth=2, label='trunk'),
        ]
        if truth:
            entries.append(
                Line2D(
                    [], [], color=TRUTH, linewidth=5, alpha=0.55, label='ground truth'
                )
            )
        figure.legend(
            handles=entries, loc='lower center', ncols=4, fontsize=7, frameon=False
        )


def save_clip(
    frames: Iterator[NDArray[np.uint8]], path: str | Path, fps: float
) -> None:
    """Writes pictures as an animated GIF.

    All frames share one palette, made of the colours of the drawings: no colour
    flickers, and unchanged parts of the picture cost no bytes.

    Args:
        frames: RGB ``(H, W, 3)``.
        path: The file; its folder must exist.
        fps: Frames per second. GIF keeps time in hundredths of a second.

    Raises:
        ValueError: If there is no frame.
    """
    first = next(frames, None)
    if first is None:
        raise ValueError(f'no frames to write to {path}')
    palette = _palette()
    pictures = (
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in itertools.chain([first], frames)
    )
    next(pictures).save(
        path,
        format='GIF',
        save_all=True,
        append_images=pictures,
        duration=round(1000 / fps),
        loop=0,
        optimize=True,
    )


def _palette(shades: int = 8) -> Image.Image:
    """The colours of a drawing and their blends where lines are smoothed."""
    ramps = [np.linspace(0, 1, 4 * shades)[:, None].repeat(3, axis=1)]
    for color in map(to_rgb, (RIGHT, LEFT, CENTRE)):
        for ground in map(to_rgb, ('white', TRUTH, 'black')):
            ramps.append(np.linspace(color, ground, shades, endpoint=False))
    image = Image.new('P', (1, 1))
    image.putpalette((255 * np.concatenate(ramps)).round().astype(np.uint8).tobytes())
    return image
