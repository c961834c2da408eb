"""Labels of a hand's mesh in its square crop: joints, rotations, shape."""

from typing import ClassVar

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.datasets.transforms import PackPoseInputs

from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.registry import KEYPOINT_CODECS
from mmssm.structures.hand import NUM_JOINTS


@KEYPOINT_CODECS.register_module()
class HandMesh(BaseKeypointCodec):
    """Targets of heads that predict MANO's parameters and a weak camera.

    MMPose has no codec of meshes. Of each sample every label is there, so that
    data sets with different annotations stand in one batch: what a sample lacks is
    0 and has weight 0.

    The labels are those of the crop, not of the image: joints, vertices and the
    rotation of the wrist are taken as ``mmssm.HandMeshCropAffine`` turned them and
    ``mmssm.MirrorLeftHand`` mirrored them. Annotations of the image itself
    (``keypoints``, ``keypoints_cam``, ``vertices``, ``keypoints_occluded``, boxes)
    go into ``gt_instances`` unchanged; metrics read them there. A sample without any
    annotation, as in a demo, has labels that count nothing.

    Args:
        input_size: Width and height of the crop that the network sees, pixels.
        num_rotations: Joints that MANO turns, the wrist among them.
        num_betas: Shape coefficients of the hand model.
        num_vertices: Vertices of the hand model: add ``vertices_3d`` and
            ``has_vertices`` to the labels. Default: no label of vertices.
        min_confidence: Joints in the plane of less confidence count nothing.

    Raises:
        ValueError: A number is out of its range.
    """

    auxiliary_encode_keys: ClassVar[set[str]] = {
        'keypoints_cam',
        'keypoints_cam_weights',
        'transformed_keypoints_cam',
        'transformed_vertices',
        'transformed_mano_pose',
        'mano_betas',
        'has_mano_pose',
        'has_betas',
        'img_path',
    }

    label_mapping_table: ClassVar[dict[str, str]] = {
        name: name
        for name in (
            'keypoints_2d',
            'keypoints_2d_weights',
            'joints_3d',
            'joints_3d_weights',
            'vertices_3d',
            'has_vertices',
            'global_orient',
            'hand_pose',
            'betas',
            'has_mano_pose',
            'has_betas',
        )
    }

    instance_mapping_table: ClassVar[dict[str, str]] = {
        **PackPoseInputs.instance_mapping_table,
        'vertices': 'vertices',
        'keypoints_cam_weights': 'keypoints_cam_weights',
        'keypoints_occluded': 'keypoints_occluded',
    }

    def __init__(
        self,
        input_size: tuple[int, int] = (256, 256),
        num_rotations: int = 16,
        num_betas: int = 10,
        num_vertices: int = 0,
        min_confidence: float = 0.3,
    ) -> None:
        super().__init__()
        least = {'num_rotations': 1, 'num_betas': 0, 'num_vertices': 0}
        given = (num_rotations, num_betas, num_vertices)
        for (name, low), value in zip(least.items(), given, strict=True):
            if value < low:
                raise ValueError(f'{name} must be at least {low}, got {value}')
        if not 0 <= min_confidence <= 1:
            raise ValueError(
                f'min_confidence must lie within 0 and 1, got {min_confidence}'
            )
        self.input_size = tuple(input_size)
        self.num_rotations = num_rotations
        self.num_betas = num_betas
        self.num_vertices = num_vertices
        self.min_confidence = min_confidence

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        keypoints_cam: np.ndarray | None = None,
        keypoints_cam_weights: np.ndarray | None = None,
        transformed_keypoints_cam: np.ndarray | None = None,
        transformed_vertices: np.ndarray | None = None,
        transformed_mano_pose: np.ndarray | None = None,
        mano_betas: np.ndarray | None = None,
        has_mano_pose: np.ndarray | None = None,
        has_betas: np.ndarray | None = None,
        img_path: str | None = None,
    ) -> dict[str, np.ndarray]:
        """Turns annotations into labels.

        Args:
            keypoints: ``(1, K, 2)`` pixels of the crop; an array of no dimensions,
                as MMPose makes it, where there are none.
            keypoints_visible: ``(1, K)`` confidence of the joints in the plane;
                default 1.
            keypoints_cam: ``(1, K, 3)``, of the image; used only to see that the
                sample went through ``HandMeshCropAffine``.
            keypoints_cam_weights: ``(1, K)`` confidence of the joints in space;
                default: that in the plane.
            transformed_keypoints_cam: ``(1, K, 3)`` joints in the crop's frame,
                metres, or None.
            transformed_vertices: ``(1, V, 3)`` likewise.
            transformed_mano_pose: ``(1, 48)`` axis-angle, radians, mean pose
                included.
            mano_betas: ``(1, S)`` shape coefficients.
            has_mano_pose: ``(1,)`` 0 where the pose is not known; default: 1 where
                there is one.
            has_betas: ``(1,)`` likewise of the shape.
            img_path: Names the sample in errors.

        Returns:
            - ``keypoints_2d (1, K, 2)`` in [-0.5, 0.5] of the crop and beyond,
              ``keypoints_2d_weights (1, K)``;
            - ``joints_3d (1, K, 3)`` metres, ``joints_3d_weights (1, K)``;
            - ``global_orient (1, 1, 3, 3)``, ``hand_pose (1, J - 1, 3, 3)``,
              ``has_mano_pose (1,)``;
            - ``betas (1, S)``, ``has_betas (1,)``;
            - ``vertices_3d (1, V, 3)`` metres and ``has_vertices (1,)``, with
              ``num_vertices``.

        Raises:
            ValueError: Shapes do not fit the hand model, numbers are NaN, or the
                crop was not made by ``HandMeshCropAffine``.
        """
        where = f' in {img_path}' if img_path else ''
        if transformed_keypoints_cam is None and keypoints_cam is not None:
            raise ValueError(
                f'no transformed_keypoints_cam{where}: make the crop with '
                'mmssm.HandMeshCropAffine, which turns joints in space along with it'
            )
        if not keypoints.ndim:
            keypoints = np.zeros((1, NUM_JOINTS, 2))
            keypoints_visible = np.zeros((1, NUM_JOINTS))
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2])
        encoded = self._in_plane(keypoints, keypoints_visible)
        if keypoints_cam_weights is None:
            keypoints_cam_weights = keypoints_visible
        joints, weights = _known(
            transformed_keypoints_cam, keypoints_cam_weights, (*keypoints.shape[:2], 3)
        )
        encoded |= {'joints_3d': joints, 'joints_3d_weights': weights}
        encoded |= self._pose(transformed_mano_pose, has_mano_pose, where)
        betas, known = _given(
            'mano_betas', mano_betas, has_betas, (1, self.num_betas), where
        )
        encoded |= {'betas': betas, 'has_betas': known}
        if self.num_vertices:
            vertices, known = _given(
                'vertices',
                transformed_vertices,
                None,
                (1, self.num_vertices, 3),
                where,
            )
            encoded |= {'vertices_3d': vertices, 'has_vertices': known}
        return encoded

    def _in_plane(
        self, keypoints: np.ndarray, confidence: np.ndarray
    ) -> dict[str, np.ndarray]:
        scaled = keypoints[..., :2] / np.array(self.input_size) - 0.5
        sure = np.where(confidence >= self.min_confidence, confidence, 0)
        points, weights = _known(scaled, sure, scaled.shape)
        return {'keypoints_2d': points, 'keypoints_2d_weights': weights}

    def _pose(
        self, pose: np.ndarray | None, known: np.ndarray | None, where: str
    ) -> dict[str, np.ndarray]:
        shape = (1, 3 * self.num_rotations)
        pose, known = _given('mano_pose', pose, known, shape, where)
        matrices = axis_angle_to_matrix(torch.from_numpy(pose).reshape(1, -1, 3))
        return {
            'global_orient': matrices[:, :1].numpy(),
            'hand_pose': matrices[:, 1:].numpy(),
            'has_mano_pose': known,
        }

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turns joints of the crop into its pixels.

        Args:
            encoded: ``(N, K, 2)`` in [-0.5, 0.5] of the crop.

        Returns:
            ``(N, K, 2)`` pixels of the crop, and ``(N, K)`` scores, all 1: such
            heads predict none.

        Raises:
            ValueError: Another shape.
        """
        if encoded.ndim != 3 or encoded.shape[-1] != 2:
            raise ValueError(f'HandMesh decodes (N, K, 2), got {encoded.shape}')
        keypoints = (encoded + 0.5) * np.array(self.input_size)
        return keypoints, np.ones(encoded.shape[:2], np.float32)


def _known(
    points: np.ndarray | None, weights: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights, both 0 where a point is not known or not finite."""
    if points is None:
        return np.zeros(shape, np.float32), np.zeros(shape[:-1], np.float32)
    known = (weights > 0) & np.isfinite(points).all(-1)
    return (
        np.where(known[..., None], points, 0).astype(np.float32),
        np.where(known, weights, 0).astype(np.float32),
    )


def _given(
    name: str,
    values: np.ndarray | None,
    known: np.ndarray | None,
    shape: tuple[int, ...],
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Values and whether they count; zeros where there are none."""
    if values is None or (known is not None and not np.any(known)):
        return np.zeros(shape, np.float32), np.zeros(shape[:1], np.float32)
    if values.shape != shape:
        raise ValueError(
            f'{name}{where} must have shape {shape} for the hand model of the codec, '
            f'got {values.shape}: is it of another hand model?'
        )
    if not np.isfinite(values).all():
        raise ValueError(f'{name}{where} is NaN or infinite')
    return values.astype(np.float32), np.ones(shape[:1], np.float32)
