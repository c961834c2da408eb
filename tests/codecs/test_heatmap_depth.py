import numpy as np
import pytest

import mmssm.registry  # noqa: F401
from mmssm.registry import KEYPOINT_CODECS


def codec(**arguments):
    settings = dict(type='mmssm.HeatmapDepth', input_size=(128, 96), root_index=1)
    return KEYPOINT_CODECS.build(settings | arguments)


@pytest.fixture
def joints():
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(10, 80, size=(1, 5, 2))
    cam = rng.normal(size=(1, 5, 3)) * 0.05 + [0, 0, 0.6]
    return keypoints, cam


def test_labels_decode_to_the_joints(joints):
    keypoints, cam = joints
    encoded = codec().encode(keypoints, np.ones((1, 5)), cam)
    np.testing.assert_allclose(
        encoded['depth_labels'], cam[..., 2] - cam[:, 1:2, 2], atol=1e-7
    )
    assert encoded['depth_labels'][0, 1] == 0
    np.testing.assert_array_equal(encoded['keypoint_weights'], np.ones((1, 5)))
    np.testing.assert_array_equal(encoded['depth_weights'], np.ones((1, 5)))
    predicted = np.concatenate(
        [
            encoded['keypoint_labels'],
            encoded['depth_labels'][..., None],
            np.full((1, 5, 1), 0.25),
        ],
        -1,
    )
    decoded, scores = codec().decode(predicted)
    np.testing.assert_allclose(decoded[..., :2], keypoints, rtol=1e-6)
    np.testing.assert_allclose(decoded[..., 2] + cam[:, 1:2, 2], cam[..., 2], rtol=1e-6)
    np.testing.assert_array_equal(scores, np.full((1, 5), 0.25))


def test_joints_outside_the_crop_or_unknown_do_not_count(joints):
    keypoints, cam = joints
    keypoints[0, 0] = [127.5, 50]
    keypoints[0, 2] = [50, -0.1]
    visible = np.array([[1, 1, 1, 0, 1.0]])
    cam[0, 3] = np.nan
    encoded = codec().encode(keypoints, visible, cam)
    np.testing.assert_array_equal(encoded['keypoint_weights'], [[0, 1, 0, 0, 1]])
    np.testing.assert_array_equal(encoded['depth_weights'], [[0, 1, 0, 0, 1]])
    assert np.isfinite(encoded['depth_labels']).all()


def test_without_its_root_a_hand_has_no_depths(joints):
    keypoints, cam = joints
    visible = np.array([[1, 0, 1, 1, 1.0]])
    encoded = codec().encode(keypoints, visible, cam)
    np.testing.assert_array_equal(encoded['keypoint_weights'], visible)
    assert not encoded['depth_weights'].any()


def test_a_root_out_of_the_crop_still_gives_depths(joints):
    keypoints, cam = joints
    keypoints[0, 1] = [-5, 50]
    encoded = codec().encode(keypoints, np.ones((1, 5)), cam)
    np.testing.assert_array_equal(encoded['depth_weights'], [[1, 0, 1, 1, 1]])


def test_the_centre_of_a_cube_takes_the_place_of_the_root(joints):
    keypoints, cam = joints
    visible = np.array([[1, 0, 1, 1, 1.0]])
    encoded = codec().encode(
        keypoints, visible, cam, cube_center=np.array([[0, 0, 0.5]])
    )
    np.testing.assert_array_equal(encoded['depth_weights'], visible)
    known = visible[0] > 0
    np.testing.assert_allclose(
        encoded['depth_labels'][0, known], cam[0, known, 2] - 0.5, atol=1e-7
    )


def test_what_a_sample_lacks_is_named_with_its_image(joints):
    keypoints, cam = joints
    visible = np.ones((1, 5))
    with pytest.raises(ValueError, match=r'no keypoints_cam in a/7\.jpg'):
        codec().encode(keypoints, visible, img_path='a/7.jpg')
    with pytest.raises(ValueError, match=r'\(1, 5, 3\) for 5 keypoints, got'):
        codec().encode(keypoints, visible, cam[:, :4])
    with pytest.raises(ValueError, match=r'root_index 1, the data set in a/7\.jpg 0'):
        codec().encode(keypoints, visible, cam, root_index=0, img_path='a/7.jpg')
    with pytest.raises(ValueError, match='root_index is 5, but the sample has 5'):
        codec(root_index=5).encode(keypoints, visible, cam)
    with pytest.raises(ValueError, match='root_index must not be negative'):
        codec(root_index=-1)
    with pytest.raises(ValueError, match=r'decodes \(N, K, 4\)'):
        codec().decode(keypoints)
