import numpy as np
import pytest

import mmssm.registry  # noqa: F401
from mmssm.codecs import FrameLiftingLabel
from mmssm.registry import DATASETS, KEYPOINT_CODECS


@pytest.fixture(scope='module')
def sample():
    """A window of 27 frames with the middle one as target."""
    dataset = DATASETS.build(
        {
            'type': 'mmssm.MocapDataset',
            'center_target': True,
            'test_mode': True,
            'metainfo': {'from_file': 'configs/_base_/datasets/h36m.py'},
        }
    )
    return dataset.get_data_info(40)


def encode(sample, **options):
    codec = KEYPOINT_CODECS.build(
        {'type': 'mmssm.FrameLiftingLabel', 'num_keypoints': 17, **options}
    )
    keys = (
        'keypoints',
        'keypoints_visible',
        'lifting_target',
        'lifting_target_visible',
        'camera_param',
        'factor',
    )
    return codec, codec.encode(**{key: sample[key].copy() for key in keys})


def test_decoded_label_is_the_target_of_the_test_mode(sample):
    _, trained = encode(sample, mode='train')
    codec, tested = encode(sample)
    joints, scores = codec.decode(
        trained['lifting_target_label'], trained['target_root']
    )
    assert joints.shape == (1, 17, 3) and scores.shape == (1, 17)
    assert np.allclose(joints, tested['lifting_target'], atol=1e-4)
    # without the frame's axis, as TemporalRegressionHead hands it over
    again, _ = codec.decode(trained['lifting_target_label'][0], trained['target_root'])
    assert np.array_equal(again, joints)


@pytest.mark.parametrize(('concat_vis', 'channels'), [(False, 2), (True, 3)])
def test_input_has_the_channels_of_a_joint_side_by_side(sample, concat_vis, channels):
    _, encoded = encode(sample, concat_vis=concat_vis)
    labels = encoded['keypoint_labels']
    assert labels.shape == (17 * channels, 27)
    x = sample['keypoints'][:, 5, 0] / sample['camera_param']['w'] * 2 - 1
    assert np.allclose(labels[5 * channels], x, atol=1e-6)


def test_scale_of_the_sample_is_needed():
    codec = FrameLiftingLabel(num_keypoints=17)
    with pytest.raises(ValueError, match='target_root'):
        codec.decode(np.zeros((1, 17, 3)), np.empty(0))
