"""Projections of the ground truth in place of a detector's output."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.codecs.utils import camera_to_image_coord

from mmssm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GroundTruth2D(BaseTransform):
    """Replaces 2D input by the x and y of the 3D target in the image.

    The ground-truth-2D protocol of MotionBERT, PoseMamba and SasMamba: input
    and target agree to the digit, and every confidence is 1. It goes before
    ``GenerateTarget``. With ``f`` and ``c`` of the camera, ``keypoints_3d``
    (camera frame, metres) is projected as MMPose's ``MotionBERTLabel`` projects
    it; without, it is in the image already, in thousands of pixels.

    Required keys: ``keypoints_3d``, ``camera_param``. Modified keys:
    ``keypoints``, ``keypoints_visible``.

    Args:
        root_index: The pelvis.
    """

    def __init__(self, root_index: int = 0) -> None:
        self.root_index = root_index

    def transform(self, results: dict) -> dict:
        """Replaces the input of a sample.

        Args:
            results: The sample.

        Returns:
            The sample.

        Raises:
            KeyError: It has no 3D joints or no camera.
        """
        image, camera = results['keypoints_3d'], results['camera_param']
        if 'f' in camera and 'c' in camera:
            image, _ = camera_to_image_coord(self.root_index, image, camera)
        results['keypoints'] = (1000 * image[..., :2]).astype(np.float32)
        results['keypoints_visible'] = np.ones(image.shape[:-1], np.float32)
        return results
