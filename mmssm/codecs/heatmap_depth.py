"""Joints in a crop and their depths beside a root: the targets of 2.5D heads."""

from typing import ClassVar

import numpy as np
from mmpose.codecs import RegressionLabel

from mmssm.registry import KEYPOINT_CODECS


@KEYPOINT_CODECS.register_module()
class HeatmapDepth(RegressionLabel):
    """Targets of :class:`mmssm.models.heads.HeatmapDepthHead`.

    Where a joint lies in the crop is a label of MMPose's ``RegressionLabel``
    (what a soft-argmax over a heatmap is compared with). That class knows no
    depth; MMPose's ``Hand3DHeatmap`` does, but in volumes of two hands, in
    millimetres, with a step of 6 mm. Here depth is one number for each joint:
    metres behind (positive) or before the root.

    The root is a joint of the sample or, where a data set gives the centre of a
    cube that the hand is sought in (``cube_center``, NYU), the depth of that
    centre. Neither a crop, nor its rotation or mirroring changes a depth.

    Args:
        input_size: Width and height of the crop that the network sees, pixels.
        root_index: Joint that depths are relative to, unless a sample has
            ``cube_center``.

    Raises:
        ValueError: ``root_index`` is negative.
    """

    auxiliary_encode_keys: ClassVar[set[str]] = {
        'keypoints_cam',
        'cube_center',
        'img_path',
    }

    label_mapping_table: ClassVar[dict[str, str]] = dict(
        keypoint_labels='keypoint_labels',
        keypoint_weights='keypoint_weights',
        depth_labels='depth_labels',
        depth_weights='depth_weights',
    )

    def __init__(self, input_size: tuple[int, int], root_index: int = 0) -> None:
        super().__init__(input_size)
        if root_index < 0:
            raise ValueError(f'root_index must not be negative, got {root_index}')
        self.root_index = root_index

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        keypoints_cam: np.ndarray | None = None,
        cube_center: np.ndarray | None = None,
        root_index: int | None = None,
        img_path: str | None = None,
    ) -> dict[str, np.ndarray]:
        """Turns joints into labels.

        Args:
            keypoints: ``(N, K, 2)`` pixels of the crop.
            keypoints_visible: ``(N, K)``, above 0.5 where a joint is known.
            keypoints_cam: ``(N, K, 3)`` camera frame, metres.
            cube_center: ``(N, 3)`` camera frame, metres; default: the root joint.
            root_index: The root of the sample's data set, to compare.
            img_path: Names the sample in errors.

        Returns:
            - ``keypoint_labels (N, K, 2)``: pixels over the size of the crop,
            - ``keypoint_weights (N, K)``: 1 for known joints inside the crop,
            - ``depth_labels (N, K)``: metres behind the root,
            - ``depth_weights (N, K)``: the same weights, and 0 for all joints
              of a hand whose root is not known.

        Raises:
            ValueError: There are no depths, shapes do not fit, or the data set has
                another root.
        """
        where = f' in {img_path}' if img_path else ''
        if keypoints_cam is None:
            raise ValueError(
                f'no keypoints_cam{where}: HeatmapDepth needs joints in the '
                'camera frame, (N, K, 3) in metres'
            )
        if keypoints_cam.shape != (*keypoints.shape[:2], 3):
            raise ValueError(
                f'keypoints_cam{where} must have shape '
                f'{(*keypoints.shape[:2], 3)} for {keypoints.shape[1]} keypoints, '
                f'got {keypoints_cam.shape}'
            )
        if root_index is not None and root_index != self.root_index:
            raise ValueError(
                f'the codec has root_index {self.root_index}, the data set{where} '
                f'{root_index}: depths and errors would be relative to two joints'
            )
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2], np.float32)
        encoded = super().encode(keypoints[..., :2], keypoints_visible)
        depth = keypoints_cam[..., 2]
        weights = encoded['keypoint_weights']
        root = self.root_of(keypoints_cam, cube_center)
        if cube_center is None:
            known = keypoints_visible[:, self.root_index, None] > 0.5
            weights = np.where(known, weights, 0)
        labels = np.where(weights > 0, depth - root[:, None], 0)
        encoded['depth_labels'] = labels.astype(np.float32)
        encoded['depth_weights'] = weights.astype(np.float32)
        return encoded

    def root_of(
        self, keypoints_cam: np.ndarray, cube_center: np.ndarray | None = None
    ) -> np.ndarray:
        """Depth that those of the joints are relative to.

        Args:
            keypoints_cam: ``(N, K, 3)`` camera frame, metres.
            cube_center: ``(N, 3)`` camera frame, metres, or None.

        Returns:
            ``(N,)`` metres.

        Raises:
            ValueError: There is no joint ``root_index``.
        """
        if cube_center is not None:
            return np.asarray(cube_center)[:, 2]
        if self.root_index >= keypoints_cam.shape[1]:
            raise ValueError(
                f'root_index is {self.root_index}, but the sample has '
                f'{keypoints_cam.shape[1]} joints'
            )
        return keypoints_cam[:, self.root_index, 2]

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turns what a head predicts into joints.

        Args:
            encoded: ``(N, K, 4)``: x and y over the size of the crop, depth in
                metres behind the root, score.

        Returns:
            Joints ``(N, K, 3)``, x and y in pixels of the crop, depth in metres
            behind the root; and scores ``(N, K)``.

        Raises:
            ValueError: Another shape.
        """
        if encoded.ndim != 3 or encoded.shape[-1] != 4:
            raise ValueError(
                'HeatmapDepth decodes (N, K, 4), x, y, depth and score, got '
                f'{encoded.shape}'
            )
        size = np.array([*self.input_size, 1])
        return encoded[..., :3] * size, encoded[..., 3].copy()
