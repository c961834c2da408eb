"""What the inferencers return.

Units: pixels with the origin at the top left of the image, metres, radians; the
axes of a camera are x right, y down, z forward; frames count from 0.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmssm.geometry.mesh_files import save_mesh

from ._arrays import ArrayField, take_arrays

PERSON_ARRAYS = {
    'frames': ArrayField(('T',), np.int64),
    'keypoints': ArrayField(('T', 'J', 2), may_miss=True),
    'keypoint_scores': ArrayField(('T', 'J')),
    'keypoints_3d': ArrayField(('T', 'J', 3), may_miss=True),
    'root_position': ArrayField(('T', 3), optional=True, may_miss=True),
    'filled': ArrayField(('T',), np.bool_),
    'filled_joints': ArrayField(('T', 'J'), np.bool_),
}

HAND_ARRAYS = {
    'bbox': ArrayField((4,)),
    'keypoints': ArrayField((21, 2)),
    'keypoints_3d': ArrayField((21, 3)),
    'vertices': ArrayField(('V', 3)),
    'camera_translation': ArrayField((3,)),
    'focal_length': ArrayField((2,)),
    'principal_point': ArrayField((2,)),
    'global_orient': ArrayField((3,)),
    'hand_pose': ArrayField(('P', 3)),
    'betas': ArrayField(('S',)),
}


@dataclass(frozen=True, eq=False)
class PersonResult:
    """One person, lifted.

    Attributes:
        track_id: Number of the person, unique within a result.
        frames: ``(T,)`` int64, numbers of the frames, strictly increasing. Where the
            person was out of sight for long, numbers are left out.
        keypoints: ``(T, J, 2)`` float32, pixels: the 2D joints as they were lifted,
            those that were missing filled in. NaN: nothing to fill it from.
        keypoint_scores: ``(T, J)`` float32 in [0, 1]: confidence of the 2D joints
            that the front end gave; 0 where it found nothing.
        keypoints_3d: ``(T, J, 3)`` float32, metres, axes of the camera, relative to
            the root joint.
        root_position: ``(T, 3)`` float32, metres, camera frame: add it to
            ``keypoints_3d`` to have the joints before the camera. None if roots were
            not placed.
        filled: ``(T,)`` bool: the person was not found in this frame; all of its 2D
            joints are interpolated.
        filled_joints: ``(T, J)`` bool: this 2D joint was missing or below the
            confidence that was asked for, and is interpolated.

    Raises:
        ValueError: A shape, a dtype or a value is not as above.
    """

    track_id: int
    frames: NDArray[np.int64]
    keypoints: NDArray[np.float32]
    keypoint_scores: NDArray[np.float32]
    keypoints_3d: NDArray[np.float32]
    root_position: NDArray[np.float32] | None
    filled: NDArray[np.bool_]
    filled_joints: NDArray[np.bool_]

    def __post_init__(self) -> None:
        name = f'person {self.track_id}'
        take_arrays(self, PERSON_ARRAYS, name)
        if not len(self.frames):
            raise ValueError(f'{name} has no frame; leave it out')
        if self.frames[0] < 0 or (np.diff(self.frames) <= 0).any():
            raise ValueError(
                f'{name}: frames must count from 0 and be strictly increasing'
            )
        if ((self.keypoint_scores < 0) | (self.keypoint_scores > 1)).any():
            raise ValueError(f'{name}: keypoint_scores must lie in [0, 1]')

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def keypoints_camera(self) -> NDArray[np.float32] | None:
        """Joints before the camera ``(T, J, 3)``, metres; None without roots."""
        if self.root_position is None:
            return None
        return self.keypoints_3d + self.root_position[:, None]


@dataclass(frozen=True, eq=False)
class LiftingResult:
    """All people of a video, an image or a sequence of keypoints, lifted.

    Attributes:
        persons: One each; empty if nobody was found.
        joint_names: Names of the ``J`` joints; the root is ``'root'``.
        skeleton_links: Bones as (parent, joint).
        image_size: ``(width, height)``, pixels.
        fps: Frames per second; None if there is no such thing.
        num_frames: How many frames were looked at.
        source: Where the frames came from.
        model: Name of the lifter.
        frontend: Name of what found the 2D joints.
        notes: What the reader should know: what was filled in, who left the frame,
            how scale and root position were chosen.
        focal_length: Pixels; what root positions were computed with, about the
            image's centre. None without them.

    Raises:
        ValueError: A value is not as above, or the persons do not fit it.
    """

    persons: list[PersonResult]
    joint_names: tuple[str, ...]
    skeleton_links: tuple[tuple[int, int], ...]
    image_size: tuple[int, int]
    fps: float | None
    num_frames: int
    source: str
    model: str
    frontend: str
    notes: tuple[str, ...] = ()
    focal_length: float | None = None

    def __post_init__(self) -> None:
        _take_view(self)
        num_joints = len(self.joint_names)
        wrong = [link for link in self.skeleton_links if not _is_link(link, num_joints)]
        if wrong:
            raise ValueError(
                f'skeleton_links must be pairs of the {num_joints} joints, got '
                f'{wrong[0]}'
            )
        numbers = [person.track_id for person in self.persons]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f'persons must have numbers of their own, got {numbers}')
        for person in self.persons:
            if person.keypoints.shape[1] != num_joints:
                raise ValueError(
                    f'person {person.track_id} has {person.keypoints.shape[1]} joints, '
                    f'joint_names {num_joints}'
                )
            if person.frames[-1] >= self.num_frames:
                raise ValueError(
                    f'person {person.track_id} reaches frame {person.frames[-1]} of '
                    f'{self.num_frames} frames (0 is the first)'
                )

    @property
    def root(self) -> int:
        """Index of the root joint."""
        return self.joint_names.index('root') if 'root' in self.joint_names else 0

    def to_json(self, path: str | Path) -> None:
        """Writes it as JSON; the file is whole or not there.

        Arrays are nested lists, NaN is null; single-precision numbers come back to
        the bit.

        Raises:
            FileNotWrittenError: It could not be written.
        """
        from .result_files import write_lifting_json

        write_lifting_json(path, self)

    def to_npz(self, path: str | Path) -> None:
        """Writes it as a NumPy archive; the file is whole or not there.

        Raises:
            FileNotWrittenError: It could not be written.
        """
        from .result_files import write_lifting_npz

        write_lifting_npz(path, self)


@dataclass(frozen=True, eq=False)
class HandResult:
    """One hand of one frame.

    Attributes:
        side: ``'left'`` or ``'right'``.
        bbox: ``(4,)`` float32, the box ``(x0, y0, x1, y1)`` that was looked at,
            pixels.
        keypoints: ``(21, 2)`` float32, pixels, in the order ``'op21'`` of
            :mod:`mmssm.structures.hand`.
        keypoints_3d: ``(21, 3)`` float32, metres, axes of the camera, from the hand
            model's origin (which is not the wrist).
        vertices: ``(V, 3)`` float32, in the same frame as ``keypoints_3d``.
        camera_translation: ``(3,)`` float32, metres: add it to ``keypoints_3d`` and
            ``vertices`` to have them before the camera of the whole image.
        focal_length: ``(2,)`` float32, along x and y, pixels.
        principal_point: ``(2,)`` float32, pixels.
        global_orient: ``(3,)`` float32, rotation of the hand as axis times angle,
            radians. This and the next two belong to the right hand model, or for a
            left hand to its mirror image at x = 0: of a mirrored picture, the y and
            z of rotations have the other sign, and ``betas`` are the same.
        hand_pose: ``(P, 3)`` float32, rotations of the finger joints in the order of
            the hand model, axis times angle, radians, mean pose included.
        betas: ``(S,)`` float32, shape coefficients.

    Raises:
        ValueError: A shape, a dtype or a value is not as above.
    """

    side: str
    bbox: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    keypoints_3d: NDArray[np.float32]
    vertices: NDArray[np.float32]
    camera_translation: NDArray[np.float32]
    focal_length: NDArray[np.float32]
    principal_point: NDArray[np.float32]
    global_orient: NDArray[np.float32]
    hand_pose: NDArray[np.float32]
    betas: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.side not in ('left', 'right'):
            raise ValueError(f"side must be 'left' or 'right', got {self.side!r}")
        take_arrays(self, HAND_ARRAYS, f'{self.side} hand')

    @property
    def vertices_camera(self) -> NDArray[np.float32]:
        """Vertices before the camera ``(V, 3)``, metres."""
        return self.vertices + self.camera_translation

    @property
    def keypoints_camera(self) -> NDArray[np.float32]:
        """Joints before the camera ``(21, 3)``, metres."""
        return self.keypoints_3d + self.camera_translation


@dataclass(frozen=True, eq=False)
class HandMeshResult:
    """All hands of an image, a folder or a video.

    Attributes:
        frames: For every frame the hands in it, perhaps none.
        faces: ``(F, 3)`` int64 vertex numbers from 0, counter-clockwise from outside
            on a right hand; a left hand, its mirror image, needs them reversed
            (:meth:`faces_of`).
        image_size: ``(width, height)``, pixels; of the first frame in a folder.
        fps: Frames per second; None for images.
        source: Where the frames came from.
        model: Name of the network.
        notes: What the reader should know.
        frame_names: File names of the frames of a folder; empty for a video.

    Raises:
        ValueError: A value is not as above, or a hand does not fit the faces.
    """

    frames: list[list[HandResult]]
    faces: NDArray[np.int64]
    image_size: tuple[int, int]
    fps: float | None
    source: str
    model: str
    notes: tuple[str, ...] = ()
    frame_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _take_view(self)
        take_arrays(self, {'faces': ArrayField(('F', 3), np.int64)}, 'result')
        if self.faces.size and self.faces.min() < 0:
            raise ValueError('faces must hold vertex numbers from 0 on')
        needed = 1 + self.faces.max(initial=-1)
        for number, hands in enumerate(self.frames):
            for hand in hands:
                if len(hand.vertices) < needed:
                    raise ValueError(
                        f'frame {number}: the {hand.side} hand has '
                        f'{len(hand.vertices)} vertices, the faces name vertex '
                        f'{needed - 1}'
                    )
        if self.frame_names and len(self.frame_names) != len(self.frames):
            raise ValueError(
                f'{len(self.frame_names)} frame_names for {len(self.frames)} frames'
            )

    def __len__(self) -> int:
        return len(self.frames)

    def faces_of(self, hand: HandResult) -> NDArray[np.int64]:
        """The faces of a hand ``(F, 3)``, counter-clockwise from outside."""
        return self.faces if hand.side == 'right' else self.faces[:, ::-1]

    def to_json(self, path: str | Path) -> None:
        """Writes it as JSON; the file is whole or not there.

        Raises:
            FileNotWrittenError: It could not be written.
        """
        from .result_files import write_hand_json

        write_hand_json(path, self)

    def to_npz(self, path: str | Path) -> None:
        """Writes it as a NumPy archive; the file is whole or not there.

        Raises:
            FileNotWrittenError: It could not be written.
        """
        from .result_files import write_hand_npz

        write_hand_npz(path, self)

    def save_meshes(self, folder: str | Path, suffix: str = '.obj') -> list[Path]:
        """Writes every hand as a mesh of its own.

        Args:
            folder: Where to; it is made. Files are called
                ``frame000012_0_right.obj``: frame, number of the hand in it, side.
            suffix: ``'.obj'`` or ``'.ply'``.

        Returns:
            The files. Vertices are in metres in the camera's frame.

        Raises:
            ValueError: Another suffix.
        """
        paths = []
        for number, hands in enumerate(self.frames):
            for place, hand in enumerate(hands):
                path = Path(folder) / f'frame{number:06d}_{place}_{hand.side}{suffix}'
                save_mesh(path, hand.vertices_camera, self.faces_of(hand))
                paths.append(path)
        return paths


def read_lifting_result(path: str | Path) -> LiftingResult:
    """Reads a file of :meth:`LiftingResult.to_json` or :meth:`~LiftingResult.to_npz`.

    Raises:
        FileNotFoundError: There is no such file.
        ResultFileError: It is not such a file; the message names file and field.
    """
    from .result_files import read_lifting

    return read_lifting(path)


def read_hand_mesh_result(path: str | Path) -> HandMeshResult:
    """Reads a file of :meth:`HandMeshResult.to_json` or ``to_npz``.

    Raises:
        FileNotFoundError: There is no such file.
        ResultFileError: It is not such a file; the message names file and field.
    """
    from .result_files import read_hand_mesh

    return read_hand_mesh(path)


def _take_view(result: LiftingResult | HandMeshResult) -> None:
    size = tuple(result.image_size)
    if len(size) != 2 or not all(
        edge > 0 and float(edge).is_integer() for edge in size
    ):
        raise ValueError(
            f'image_size must be (width, height) in pixels, got {result.image_size}'
        )
    object.__setattr__(result, 'image_size', tuple(map(int, size)))
    fps = result.fps
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ValueError(f'fps must be positive or None, got {fps}')


def _is_link(link: tuple[int, int], num_joints: int) -> bool:
    return len(link) == 2 and all(0 <= joint < num_joints for joint in link)
