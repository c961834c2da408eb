"""Depth images: decoding, cropping and normalisation."""

from collections.abc import Sequence

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import TopdownAffine
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

from mmssm.datasets.transforms.checked_image import CheckedImageMixin
from mmssm.registry import TRANSFORMS
from mmssm.utils.image_files import MAX_PIXELS, UnreadableImage


def decode_depth(image: np.ndarray, unmeasured: Sequence[int] = (0,)) -> np.ndarray:
    """Depths that NYU's files keep in the green and blue channels.

    Args:
        image: ``(H, W, 3)`` bytes: blue, green, red, as OpenCV reads them.
        unmeasured: Values, millimetres, that stand for no depth.

    Returns:
        ``(H, W)`` metres, float32; 0 where there is no depth.
    """
    # 256 times a byte is no byte
    depth = image[..., 1].astype(np.int32) * 256 + image[..., 0]
    depth[np.isin(depth, unmeasured)] = 0
    return depth.astype(np.float32) / 1000


@TRANSFORMS.register_module()
class LoadDepthImage(CheckedImageMixin, BaseTransform):
    """Loads a depth image of NYU's kind: millimetres in two bytes of a PNG.

    What MMPose's ``LoadImage`` cannot do: put the two bytes together. Spoiled
    files are dealt with as in :class:`LoadCheckedImage`.

    Required keys: ``img_path``; ``sample_idx`` and ``image_size`` are used
    if there. Added keys: ``img (H, W)`` float32, metres, 0 where there is
    no depth; ``img_shape``, ``ori_shape``.

    Args:
        unmeasured: Values, millimetres, that stand for no depth.
        max_pixels, replace_corrupted: As in :class:`LoadCheckedImage`.

    Raises:
        UnreadableImage: A ``ValueError`` that names the file and the sample.
    """

    def __init__(
        self,
        unmeasured: Sequence[int] = (0, 32001),
        max_pixels: int = MAX_PIXELS,
        replace_corrupted: bool = False,
    ) -> None:
        if max_pixels < 1:
            raise ValueError(f'max_pixels must be at least 1, got {max_pixels}')
        self.unmeasured = tuple(unmeasured)
        self.max_pixels = max_pixels
        self.replace_corrupted = replace_corrupted

    def transform(self, results: dict) -> dict | None:
        """Loads the image of a sample; see the class."""
        return self.load_checked(results, self._decode)

    def _decode(self, path: str) -> np.ndarray | None:
        image = mmcv.imread(path, flag='unchanged')
        if image is None:
            return None
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise UnreadableImage(
                'expected a depth image of three channels of bytes, with the depth in '
                f'green and blue; found shape {image.shape} and dtype {image.dtype}'
            )
        return decode_depth(image, self.unmeasured)


@TRANSFORMS.register_module()
class TopdownDepthAffine(TopdownAffine):
    """Crops a depth image without mixing near and far.

    MMPose's ``TopdownAffine`` interpolates, which makes depths between hand and
    background where there is nothing; this one takes the nearest pixel, and what
    lies outside of the image has depth 0. Keys as of ``TopdownAffine``.

    Args:
        input_size: Width and height of the crop.
        use_udp: As in ``TopdownAffine``.

    Raises:
        ValueError: The image has channels.
    """

    def transform(self, results: dict) -> dict | None:
        """Crops the image of a sample, and moves its 2D joints along."""
        image = results['img']
        if image.ndim != 2:
            raise ValueError(
                f'expected a depth image (H, W), found shape {image.shape} of '
                f'{results.get("img_path")}: load it with mmssm.LoadDepthImage'
            )
        # the parent class moves joints; of the image it needs no pixel
        results['img'] = np.zeros((1, 1), np.float32)
        results = super().transform(results)
        width, height = self.input_size
        matrix = get_udp_warp_matrix if self.use_udp else get_warp_matrix
        rotation = results.get('bbox_rotation', [0.0])[0]
        warp = matrix(
            results['input_center'],
            results['input_scale'],
            rotation,
            output_size=(width, height),
        )
        results['img'] = cv2.warpAffine(
            image, warp, (int(width), int(height)), flags=cv2.INTER_NEAREST
        )
        return results


@TRANSFORMS.register_module()
class NormalizeDepth(BaseTransform):
    """Brings depths within a cube to [-1, 1].

    MMPose has nothing for depth. The cube's middle is 0, its near face -1, its far
    face 1.

    Required keys: ``img (H, W)`` metres, 0 where there is no depth; ``cube_center
    (1, 3)`` and ``cube_size (1, 3)``, metres. Modified keys: ``img``, float32.

    Args:
        outside: What becomes of the rest: ``'faces'``, the nearer face, and the far
            one where there is no depth (DeepPrior, V2V-PoseNet); or ``'center'``,
            0 for all of it (A2J).

    Raises:
        ValueError: An argument out of its range, or a sample without a cube.
    """

    def __init__(self, outside: str = 'faces') -> None:
        if outside not in ('faces', 'center'):
            raise ValueError(f"outside must be 'faces' or 'center', got '{outside}'")
        self.outside = outside

    def transform(self, results: dict) -> dict:
        """Normalises the image of a sample."""
        missing = [key for key in ('cube_center', 'cube_size') if key not in results]
        if missing:
            raise ValueError(
                f'sample {results.get("img_path")} has no {missing}: depths are '
                'normalised about the cube that mmssm.NYUHandDataset gives'
            )
        depth = results['img']
        middle = float(results['cube_center'][0, 2])
        half = float(results['cube_size'][0, 2]) / 2
        scaled = (depth - middle) / half
        if self.outside == 'center':
            scaled[(depth == 0) | (np.abs(scaled) > 1)] = 0
        else:
            scaled[depth == 0] = 1
        results['img'] = scaled.clip(-1, 1).astype(np.float32)
        return results
