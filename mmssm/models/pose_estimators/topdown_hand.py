"""Top-down estimator whose joints end in the camera's frame."""

import numpy as np
from mmengine.structures import InstanceData
from mmpose.codecs.utils import pixel_to_camera
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.structures import PoseDataSample

from mmssm.registry import MODELS


@MODELS.register_module()
class TopdownHandEstimator(TopdownPoseEstimator):
    """MMPose's top-down estimator for heads that predict depths.

    ``TopdownPoseEstimator`` brings joints from the crop into the image and stops
    there. This one goes on into the camera's frame, where errors are measured, and
    turns crops back that were mirrored (``mmssm.MirrorLeftHand``), so that
    predictions are always of the hand as it is in the image.

    Of a sample it takes, beside MMPose's own, from its meta information: ``focal``
    and ``principal_pt`` (pixels of the image); the depth of ``cube_center`` (metres)
    or else the true depth of the root joint in ``gt_instances.keypoints_cam``;
    ``crop_mirrored``. Without a camera or a root's depth, as in a demo, there is
    no ``keypoints_3d``.
    """

    def add_pred_to_datasample(
        self,
        batch_pred_instances: list[InstanceData],
        batch_pred_fields: list | None,
        batch_data_samples: list[PoseDataSample],
    ) -> list[PoseDataSample]:
        """Puts predictions into samples.

        Args:
            batch_pred_instances: With ``keypoints (1, K, 2)``, pixels of the crop,
                and ``keypoint_depths (1, K)``, metres behind the root.
            batch_pred_fields: Heatmaps, or None.
            batch_data_samples: The samples.

        Returns:
            The samples, with ``pred_instances.keypoints (1, K, 2)`` in pixels of the
            image, ``keypoint_depths``, ``keypoint_scores`` and, where camera and
            root's depth are known, ``keypoints_3d (1, K, 3)``, camera frame,
            metres.
        """
        for number, sample in enumerate(batch_data_samples):
            if sample.metainfo.get('crop_mirrored', False):
                keypoints = batch_pred_instances[number].keypoints
                keypoints[..., 0] = sample.input_size[0] - 1 - keypoints[..., 0]
                if batch_pred_fields is not None:
                    field = batch_pred_fields[number]
                    field.heatmaps = field.heatmaps.flip(-1)
        samples = super().add_pred_to_datasample(
            batch_pred_instances, batch_pred_fields, batch_data_samples
        )
        for sample in samples:
            root = self._root_depth(sample)
            if root is not None and 'focal' in sample.metainfo:
                _add_camera_frame(sample, root)
        return samples

    def _root_depth(self, sample: PoseDataSample) -> np.ndarray | None:
        """Depth ``(1,)`` of the root, metres."""
        center = sample.metainfo.get('cube_center')
        if center is not None:
            return np.asarray(center)[:, 2]
        if 'keypoints_cam' not in sample.gt_instances:
            return None
        return self.head.decoder.root_of(np.asarray(sample.gt_instances.keypoints_cam))


def _add_camera_frame(sample: PoseDataSample, root: np.ndarray) -> None:
    pred = sample.pred_instances
    depth = root[:, None] + pred.keypoint_depths
    focal = np.reshape(sample.metainfo['focal'], 2)
    center = np.reshape(sample.metainfo['principal_pt'], 2)
    pixels = np.concatenate([pred.keypoints, depth[..., None]], -1)
    pred.keypoints_3d = pixel_to_camera(pixels, *focal, *center)
