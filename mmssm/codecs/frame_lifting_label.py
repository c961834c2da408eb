"""MotionBERT's normalisation for lifters that predict one frame of a window."""

import numpy as np
from mmpose.codecs import MotionBERTLabel

from mmssm.registry import KEYPOINT_CODECS


@KEYPOINT_CODECS.register_module()
class FrameLiftingLabel(MotionBERTLabel):
    """Lets MMPose's ``TCN`` and ``TemporalRegressionHead`` use MotionBERT's labels.

    MMPose's codecs for them regress metres from pixels, which no normalisation
    ties to the size of the person in the image; a comparison with lifters of
    the MotionBERT kind then compares protocols. ``MotionBERTLabel`` itself
    does not fit: a TCN wants channels first, and ``TemporalRegressionHead``
    hands its codec nothing of a sample but ``target_root``. So this codec
    transposes the input, and puts there the factor from label to metres.

    Arguments are those of ``MotionBERTLabel``; ``concat_vis`` adds the
    confidence as third channel of each joint.
    """

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        lifting_target: np.ndarray | None = None,
        lifting_target_visible: np.ndarray | None = None,
        camera_param: dict | None = None,
        factor: np.ndarray | None = None,
    ) -> dict:
        """Normalises a window and its target.

        Args:
            keypoints: ``(T, K, 2)`` pixels.
            keypoints_visible: ``(T, K)``.
            lifting_target: ``(1, K, 3)`` camera frame, metres.
            lifting_target_visible: ``(1, K)``.
            camera_param: MMPose's camera, with ``w``, ``h``, ``f`` and ``c``.
            factor: ``(1,)``, or zeros for the camera's own.

        Returns:
            As ``MotionBERTLabel``, with ``keypoint_labels (K * C, T)`` and
            ``target_root (1,)``: metres per unit of the label.

        Raises:
            ValueError: There is no camera.
        """
        if camera_param is None:
            raise ValueError(
                'FrameLiftingLabel normalises by the size of the image: expected '
                'camera_param with w and h among the results, found none'
            )
        encoded = super().encode(
            keypoints,
            keypoints_visible,
            lifting_target,
            lifting_target_visible,
            camera_param,
            factor,
        )
        labels = encoded['keypoint_labels']
        encoded['keypoint_labels'] = labels.reshape(len(labels), -1).T.copy()
        # The label is in half image widths, the factor in metres per 1000 px.
        scale = encoded['factor'][0] * camera_param['w'] / 2 / 1000
        encoded['target_root'] = scale.astype(np.float32)
        return encoded

    def decode(
        self, encoded: np.ndarray, target_root: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Turns a predicted label into metres.

        Args:
            encoded: ``(1, K, 3)`` or ``(K, 3)``.
            target_root: ``(1,)`` as :meth:`encode` gives it.

        Returns:
            Joints ``(1, K, 3)`` relative to the root, metres, and scores
            ``(1, K)``, all 1.
        """
        joints = encoded.reshape(1, *encoded.shape[-2:])
        joints = joints - joints[:, self.root_index : self.root_index + 1]
        if target_root is None or not np.size(target_root):
            raise ValueError(
                'FrameLiftingLabel decodes with the scale of each sample: add '
                "'target_root' to meta_keys of PackPoseInputs"
            )
        return joints * np.reshape(target_root, (1, 1, 1)), np.ones(joints.shape[:2])
