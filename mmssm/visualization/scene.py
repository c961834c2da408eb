"""Drawing of skeletons on matplotlib axes, in the plane and in space."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection
from mpl_toolkits.mplot3d.axes3d import Axes3D
from numpy.typing import NDArray

RIGHT = '#d1603d'
LEFT = '#2b7a9e'
CENTRE = '#5f4b8b'
TRUTH = '#9aa0a6'


@dataclass(frozen=True)
class Skeleton:
    """Which joints are linked, and the colour of each link.

    Attributes:
        links: Pairs of joint indices.
        colors: One matplotlib colour per link.
    """

    links: tuple[tuple[int, int], ...]
    colors: tuple[str, ...]

    @classmethod
    def from_dataset_meta(cls, meta: dict) -> 'Skeleton':
        """Reads the links of a parsed dataset description.

        A link has the colour of its side if either end is named ``left_...``
        or ``right_...``, so that the two sides of a body stay apart in a still
        picture, where colours per joint do not show which limb is in front.

        Args:
            meta: ``dataset_meta`` of MMPose: ``skeleton_links`` and
                ``keypoint_id2name`` are read.

        Raises:
            ValueError: If a key is missing.
        """
        missing = {'skeleton_links', 'keypoint_id2name'} - set(meta)
        if missing:
            raise ValueError(
                f'the dataset description lacks {sorted(missing)}, which say how '
                f'joints are linked; it has {sorted(meta)}. Set the metainfo of '
                'the dataset (`metainfo=dict(from_file=...)`)'
            )
        names = meta['keypoint_id2name']
        links = tuple((int(a), int(b)) for a, b in meta['skeleton_links'])
        return cls(links, tuple(_side_color(names[a], names[b]) for a, b in links))

    def segments(self, joints: NDArray) -> NDArray:
        """End points of the links, ``(links, 2, D)``, of joints ``(K, D)``."""
        return joints[np.asarray(self.links)]


def _side_color(*names: str) -> str:
    for side, color in (('left', LEFT), ('right', RIGHT)):
        if any(name.startswith(side) for name in names):
            return color
    return CENTRE


def camera_to_plot(points: NDArray) -> NDArray:
    """Turns camera coordinates into the axes of a plot whose third axis is up.

    Args:
        points: ``(..., 3)``, x to the right, y down, z away from the camera.

    Returns:
        ``(..., 3)``: x to the right, depth, height.
    """
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x, z, -y], axis=-1)


def cube_around(points: NDArray, margin: float = 0.05) -> NDArray:
    """The smallest axis-aligned cube that holds the points, and a margin.

    Args:
        points: ``(..., D)``; rows with NaN do not count.
        margin: Part of the edge that is added on each side.

    Returns:
        ``(D, 2)``: lower and upper limit of each axis, all of equal length.

    Raises:
        ValueError: If no point is finite.
    """
    points = points.reshape(-1, points.shape[-1])
    points = points[np.isfinite(points).all(axis=-1)]
    if not len(points):
        raise ValueError('there is nothing to draw: every point is NaN or infinite')
    low, high = points.min(axis=0), points.max(axis=0)
    half = max(float((high - low).max()) * (0.5 + margin), 1e-6)
    centre = (low + high) / 2
    return np.stack([centre - half, centre + half], axis=-1)


def draw_skeletons_2d(
    axes: Axes, skeleton: Skeleton, people: Iterable[NDArray]
) -> None:
    """Draws people, each ``(K, 2)`` in pixels, NaN where nothing was seen."""
    for joints in people:
        for (a, b), color in zip(skeleton.links, skeleton.colors, strict=True):
            axes.plot(
                *joints[[a, b]].T, color=color, linewidth=2, solid_capstyle='round'
            )
        axes.scatter(joints[:, 0], joints[:, 1], s=9, color='#202124', zorder=3)


def draw_skeletons_3d(
    axes: Axes3D,
    skeleton: Skeleton,
    people: Iterable[NDArray],
    truth: bool = False,
) -> None:
    """Draws people, each ``(K, 3)`` in the axes of the plot.

    Args:
        axes: Where to draw.
        skeleton: The links.
        people: Joints of each person.
        truth: Draw as ground truth: one thick grey line under the colours of
            a prediction.
    """
    for joints in people:
        segments = skeleton.segments(joints)
        lines = Line3DCollection(
            segments[np.isfinite(segments).all(axis=(1, 2))],
            colors=TRUTH
            if truth
            else [
                color
                for color, segment in zip(skeleton.colors, segments, strict=True)
                if np.isfinite(segment).all()
            ],
            linewidths=5 if truth else 2,
            alpha=0.55 if truth else 1.0,
            capstyle='round',
            zorder=1 if truth else 2,
        )
        axes.add_collection3d(lines)
        if not truth:
            axes.scatter(
                *joints.T,
                s=9,
                color='#202124',
                depthshade=False,
                linewidths=0,
                zorder=3,
            )


def prepare_axes_2d(axes: Axes, limits: NDArray) -> None:
    """Sets the window ``(2, 2)`` in pixels; y points down as in an image."""
    (left, right), (top, bottom) = limits
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect('equal')
    axes.set_xlabel('x (px)', fontsize=7, labelpad=1)
    axes.set_ylabel('y (px)', fontsize=7, labelpad=1)
    axes.tick_params(labelsize=6, length=2, pad=1)
    axes.grid(color='#e8eaed', linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color('#bdc1c6')


def prepare_axes_3d(
    axes: Axes3D,
    limits: NDArray,
    azimuth: float,
    elevation: float,
    labels: Sequence[str] = ('x (m)', 'depth (m)', 'height (m)'),
) -> None:
    """Sets a cube ``(3, 2)`` of equal scale and a fixed view.

    Args:
        axes: The axes.
        limits: Lower and upper limit of each axis, of equal length.
        azimuth: Angle of the view around the vertical, degrees.
        elevation: Angle of the view above the horizontal, degrees.
        labels: Names and units of the axes.
    """
    # By depth, a thick ground truth would now and then hide the prediction.
    axes.computed_zorder = False
    axes.set_xlim3d(*limits[0])
    axes.set_ylim3d(*limits[1])
    axes.set_zlim3d(*limits[2])
    axes.set_box_aspect((1, 1, 1), zoom=1.12)
    axes.view_init(elev=elevation, azim=azimuth)
    for axis, label in zip((axes.xaxis, axes.yaxis, axes.zaxis), labels, strict=True):
        axis.set_label_text(label, fontsize=7)
        axis.labelpad = -8
        axis.set_pane_color((0.97, 0.97, 0.98, 1.0))
        axis._axinfo['grid'].update(color='#dadce0', linewidth=0.6)
    axes.locator_params(nbins=5)
    axes.tick_params(labelsize=6, pad=-3)


def render(figure: Figure) -> NDArray[np.uint8]:
    """The figure's pixels, ``(H, W, 3)`` RGB; needs no display."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
