"""Annotated videos: 2D over the image, 3D beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import proj3d
from mpl_toolkits.mplot3d.axes3d import Axes3D
from numpy.typing import NDArray

from mmssm.visualization.mesh_pictures import (
    TURNS,
    draw_meshes,
    draw_view,
    place_meshes,
)
from mmssm.visualization.scene import (
    camera_to_plot,
    cube_around,
    prepare_axes_3d,
    render,
)

from .hand_columns import all_columns, columns_of
from .limits import box_around, finite_points
from .page import IMAGES_PER_SECOND
from .palette import body_skeleton, lighter, link_colors, rgb, track_color
from .pictures import Video, check_image, read_frames
from .placing import joints_in_scene, place_people
from .results import Hand, HandMeshes, Lifting, Person, require
from .video_file import open_video

LEAST_HEIGHT, LARGEST_HEIGHT, LARGEST_WIDTH = 360, 720, 1280
"""Pixels of the left panel: other images are scaled."""

_INCHES = 4.2
"""Edge of the 3D panel for matplotlib, which sets the size of its letters."""

_BODY_SIZE = 1.7
_BODY = _BODY_SIZE / 2 * np.array([[-1, -1, -1], [1, 1, 1]])
"""What the box holds if nobody was found, metres."""

_SHIFT = 3
"""Bits of OpenCV's coordinates behind the point: lines move smoothly."""


def write_annotated_video(
    path: str | Path,
    result: Lifting | HandMeshes,
    frames: Video,
    azimuth: float = -60.0,
    elevation: float = 12.0,
) -> int:
    """Writes a video of the frames with the 2D result over them and 3D beside.

    Of lifted people: 2D joints over the image, and the 3D skeletons in a box of fixed
    view and scale, where roots were estimated, else side by side. Of hands: meshes
    over the image, and each from its side and from above. Frames are read, drawn and
    written one by one: memory does not grow with the length.

    Args:
        path: ``.mp4``, ``.mkv`` or ``.mov`` (MPEG-4 Part 2: every player, no
            browser), ``.webm`` (VP8: browsers too, slow to write) or ``.avi`` (Motion
            JPEG, large). Written whole or not at all.
        result: What to draw.
        frames: The video's path, or its frames (number, BGR image); those from the
            result's number of frames on are not read.
        azimuth: Angle of the 3D view around the vertical, degrees; -90 looks along
            the camera's axis.
        elevation: Angle of the 3D view above the horizontal, degrees.

    Returns:
        How many frames were written.

    Raises:
        TypeError: ``result`` is no result.
        ValueError: There is no frame, or a frame is not of the result's size.
        UserError: The suffix is none of the above, or OpenCV cannot write it.
        FileNotWrittenError: The file could not be written.
    """
    if isinstance(result, Lifting):
        painter: _Painter = _LiftingPainter(result, azimuth, elevation)
        count = result.num_frames
    else:
        require(result, HandMeshes, 'result')
        painter, count = _HandPainter(result), len(result.frames)
    size = None if result.fps is None else result.image_size
    written = 0
    with open_video(path, result.fps or IMAGES_PER_SECOND) as write:
        for number, image in read_frames(frames):
            if number >= count:
                break
            check_image(number, image, size)
            write(painter(number, image))
            written += 1
    return written


_Painter = Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]]


