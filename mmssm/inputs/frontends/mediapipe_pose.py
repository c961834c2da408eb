"""MediaPipe's two stages for bodies: a detector, then 33 landmarks per person.

The arithmetic between the networks follows the graphs of MediaPipe's
``pose_landmark_cpu`` and the model cards "BlazePose GHUM 3D" (Bazarevsky et al.,
BlazePose, 2020): the detector finds the middle of the hips and a circle around the
person, the square around it is turned upright and cut, the landmark network finds
39 points in it, of which 33 are joints and 2 say where to look in the next frame.
"""

import math
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from mmssm.inputs.frontends.network import Network, load_network
from mmssm.inputs.frontends.regions import Region, region_along, whole_image
from mmssm.inputs.frontends.ssd import decode, make_anchors, merge_doubles
from mmssm.inputs.people import People, bboxes_around
from mmssm.structures.joint_sets import get_joint_set

_DETECTOR_SIZE = 224
_STRIDES = (8, 16, 32, 32, 32)
_LANDMARK_SIZE = 256
_NUM_POINTS = 39
_ENLARGED = 1.25
_HEATMAP_REACH = 3
"""Cells on each side of a landmark whose heat moves it."""

_SAME_PERSON = 0.12
"""Distance of two squares' centres, in sides of the smaller one, up to which they hold
one person. The centre is the middle of the hips; people who walk hand in hand have
squares that overlap by more than half, and hips a fifth of a side apart."""


class MediapipePose:
    """Finds people and their 33 joints with MediaPipe's networks.

    What a single call does is what MediaPipe does with a still image, for several
    people. From the second frame of a clip on, people are first looked for where
    they were, and the detector looks for those who are new. MediaPipe's own
    smoothing over time is left out: lifters take joints as they are.

    Left and right are the person's. Scores are the lesser of MediaPipe's visibility
    (not hidden) and presence (within the picture).

    Args:
        detector: Network of the first stage.
        landmarks: Network of the second stage.
        max_people: How many people to look for.
        min_score: Least score of a detection, and least probability that a square
            holds a person.
    """

    joint_set = 'mediapipe_pose'
    name = 'MediaPipe 0.10.14 pose (pose_detection, pose_landmark_full)'

    def __init__(
        self,
        detector: Network,
        landmarks: Network,
        max_people: int = 4,
        min_score: float = 0.5,
    ) -> None:
        if max_people < 1:
            raise ValueError(f'max_people must be at least 1, got {max_people}')
        if not 0 < min_score < 1:
            raise ValueError(f'min_score must lie between 0 and 1, got {min_score}')
        self.max_people = max_people
        self.min_score = min_score
        self._detector = detector
        self._landmarks = landmarks
        self._anchors = make_anchors(_DETECTOR_SIZE, _STRIDES)
        self._regions: list[Region] = []

    @classmethod
    def load(
        cls, folder: str | PathLike | None = None, max_people: int = 4
    ) -> 'MediapipePose':
        """Loads the networks.

        Args:
            folder: Where they are; default: the user's cache.
            max_people: How many people to look for.

        Raises:
            MissingPackage: LiteRT is not installed.
            ModelFileError: The networks have not been fetched, or are damaged.
        """
        return cls(
            load_network('pose_detection', folder),
            load_network('pose_landmark', folder),
            max_people,
        )

    def start(self) -> None:
        """Forgets where people were: a new clip begins."""
        self._regions = []

    def __call__(self, image: NDArray[np.uint8]) -> People:
        """Finds the people of an image.

        Args:
            image: ``(H, W, 3)`` BGR.

        Returns:
            At most ``max_people`` people with 33 joints each.
        """
        regions = list(self._regions)
        if len(regions) < self.max_people:
            found = self.detect(image)
            regions = _distinct([*regions, *found])[: self.max_people]
        poses, self._regions = [], []
        for region in regions:
            pose = self._look(image, region)
            if pose is None:
                continue
            keypoints, scores, following = pose
            if not _is_new(following, self._regions):
                continue
            poses.append((keypoints, scores))
            self._regions.append(following)
        if not poses:
            return People.nobody(get_joint_set(self.joint_set).num_joints)
        keypoints = np.stack([pose[0] for pose in poses])
        scores = np.stack([pose[1] for pose in poses])
        return People(keypoints, scores, bboxes_around(keypoints, scores))

    def detect(self, image: NDArray[np.uint8]) -> list[Region]:
        """The first stage alone: upright squares around people, best first.

        Args:
            image: ``(H, W, 3)`` BGR.
        """
        square = whole_image(image)
        crop = square.cut(image, _DETECTOR_SIZE, repeat_border=False)
        boxes, logits = self._detector(2 * crop - 1)
        found = decode(
            boxes, logits[:, 0], self._anchors, _DETECTOR_SIZE, self.min_score
        )
        points = square.to_image(merge_doubles(found).points)
        return [region_along(hips, top, _ENLARGED) for hips, top, *_ in points]

    def _look(
        self, image: NDArray[np.uint8], region: Region
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], Region] | None:
        """The second stage: joints, scores, and the square of the next frame."""
        crop = region.cut(image, _LANDMARK_SIZE, repeat_border=True)
        raw, flag, _, heatmap, _ = self._landmarks(crop)
        if float(flag.reshape(-1)[0]) < self.min_score:
            return None
        values = raw.reshape(_NUM_POINTS, 5)
        points = refine(values[:, :2] / _LANDMARK_SIZE, heatmap)
        certain = 1 / (1 + np.exp(-values[:, 3:5].astype(np.float64)))
        placed = region.to_image(points)
        following = region_along(placed[33], placed[34], _ENLARGED)
        return placed[:33], certain[:33].min(-1).astype(np.float32), following


def refine(points: NDArray, heatmap: NDArray) -> NDArray[np.float32]:
    """Moves landmarks to the centre of the heat around them.

    Args:
        points: ``(P, 2)`` as (x, y), in units of the crop's side.
        heatmap: ``(H, W, P)`` before the sigmoid.

    Returns:
        ``(P, 2)``; a point moves where the heat within 3 cells reaches 0.5.
    """
    height, width, _ = heatmap.shape
    moved = np.array(points, np.float32)
    for index, (x, y) in enumerate(moved.tolist()):
        column, row = int(x * width), int(y * height)
        if not (0 <= column < width and 0 <= row < height):
            continue
        top, left = max(0, row - _HEATMAP_REACH), max(0, column - _HEATMAP_REACH)
        patch = heatmap[
            top : row + _HEATMAP_REACH + 1, left : column + _HEATMAP_REACH + 1, index
        ]
        heat = 1 / (1 + np.exp(-patch.astype(np.float64)))
        if heat.max() < 0.5:
            continue
        rows, columns = np.indices(heat.shape)
        moved[index, 0] = ((columns + left) * heat).sum() / heat.sum() / width
        moved[index, 1] = ((rows + top) * heat).sum() / heat.sum() / height
    return moved


def _is_new(region: Region, others: list[Region]) -> bool:
    return all(
        math.dist(region.center, other.center)
        > _SAME_PERSON * min(region.side, other.side)
        for other in others
    )


def _distinct(regions: list[Region]) -> list[Region]:
    kept: list[Region] = []
    for region in regions:
        if _is_new(region, kept):
            kept.append(region)
    return kept
