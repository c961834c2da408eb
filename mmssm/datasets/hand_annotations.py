"""Single hands of a data set: what is known of each, and checks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

MESH_COLUMNS = {
    'vertices': None,
    'mano_pose': 'has_mano_pose',
    'mano_betas': 'has_betas',
}
"""Columns of hand meshes, and the column that says where they are known.

``vertices (N, V, 3)`` metres, camera frame; ``mano_pose (N, 3 J)`` axis-angle,
radians, the mean pose included; ``mano_betas (N, S)``; ``has_mano_pose (N,)``,
``has_betas (N,)``.
"""


@dataclass(frozen=True)
class HandAnnotations:
    """Hands, column by column: N rows, of which M samples are made.

    Several images may share a row, as FreiHAND's four versions of each do.

    Attributes:
        source: File or folder that the rows came from, for messages.
        image: ``(M,)`` paths of images.
        row: ``(M,)`` the row of each sample.
        img_id: ``(M,)`` numbers of the images.
        keypoints: ``(N, K, 2)`` pixels, origin at the top left.
        visible: ``(N, K)`` confidence, 0 to 1.
        joints: ``(N, K, 3)`` metres, camera frame of OpenCV: x right, y down, z
            forward; None where a set knows joints in the plane alone.
        focal: ``(N, 2)`` focal lengths, pixels; None where the cameras are not known.
        principal: ``(N, 2)`` principal points, pixels; None likewise.
        right: ``(N,)`` bool, whether it is a right hand.
        size: ``(N, 2)`` width and height of the images, pixels, or None where the
            files do not say.
        bbox: ``(N, 4)`` left, top, right and bottom, pixels, or None for the box
            of the keypoints.
        extra: Further columns ``(N, ...)`` that go into the samples.
        total: Images of the set, with those that show no hand, where that is known.
    """

    source: str
    image: Sequence[str]
    row: np.ndarray
    img_id: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    joints: np.ndarray | None
    focal: np.ndarray | None
    principal: np.ndarray | None
    right: np.ndarray
    size: np.ndarray | None = None
    bbox: np.ndarray | None = None
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    total: int | None = None

    def boxes(self) -> np.ndarray:
        """``(N, 4)`` the boxes given, or those of all keypoints."""
        if self.bbox is not None:
            return self.bbox
        low, high = self.keypoints.min(1), self.keypoints.max(1)
        return np.concatenate([low, high], -1)

    def where(self, sample: int) -> str:
        """Names a sample, for messages."""
        return f'{self.source}: entry {self.row[sample]} ({self.image[sample]})'


def check_invalid(invalid: str) -> None:
    """Checks what to do with annotations that do not hold.

    Raises:
        ValueError: It is neither ``'raise'`` nor ``'skip'``.
    """
    if invalid not in ('raise', 'skip'):
        raise ValueError(f"invalid must be 'raise' or 'skip', got '{invalid}'")


def project(joints: np.ndarray, focal: np.ndarray, principal: np.ndarray) -> np.ndarray:
    """Projects the joints of each row by the row's own camera.

    Args:
        joints: ``(N, K, 3)`` metres, camera frame.
        focal: ``(N, 2)`` pixels.
        principal: ``(N, 2)`` pixels.

    Returns:
        ``(N, K, 2)`` pixels; infinite or NaN where a joint has no depth.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        plane = joints[..., :2] / joints[..., 2:]
        return plane * focal[:, None] + principal[:, None]


def cameras(
    path: str, name: str, matrices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Focal lengths and principal points of pinhole cameras.

    Args:
        path: Where they were read, for the message.
        name: Their key, for the message.
        matrices: ``(N, 3, 3)``.

    Returns:
        ``(N, 2)`` and ``(N, 2)`` pixels.

    Raises:
        ValueError: One has another form than ``[[f, 0, c], [0, f, c], [0, 0, 1]]``
            with positive f.
    """
    matrices = matrices.astype(np.float64)
    focal = matrices[:, [0, 1], [0, 1]]
    zeros = matrices[:, [0, 1, 2, 2], [1, 0, 0, 1]]
    good = np.isfinite(matrices).all((1, 2)) & (focal > 0).all(1)
    good &= (zeros == 0).all(1) & (matrices[:, 2, 2] == 1)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise ValueError(
            f'{path}: {name} of entry {first} is no pinhole camera [[fx, 0, cx], '
            f'[0, fy, cy], [0, 0, 1]] with positive fx, fy: {matrices[first].tolist()}'
        )
    return focal, matrices[:, :2, 2]


def faults(hands: HandAnnotations) -> list[tuple[np.ndarray, str]]:
    """What is wrong with some rows.

    Args:
        hands: The rows.

    Returns:
        Pairs of ``(N,)`` bool, the rows concerned, and what is wrong with them.
    """
    with np.errstate(invalid='ignore'):
        boxes = hands.boxes()
        low, high = boxes[:, :2], boxes[:, 2:]
        found = [
            (~_finite(hands.keypoints), 'its 2D joints are NaN or infinite'),
            (~_finite(hands.visible), 'its confidences are NaN or infinite'),
            *_faults_of_cameras(hands),
            (~((low < high).all(1) & _finite(boxes)), 'its box has no size'),
            *_faults_of_meshes(hands),
        ]
        if hands.joints is not None:
            found.insert(
                0, (~_finite(hands.joints), 'its 3D joints are NaN or infinite')
            )
    return [(bad, what) for bad, what in found if bad.any()]


def _faults_of_cameras(hands: HandAnnotations) -> list[tuple[np.ndarray, str]]:
    found: list[tuple[np.ndarray, str]] = []
    if hands.focal is None or hands.principal is None:
        return found
    if hands.joints is not None:
        depth = np.where(hands.visible > 0, hands.joints[..., 2], np.inf)
        behind = depth.min(1) <= 0
        found.append((behind, 'a joint lies behind the camera or on it (z <= 0)'))
    camera = _finite(hands.focal) & _finite(hands.principal)
    camera &= (hands.focal > 0).all(1)
    what = 'it has no camera: focal lengths must be positive numbers, pixels'
    return [*found, (~camera, what)]


def _faults_of_meshes(hands: HandAnnotations) -> list[tuple[np.ndarray, str]]:
    found: list[tuple[np.ndarray, str]] = []
    for name, known in MESH_COLUMNS.items():
        if name in hands.extra:
            bad: np.ndarray = ~_finite(hands.extra[name])
            if known is not None:
                bad &= hands.extra[known] > 0
            found.append((bad, f'its {name} is NaN or infinite'))
    return found


def _finite(array: np.ndarray) -> np.ndarray:
    return np.isfinite(array.reshape(len(array), -1)).all(1)
