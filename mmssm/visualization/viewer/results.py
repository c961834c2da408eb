"""What the viewer reads of results; those of ``mmssm.apis`` have all of it.

Units: pixels with the origin at the top left of the image, metres; axes of the camera
are x right, y down, z forward; frames count from 0.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray


@runtime_checkable
class Person(Protocol):
    """One person: ``mmssm.apis.PersonResult``."""

    @property
    def track_id(self) -> int: ...
    @property
    def frames(self) -> NDArray: ...
    @property
    def keypoints(self) -> NDArray: ...
    @property
    def keypoint_scores(self) -> NDArray: ...
    @property
    def keypoints_3d(self) -> NDArray: ...
    @property
    def root_position(self) -> NDArray | None: ...
    @property
    def filled(self) -> NDArray: ...
    @property
    def filled_joints(self) -> NDArray: ...


@runtime_checkable
class Lifting(Protocol):
    """All people of a video: ``mmssm.apis.LiftingResult``."""

    @property
    def persons(self) -> Sequence[Person]: ...
    @property
    def joint_names(self) -> Sequence[str]: ...
    @property
    def skeleton_links(self) -> Sequence[tuple[int, int]]: ...
    @property
    def image_size(self) -> tuple[int, int]: ...
    @property
    def fps(self) -> float | None: ...
    @property
    def num_frames(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def frontend(self) -> str: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def root(self) -> int: ...


@runtime_checkable
class Hand(Protocol):
    """One hand of one frame: ``mmssm.apis.HandResult``."""

    @property
    def side(self) -> str: ...
    @property
    def keypoints(self) -> NDArray: ...
    @property
    def keypoints_3d(self) -> NDArray: ...
    @property
    def vertices(self) -> NDArray: ...
    @property
    def camera_translation(self) -> NDArray: ...
    @property
    def focal_length(self) -> NDArray: ...
    @property
    def principal_point(self) -> NDArray: ...


@runtime_checkable
class HandMeshes(Protocol):
    """All hands of a video or of some images: ``mmssm.apis.HandMeshResult``."""

    @property
    def frames(self) -> Sequence[Sequence[Hand]]: ...
    @property
    def faces(self) -> NDArray: ...
    @property
    def image_size(self) -> tuple[int, int]: ...
    @property
    def fps(self) -> float | None: ...
    @property
    def source(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def frame_names(self) -> Sequence[str]: ...


def require(value: Any, kind: type, name: str) -> None:
    """Refuses what is not a result.

    Raises:
        TypeError: An attribute of ``kind`` is missing; the message says which.
    """
    if isinstance(value, kind):
        return
    wanted = [key for key in vars(kind) if not key.startswith('_')]
    missing = [key for key in wanted if not hasattr(value, key)]
    raise TypeError(
        f'{name} must be a {kind.__name__} result of mmssm.apis, got a '
        f'{type(value).__name__} without {", ".join(missing)}'
    )
