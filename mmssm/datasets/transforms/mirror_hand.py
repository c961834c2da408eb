"""Mirrored crops of hands, so that one network serves both."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmssm.registry import TRANSFORMS

SIGNS = {
    'transformed_keypoints_cam': (-1, 1, 1),
    'transformed_vertices': (-1, 1, 1),
    'transformed_mano_pose': (1, -1, -1),
}
"""How a mirror changes triples of the crop's annotations: points change side, and
so does what turns them (axis-angle)."""


def _mirror(results: dict) -> dict:
    """Mirrors the crop and its annotations; the image's stay as they are."""
    if 'transformed_keypoints' not in results:
        raise ValueError(
            'a crop is mirrored after it was cut out: put this transform behind '
            'TopdownAffine in the pipeline'
        )
    indices = results.get('flip_indices')
    if indices is not None and list(indices) != list(range(len(indices))):
        raise ValueError(
            'crops of one hand can be mirrored; joints of this set change places '
            f'(flip_indices = {list(indices)}), so take MMPose HandRandomFlip'
        )
    width = results['input_size'][0]
    results['img'] = np.ascontiguousarray(results['img'][:, ::-1])
    keypoints = results['transformed_keypoints'].copy()
    if keypoints.ndim == 3:  # MMPose leaves an empty array where there are none
        keypoints[..., 0] = width - 1 - keypoints[..., 0]
    results['transformed_keypoints'] = keypoints
    for key, signs in SIGNS.items():
        if results.get(key) is not None:
            values = results[key]
            triples = values.reshape(*values.shape[:-1], -1, 3)
            mirrored = triples * np.array(signs, values.dtype)
            results[key] = mirrored.reshape(values.shape)
    results['crop_mirrored'] = not results.get('crop_mirrored', False)
    return results


@TRANSFORMS.register_module()
class MirrorLeftHand(BaseTransform):
    """Mirrors crops of left hands, so that the network sees right hands alone.

    For training and test alike. MMPose's ``RandomFlip`` mirrors the image and its
    joints before the crop, but neither the camera nor ``keypoints_cam``, which
    then disagree; and its ``HandRandomFlip`` needs the keys of two hands. Here the
    crop is mirrored, and nothing of the image: ``keypoints``, ``keypoints_cam``,
    ``vertices``, ``mano_pose``, ``focal``, ``principal_pt`` and ``hand_type`` stay
    those of the image. ``mmssm.TopdownHandEstimator`` and
    ``mmssm.HandMeshEstimator`` turn predictions back.

    A left hand's pose becomes that of the right hand that mirrors it; its shape
    coefficients are those of the right hand as they are.

    Required keys: ``img``, ``input_size``, ``transformed_keypoints`` (of
    ``TopdownAffine``), ``hand_type (1, 2)``, right and left. Changed keys: ``img``,
    ``transformed_keypoints``, where they are there ``transformed_keypoints_cam``,
    ``transformed_vertices`` and ``transformed_mano_pose`` (of
    ``mmssm.HandMeshCropAffine``), and ``crop_mirrored`` (add it to the
    ``meta_keys`` of ``PackPoseInputs``).
    """

    def transform(self, results: dict) -> dict:
        """Mirrors the crop of a left hand.

        Args:
            results: A sample after ``TopdownAffine``.

        Returns:
            The sample.

        Raises:
            ValueError: The sample is of both hands or of neither, or was not
                cropped.
        """
        right, left = np.reshape(results['hand_type'], (-1, 2))[0] > 0.5
        if right == left:
            raise ValueError(
                'MirrorLeftHand needs samples of one hand, but hand_type (right, '
                f'left) of {results.get("img_path", "a sample")} is '
                f'{np.ravel(results["hand_type"]).tolist()}'
            )
        return _mirror(results) if left else results


@TRANSFORMS.register_module()
class RandomMirrorHand(BaseTransform):
    """Mirrors crops at random: augmentation for networks that see both hands.

    What is said of :class:`MirrorLeftHand` holds here too.

    Args:
        prob: Part of the crops to mirror.

    Raises:
        ValueError: ``prob`` is not within 0 and 1.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie within 0 and 1, got {prob}')
        self.prob = prob

    @cache_randomness
    def _draw(self) -> bool:
        return bool(np.random.rand() < self.prob)

    def transform(self, results: dict) -> dict:
        """Mirrors the crop, or not.

        Args:
            results: A sample after ``TopdownAffine``.

        Returns:
            The sample.

        Raises:
            ValueError: The sample was not cropped.
        """
        return _mirror(results) if self._draw() else results
