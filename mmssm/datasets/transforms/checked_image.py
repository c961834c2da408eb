"""Images that may be missing, damaged or absurdly large."""

import io
from collections.abc import Callable
from logging import WARNING
from typing import Any

import mmcv
import numpy as np
from mmengine.logging import print_log
from mmpose.datasets.transforms import LoadImage

from mmssm.registry import TRANSFORMS
from mmssm.utils.image_files import (
    MAX_PIXELS,
    UnreadableImage,
    check_image,
    check_image_file,
)


class CheckedImageMixin:
    """Loading images that may be spoiled; see :class:`LoadCheckedImage`."""

    max_pixels: int
    replace_corrupted: bool

    def load_checked(
        self, results: dict, decode: Callable[[Any], np.ndarray | None]
    ) -> dict | None:
        """Checks, decodes and mirrors the image of a sample.

        Args:
            results: The sample.
            decode: Makes an array of a path, or of bytes.

        Returns:
            The sample, or None where another is to take its place.

        Raises:
            UnreadableImage: The image cannot be used, and is not replaced.
        """
        path, data = results['img_path'], results.pop('img_bytes', None)
        limits = (self.max_pixels, results.get('image_size'))
        try:
            if data is None:
                check_image_file(path, *limits)
            else:
                check_image(io.BytesIO(data), len(data), *limits)
            image = decode(path if data is None else data)
            if image is None:
                raise UnreadableImage('it is damaged: it cannot be decoded')
        except UnreadableImage as error:
            message = f'image {path} of sample {results.get("sample_idx", "?")}: '
            if not self.replace_corrupted:
                raise UnreadableImage(f'{message}{error}') from error
            print_log(f'{message}{error}; another is used', 'current', WARNING)
            return None
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadCheckedImage(CheckedImageMixin, LoadImage):
    """Loads an image, and says what is wrong with one that cannot be used.

    What MMPose's ``LoadImage`` cannot do: it decodes an image of any size,
    takes a file that was cut short for whole, and its error does not say which
    sample is concerned.

    Required keys: ``img_path``; ``sample_idx`` and ``image_size`` are used
    if there, and ``img_bytes`` in place of the file (and removed). Added
    keys: ``img``, ``img_shape``, ``ori_shape``.

    Args:
        max_pixels: Pixels of the largest image that is decoded.
        replace_corrupted: In training, report an image that cannot be used and
            let another sample take its place, up to the dataset's
            ``max_refetch`` times. Default: an error.
        to_float32, color_type, imdecode_backend: As in MMPose's ``LoadImage``.

    Raises:
        UnreadableImage: A ``ValueError`` that names the file and the sample.
    """

    def __init__(
        self,
        max_pixels: int = MAX_PIXELS,
        replace_corrupted: bool = False,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
    ) -> None:
        super().__init__(to_float32, color_type, imdecode_backend)
        if max_pixels < 1:
            raise ValueError(f'max_pixels must be at least 1, got {max_pixels}')
        self.max_pixels = max_pixels
        self.replace_corrupted = replace_corrupted

    def transform(self, results: dict) -> dict | None:
        """Loads the image of a sample; see the class."""
        return self.load_checked(results, self._decode)

    def _decode(self, source: str | bytes) -> np.ndarray | None:
        decode = mmcv.imread if isinstance(source, str) else mmcv.imfrombytes
        image = decode(source, flag=self.color_type, backend=self.imdecode_backend)
        if image is not None and self.to_float32:
            image = image.astype(np.float32)
        return image