class _LiftingPainter:
    """Draws frames of lifted people."""

    def __init__(self, result: Lifting, azimuth: float, elevation: float) -> None:
        self.size = _panel_size(result.image_size)
        persons = list(result.persons)
        placing = place_people(persons)
        scenes = [
            camera_to_plot(joints_in_scene(one, None if placing.placed else offset))
            for one, offset in zip(persons, placing.offsets, strict=True)
        ]
        skeleton = body_skeleton(result.joint_names, result.skeleton_links)
        self.stage = _Stage(scenes, self.size[1], azimuth, elevation)
        self.figures = [
            _Figure(
                one,
                self.stage.project(scene),
                skeleton.links,
                [_bgr(color) for color in link_colors(skeleton, number, len(persons))],
            )
            for number, (one, scene) in enumerate(zip(persons, scenes, strict=True))
        ]

    def __call__(self, number: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        flat, scale, corner = _letterbox(image, self.size)
        solid = self.stage.background.copy()
        there = [one for one in self.figures if number in one.rows]
        for one in there:
            pixels = one.person.keypoints[one.rows[number]]
            places = (pixels + 0.5) * scale - 0.5 + corner
            one.draw(flat, places, number)
            if len(self.figures) > 1:
                _write_above(flat, places, str(one.person.track_id))
        for one in sorted(there, key=lambda one: one.depth(number), reverse=True):
            one.draw(solid, one.seen[one.rows[number], :, :2], number)
        _write(flat, f'frame {number}')
        return np.concatenate([flat, solid], 1)


class _Figure:
    """One person: where the joints are seen, and how they are drawn."""

    def __init__(
        self,
        person: Person,
        seen: NDArray,
        links: Sequence[tuple[int, int]],
        colors: list[tuple[int, int, int]],
    ) -> None:
        self.person = person
        self.seen = seen
        self.links = links
        self.colors = colors
        self.rows = {int(frame): row for row, frame in enumerate(person.frames)}

    def depth(self, number: int) -> float:
        """How far away the person is: 0 if that is not known."""
        depth = self.seen[self.rows[number], :, 2]
        depth = depth[np.isfinite(depth)]
        return float(np.mean(depth)) if len(depth) else 0.0

    def draw(self, image: NDArray[np.uint8], joints: NDArray, number: int) -> None:
        """Draws bones with a dark edge; hollow joints are interpolated ones."""
        row = self.rows[number]
        thick = max(2, round(len(image) / 200))
        known = np.isfinite(joints).all(-1)
        # far outside of the image, OpenCV's integers would overflow
        places = np.clip(np.where(known[:, None], joints, 0), -9999, 9999)
        points = np.round(places * (1 << _SHIFT)).astype(int).tolist()
        for (a, b), color in zip(self.links, self.colors, strict=True):
            if known[a] and known[b]:
                for ink, width in (((40, 40, 40), thick + 2), (color, thick)):
                    cv2.line(
                        image, points[a], points[b], ink, width, cv2.LINE_AA, _SHIFT
                    )
        hollow = self.person.filled_joints[row] | self.person.filled[row]
        for joint in np.flatnonzero(known):
            ink = (255, 255, 255) if hollow[joint] else (40, 40, 40)
            radius = round(0.8 * thick * (1 << _SHIFT))
            cv2.circle(image, points[joint], radius, ink, -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(
                image, points[joint], radius, (40, 40, 40), 1, cv2.LINE_AA, _SHIFT
            )


class _Stage:
    """The box of the 3D panel, drawn by matplotlib once for all frames.

    People are drawn over it through its projection, which takes a hundredth of the
    time that matplotlib would need for every frame.
    """

    def __init__(
        self, scenes: list[NDArray], edge: int, azimuth: float, elevation: float
    ) -> None:
        points = finite_points(
            np.concatenate([scene.reshape(-1, 3) for scene in scenes] or [_BODY])
        )
        low, high = box_around(points if len(points) else _BODY, _BODY_SIZE)
        figure = Figure(figsize=(_INCHES, _INCHES), dpi=edge / _INCHES)
        figure.subplots_adjust(-0.01, 0.03, 0.93, 1.0)
        self._axes = cast(Axes3D, figure.add_subplot(projection='3d'))
        cube = cube_around(np.stack([low, high]))
        # people stand on the ground, rather than hover in the middle of the box
        cube[2] += low[2] - cube[2, 0]
        prepare_axes_3d(self._axes, cube, azimuth, elevation)
        picture = render(figure)[..., ::-1]
        self._height = len(picture)
        self.background = cv2.resize(np.ascontiguousarray(picture), (edge, edge))

    def project(self, points: NDArray) -> NDArray[np.float64]:
        """Where points ``(..., 3)`` of the scene are seen: x, y in pixels, depth."""
        flat = points.reshape(-1, 3)
        x, y, depth = proj3d.proj_transform(*flat.T, self._axes.get_proj())
        places = self._axes.transData.transform(np.stack([x, y], -1))
        seen = np.stack([places[:, 0], self._height - places[:, 1], depth], -1)
        return seen.reshape(points.shape)


class _HandPainter:
    """Draws frames of hand meshes; every hand keeps its place and scale."""

    def __init__(self, result: HandMeshes) -> None:
        self.result = result
        self.size = _panel_size(result.image_size)
        self.columns = all_columns(result.frames)
        self.edge = self.size[1] // len(TURNS)
        hands = [one for frame in result.frames for one in frame]
        self.reach = max(
            (float(np.ptp(one.vertices, axis=0).max()) / 2 for one in hands),
            default=None,
        )

    def __call__(self, number: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        hands = self.result.frames[number]
        flat, scale, corner = _letterbox(image, self.size)
        cameras = [_camera(one, scale, corner) for one in hands]
        places = [self.columns.index(column) for column in columns_of(hands)]
        meshes = [
            place_meshes(
                (one.vertices + one.camera_translation)[None].astype(float),
                self.result.faces,
                [camera],
            )[0]._replace(color=rgb(lighter(track_color(place), 0.4)))
            for one, camera, place in zip(hands, cameras, places, strict=True)
        ]
        seen = draw_meshes(np.ascontiguousarray(flat[..., ::-1]), meshes)
        views = np.full((self.size[1], self.edge * len(self.columns), 3), 255, np.uint8)
        for mesh, place in zip(meshes, places, strict=True):
            column = [draw_view(mesh, view, self.edge, self.reach) for view in TURNS]
            stack = np.concatenate(column)
            views[: len(stack), place * self.edge : (place + 1) * self.edge] = stack
        picture = np.concatenate([seen, views], 1)[..., ::-1]
        picture = np.ascontiguousarray(picture)
        _write(picture, f'frame {number}')
        return picture


def _panel_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the left panel, both even, as codecs want them."""
    width, height = image_size
    rows = min(max(height, LEAST_HEIGHT), LARGEST_HEIGHT)
    scale = min(rows / height, LARGEST_WIDTH / width)
    # a panorama gets bands above and below: what is beside it needs the height
    rows = max(LEAST_HEIGHT, 4 * round(scale * height / 4))
    return max(2, 2 * round(scale * width / 2)), rows


def _letterbox(
    image: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], float, tuple[int, int]]:
    """The image as large as it fits, in the middle; its scale and its corner."""
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    small = (
        min(size[0], max(1, round(scale * width))),
        min(size[1], max(1, round(scale * height))),
    )
    x, y = (size[0] - small[0]) // 2, (size[1] - small[1]) // 2
    out = np.zeros((size[1], size[0], 3), np.uint8)
    out[y : y + small[1], x : x + small[0]] = cv2.resize(
        image, small, interpolation=cv2.INTER_AREA
    )
    return out, scale, (x, y)


def _camera(one: Hand, scale: float, corner: tuple[int, int]) -> NDArray[np.float64]:
    """The hand's pinhole matrix for the scaled image with its corner there."""
    centre = (np.asarray(one.principal_point, float) + 0.5) * scale - 0.5
    camera = np.eye(3)
    camera[[0, 1], [0, 1]] = scale * np.asarray(one.focal_length, float)
    camera[:2, 2] = centre + corner
    return camera


def _write(image: NDArray[np.uint8], text: str) -> None:
    """Writes into the lower left corner, on a dark ground."""
    scale = len(image) / 900
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    rows = len(image)
    image[rows - height - below - 12 : rows, : width + 16] //= 3
    place = (8, rows - below - 6)
    cv2.putText(image, text, place, font, scale, (255, 255, 255), 1, cv2.LINE_AA)


def _write_above(image: NDArray[np.uint8], joints: NDArray, text: str) -> None:
    """Writes over the highest joint, in white with a dark edge."""
    joints = joints[np.isfinite(joints).all(-1)]
    if not len(joints):
        return
    x, y = joints[joints[:, 1].argmin()]
    scale, font = len(image) / 900, cv2.FONT_HERSHEY_SIMPLEX
    (width, _), _ = cv2.getTextSize(text, font, scale, 2)
    place = np.clip([x - width / 2, y - 0.03 * len(image)], -9999, 9999)
    x, y = place.astype(int).tolist()
    for ink, thick in (((40, 40, 40), 5), ((255, 255, 255), 2)):
        cv2.putText(image, text, (x, y), font, scale, ink, thick, cv2.LINE_AA)


def _bgr(color: str) -> tuple[int, int, int]:
    red, green, blue = rgb(color)
    return blue, green, red
