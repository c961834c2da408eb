"""MMPose's InterNet turns a mirrored prediction back in the wrong way."""

import functools
from typing import Any

from torch import Tensor


def flip_internet_outputs() -> None:
    """Makes the flip test of ``InternetHead`` right.

    With ``flip_test``, ``InternetHead.predict`` averages what it sees in an image
    and in its mirror image, and of the latter

    - takes minus the depth between the wrists. But that depth is a place on an axis
      of 64 cells whose middle, 32, stands for 0: the mean of place x and its true
      mirror image, 64 - x, with the sign turned is x - 32, 200 mm too near,
    - swaps the hands' scores of the image itself instead of those of the mirror
      image. So both hands get one score, and right and left hands alike are
      taken for two hands or for none.

    Depth is now mirrored about the middle of the axis, and the scores are those of the
    mirror image. Heatmaps are treated as before; ``shift_heatmap=True`` in
    ``test_cfg`` makes them fit to a quarter of a cell. Without ``flip_test``
    nothing changes.

    Link: https://github.com/open-mmlab/mmpose/blob/v1.3.2/mmpose/models/heads/heatmap_heads/internet_head.py#L258
    Delete when: ``InternetHead`` predicts the same for an image and its mirror
    image, mirrored, with ``flip_test``.
    """
    from mmpose.models.heads import InternetHead

    original = InternetHead.predict
    if hasattr(original, '__wrapped__'):
        return

    @functools.wraps(original)
    def predict(
        self: InternetHead,
        feats: Any,
        batch_data_samples: Any,
        test_cfg: dict | None = None,
    ) -> Any:
        test_cfg = test_cfg or {}
        if not test_cfg.get('flip_test', False):
            return original(self, feats, batch_data_samples, test_cfg)
        plain, mirrored = feats
        flip_indices = batch_data_samples[0].metainfo['flip_indices']
        one = self.forward(plain)
        other = _mirror(self, self.forward(mirrored), flip_indices, test_cfg)
        return self.decode(
            tuple((a + b) * 0.5 for a, b in zip(one, other, strict=True))
        )

    InternetHead.predict = predict


def _mirror(
    head: Any, outputs: list[Tensor], flip_indices: list[int], test_cfg: dict
) -> list[Tensor]:
    """What the outputs for a mirrored image say of the image."""
    from mmpose.models.utils.tta import flip_heatmaps

    heatmaps, root_depth, hand_type = outputs
    return [
        flip_heatmaps(
            heatmaps,
            flip_mode=test_cfg.get('flip_mode', 'heatmap'),
            flip_indices=flip_indices,
            shift_heatmap=test_cfg.get('shift_heatmap', False),
        ),
        head.root_head.heatmap_size - root_depth,
        hand_type.flip(-1),
    ]
