"""The visualizer of hand meshes that MMPose's configs and hooks talk to."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer
from numpy.typing import NDArray

from mmssm.geometry.rasterizer import supersampled
from mmssm.registry import VISUALIZERS

from .mesh_pictures import TURNS, PlacedMesh, draw_meshes, draw_view, place_meshes

_LEAST_EDGE = 400
"""Images are enlarged until one edge has so many pixels: joints hide small hands."""


@VISUALIZERS.register_module()
class HandMeshVisualizer(PoseLocalVisualizer):
    """Draws hand meshes over an image, and each from the side and from above.

    MMPose's ``PoseLocalVisualizer`` draws joints and boxes; here the meshes of all
    hands of a sample, as the image's camera sees them, lie under the joints, nearer
    hands over farther ones, and views of each hand stand on the right. No display
    and no graphics library is needed. Small images are enlarged, by a whole number.

    Constructor arguments and :meth:`add_datasample` are those of the base class.
    How vertices are joined into faces is the hand model's to say:
    ``mmssm.HandMeshVisualizationHook`` takes it from the network, scripts call
    :meth:`set_faces`.
    """

    faces: NDArray | None = None

    # of the sample being drawn; MMEngine's metaclass wants the constructor spelt out
    _meta: Mapping[str, Any] = MappingProxyType({})
    _zoom: int = 1
    _width: int | None = None

    def set_faces(self, faces: NDArray | torch.Tensor) -> None:
        """Sets the faces of one hand.

        Args:
            faces: ``(F, 3)`` vertex numbers, such as ``MANO.faces``.
        """
        self.faces = torch.as_tensor(faces).cpu().numpy()

    @master_only
    def add_datasample(
        self,
        name: str,
        image: NDArray[np.uint8],
        data_sample: PoseDataSample,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Draws a sample; arguments are those of the base class.

        Meshes are drawn of ``pred_instances`` as ``mmssm.HandMeshEstimator`` leaves
        them and, with ``draw_gt``, of ``gt_instances.vertices`` where the sample's
        meta information has the camera (``focal``, ``principal_pt``) and the mesh is
        that of the predictions.

        Args:
            name: Name of the picture.
            image: RGB, ``(H, W, 3)``.
            data_sample: What to draw.
            *args: As for the base class.
            **kwargs: As for the base class.

        Returns:
            The picture.

        Raises:
            ValueError: There are meshes, but no faces have been set, or the
                camera's fields are missing.
        """
        self._zoom = -(-_LEAST_EDGE // max(image.shape[:2]))
        self._meta, self._width = data_sample.metainfo, self._zoom * image.shape[1]
        size = (self._width, self._zoom * image.shape[0])
        enlarged = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        sample = _enlarged(data_sample, self._zoom)
        return super().add_datasample(name, enlarged, sample, *args, **kwargs)

    def _draw_instances_kpts(
        self,
        image: NDArray[np.uint8],
        instances: InstanceData,
        kpt_thr: float = 0.3,
        show_kpt_idx: bool = False,
        skeleton_style: str = 'mmpose',
    ) -> NDArray[np.uint8]:
        """Draws meshes, then joints over them, then the views beside them."""
        meshes = self._meshes(instances)
        drawn = super()._draw_instances_kpts(
            draw_meshes(image, meshes),
            instances,
            kpt_thr,
            show_kpt_idx,
            skeleton_style,
        )
        if not meshes:
            return drawn
        return np.concatenate([drawn, _views(meshes, len(image))], 1)

    def _draw_instances_bbox(
        self, image: NDArray[np.uint8], instances: InstanceData
    ) -> NDArray[np.uint8]:
        """Draws boxes over the image, not over the views beside it."""
        seen, views = image[:, : self._width], image[:, self._width :]
        drawn = super()._draw_instances_bbox(np.ascontiguousarray(seen), instances)
        return np.concatenate([drawn, views], 1)

    def _meshes(self, instances: InstanceData) -> list[PlacedMesh]:
        if 'mesh_vertices' in instances:
            vertices, cameras = _predicted(instances)
        elif self._has_truth(instances):
            vertices = _array(instances.vertices)
            known = np.isfinite(vertices).all((1, 2)) & (vertices[..., 2] > 0).all(1)
            vertices = vertices[known]
            cameras = _cameras(
                self._meta['focal'], self._meta['principal_pt'], len(vertices)
            )
        else:
            return []
        if self.faces is None:
            raise ValueError(
                'there are meshes to draw, but their faces are not known; use '
                "default_hooks.visualization=dict(type='mmssm."
                "HandMeshVisualizationHook'), or call set_faces(model.head.mano.faces)"
            )
        fine = [supersampled(camera, self._zoom) for camera in cameras]
        return place_meshes(vertices, self.faces, fine)

    def _has_truth(self, instances: InstanceData) -> bool:
        """Whether there are true meshes and a camera, of the faces that are set."""
        if 'vertices' not in instances or self.faces is None:
            return False
        known = {'focal', 'principal_pt'} <= set(self._meta)
        return known and instances.vertices.shape[-2] == self.faces.max() + 1


def _enlarged(sample: PoseDataSample, zoom: int) -> PoseDataSample:
    """A copy whose joints and boxes are those of the enlarged image."""
    sample = sample.clone()
    for group in ('pred_instances', 'gt_instances'):
        if group not in sample:
            continue
        instances = sample.get(group).clone()
        for name in ('keypoints', 'bboxes'):
            if name in instances:
                pixels = _array(instances.get(name))
                instances.set_field(zoom * pixels + (zoom - 1) / 2, name)
        setattr(sample, group, instances)
    return sample


def _predicted(instances: InstanceData) -> tuple[NDArray, NDArray]:
    """Vertices in the camera's frame, and the cameras."""
    missing = {'full_cam_t', 'focal_length', 'principal_pt'} - set(instances.keys())
    if missing:
        raise ValueError(
            f'pred_instances with mesh_vertices lack {sorted(missing)}, which place '
            'them before the camera; mmssm.HandMeshEstimator sets them'
        )
    vertices = _array(instances.mesh_vertices)
    vertices = vertices + _array(instances.full_cam_t)[:, None]
    return vertices, _cameras(
        instances.focal_length, instances.principal_pt, len(vertices)
    )


def _cameras(focal: Any, principal_pt: Any, count: int) -> NDArray:
    """Pinhole matrices ``(count, 3, 3)``."""
    cameras = np.zeros((count, 3, 3))
    cameras[:, [0, 1], [0, 1]] = _array(focal).reshape(-1, 2)
    cameras[:, :2, 2] = _array(principal_pt).reshape(-1, 2)
    cameras[:, 2, 2] = 1
    return cameras


def _array(value: Any) -> NDArray[np.float64]:
    return np.asarray(torch.as_tensor(value).cpu(), float)


def _views(meshes: list[PlacedMesh], height: int) -> NDArray[np.uint8]:
    """A column for each hand, of all its views: ``(height, W, 3)``."""
    edge = max(height // len(TURNS), 1)
    views = np.concatenate(
        [
            np.concatenate([draw_view(mesh, view, edge) for view in TURNS])
            for mesh in meshes
        ],
        1,
    )
    below = max(height - len(views), 0)
    padded = np.pad(views, [(0, below), (0, 0), (0, 0)], constant_values=255)
    return padded[:height]
