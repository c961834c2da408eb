"""The flip test of MMPose's InterNet: wrong as it is, right with the cure."""

import numpy as np
import pytest
import torch
from mmpose.models.heads import InternetHead
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401
from mmssm.compat import internet

CELLS = 8
FLIP_INDICES = [*range(21, 42), *range(21)]
FLIP_TEST = dict(flip_test=True)


@pytest.fixture
def head():
    """Sees a right hand in an image, and its mirror image in the mirror image."""
    in_channels = dict(in_channels=4)
    model = MODELS.build(
        dict(
            type='InternetHead',
            keypoint_head_cfg=dict(
                **in_channels,
                out_channels=21 * CELLS,
                depth_size=CELLS,
                deconv_out_channels=(),
                deconv_kernel_sizes=(),
            ),
            root_head_cfg=dict(**in_channels, heatmap_size=64),
            hand_type_head_cfg=dict(**in_channels, num_labels=2),
            decoder=dict(
                type='Hand3DHeatmap',
                image_size=[4 * CELLS, 4 * CELLS],
                heatmap_size=[CELLS] * 3,
                depth_size=CELLS,
            ),
        )
    )
    heatmaps = torch.rand(1, 42, CELLS, CELLS, CELLS)
    root, types = torch.tensor([[40.0]]), torch.tensor([[3.0, -2.0]])
    seen = {
        'image': [heatmaps, root, types],
        'mirror': [heatmaps[:, FLIP_INDICES].flip(-1), 64 - root, types.flip(-1)],
    }
    model.forward = lambda feats: [output.clone() for output in seen[feats]]
    return model


def predict(head, feats, test_cfg, method=InternetHead.predict):
    sample = PoseDataSample(metainfo=dict(flip_indices=FLIP_INDICES))
    (pred,) = method(head, feats, [sample], test_cfg)
    return pred


def test_an_image_and_its_mirror_image_agree(head):
    alone = predict(head, 'image', {})
    both = predict(head, ['image', 'mirror'], FLIP_TEST)
    assert both.keys() == alone.keys()
    for name, value in alone.items():
        np.testing.assert_allclose(both[name], value, rtol=1e-6)
    # the place 40 of 64 on an axis of 400 mm
    np.testing.assert_allclose(both.rel_root_depth, 50.0)
    np.testing.assert_array_equal(both.hand_type, [[1, 0]])


def test_the_host_is_still_wrong(head):
    """Once this fails, MMPose is mended and the cure can be deleted."""
    host = InternetHead.predict.__wrapped__
    pred = predict(head, ['image', 'mirror'], FLIP_TEST, host)
    # (40 - 24) / 2 is the place 8, though both images say 40
    np.testing.assert_allclose(pred.rel_root_depth, (8 / 64 - 0.5) * 400)
    np.testing.assert_array_equal(pred.hand_type, [[1, 1]])


def test_a_left_hand_stays_a_left_hand(head):
    mirrored = predict(head, ['mirror', 'image'], FLIP_TEST)
    np.testing.assert_array_equal(mirrored.hand_type, [[0, 1]])
    np.testing.assert_allclose(mirrored.rel_root_depth, -50.0)


def test_the_cure_is_put_in_place_once():
    before = InternetHead.predict
    internet.flip_internet_outputs()
    assert InternetHead.predict is before
