import numpy as np
import pytest
import torch

import mmssm.registry  # noqa: F401
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.registry import KEYPOINT_CODECS


def codec(**arguments):
    settings = dict(type='mmssm.HandMesh', input_size=(64, 64))
    return KEYPOINT_CODECS.build(settings | arguments)


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    return dict(
        keypoints=rng.uniform(0, 64, (1, 21, 2)),
        keypoints_visible=np.ones((1, 21)),
        keypoints_cam=np.ones((1, 21, 3)),
        transformed_keypoints_cam=rng.normal(size=(1, 21, 3)),
        transformed_vertices=rng.normal(size=(1, 7, 3)),
        transformed_mano_pose=rng.normal(size=(1, 48)),
        mano_betas=rng.normal(size=(1, 10)),
    )


def test_labels_are_the_annotations(sample):
    labels = codec(num_vertices=7).encode(**sample)
    points, scores = codec().decode(labels['keypoints_2d'])
    np.testing.assert_allclose(points, sample['keypoints'], atol=1e-4)
    np.testing.assert_array_equal(scores, np.ones((1, 21)))
    assert np.abs(labels['keypoints_2d']).max() <= 0.5
    np.testing.assert_allclose(
        labels['joints_3d'], sample['transformed_keypoints_cam'], rtol=1e-6
    )
    np.testing.assert_allclose(
        labels['vertices_3d'], sample['transformed_vertices'], rtol=1e-6
    )
    pose = torch.from_numpy(sample['transformed_mano_pose']).reshape(1, 16, 3)
    matrices = np.concatenate([labels['global_orient'], labels['hand_pose']], 1)
    np.testing.assert_allclose(matrices, axis_angle_to_matrix(pose), atol=1e-6)
    np.testing.assert_allclose(labels['betas'], sample['mano_betas'], rtol=1e-6)
    for name in ('has_mano_pose', 'has_betas', 'has_vertices'):
        np.testing.assert_array_equal(labels[name], [1])
    assert set(labels) == set(codec().label_mapping_table)
    assert all(value.dtype == np.float32 for value in labels.values())


def test_what_is_not_known_counts_nothing():
    full = codec(num_betas=4, num_vertices=7).encode(np.full((1, 21, 2), 32.0))
    shapes = {name: value.shape for name, value in full.items()}
    assert shapes == {
        'keypoints_2d': (1, 21, 2),
        'keypoints_2d_weights': (1, 21),
        'joints_3d': (1, 21, 3),
        'joints_3d_weights': (1, 21),
        'vertices_3d': (1, 7, 3),
        'has_vertices': (1,),
        'global_orient': (1, 1, 3, 3),
        'hand_pose': (1, 15, 3, 3),
        'betas': (1, 4),
        'has_mano_pose': (1,),
        'has_betas': (1,),
    }
    assert full['keypoints_2d_weights'].all()
    for name in ('joints_3d_weights', 'has_vertices', 'has_mano_pose', 'has_betas'):
        assert not full[name].any()
    assert all(np.isfinite(value).all() for value in full.values())


def test_unsure_and_nan_joints_count_nothing(sample):
    sample['keypoints_visible'][0, :3] = 0.2, 0.5, 0
    sample['keypoints'][0, 4] = np.nan
    sample['transformed_keypoints_cam'][0, 5] = np.inf
    labels = codec().encode(**sample)
    np.testing.assert_allclose(
        labels['keypoints_2d_weights'][0, :6], [0, 0.5, 0, 1, 0, 1]
    )
    # in space, the confidence itself is the weight
    np.testing.assert_allclose(
        labels['joints_3d_weights'][0, :6], [0.2, 0.5, 0, 1, 1, 0]
    )
    assert np.isfinite(labels['keypoints_2d']).all()
    assert np.isfinite(labels['joints_3d']).all()
    sample['keypoints_cam_weights'] = np.eye(1, 21)
    labels = codec().encode(**sample)
    np.testing.assert_array_equal(labels['joints_3d_weights'], np.eye(1, 21))


def test_masked_parameters_are_not_looked_at(sample):
    sample['mano_betas'][:] = np.nan
    sample['transformed_mano_pose'][:] = np.nan
    labels = codec().encode(
        **sample, has_mano_pose=np.zeros(1), has_betas=np.zeros(1, np.float32)
    )
    assert not labels['has_mano_pose'] and not labels['has_betas']
    np.testing.assert_array_equal(labels['betas'], np.zeros((1, 10)))
    np.testing.assert_allclose(labels['hand_pose'], np.eye(3)[None, None].repeat(15, 1))


def test_what_does_not_fit_is_named_with_its_image(sample):
    sample['img_path'] = 'a/7.jpg'
    with pytest.raises(ValueError, match=r'mano_betas in a/7\.jpg .*\(1, 4\).*another'):
        codec(num_betas=4).encode(**sample)
    with pytest.raises(ValueError, match=r'vertices in a/7\.jpg .*\(1, 8, 3\)'):
        codec(num_vertices=8).encode(**sample)
    bad = {**sample, 'mano_betas': np.full((1, 10), np.nan)}
    with pytest.raises(ValueError, match=r'mano_betas in a/7\.jpg is NaN'):
        codec().encode(**bad)
    sample.pop('transformed_keypoints_cam')
    with pytest.raises(ValueError, match=r'a/7\.jpg: make the crop with mmssm.Hand'):
        codec().encode(**sample)
    with pytest.raises(ValueError, match=r'decodes \(N, K, 2\)'):
        codec().decode(np.zeros((1, 21, 3)))
    with pytest.raises(ValueError, match='num_rotations must be at least 1'):
        codec(num_rotations=0)
    with pytest.raises(ValueError, match='min_confidence must lie'):
        codec(min_confidence=2)
