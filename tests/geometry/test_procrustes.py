import numpy as np
import pytest
from mmpose.evaluation.functional.mesh_eval import compute_similarity_transform

from mmssm.geometry import procrustes
from mmssm.geometry.procrustes import similarity_align


def random_rotation(rng):
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.linalg.det(q)


def test_undoes_a_similarity():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(6, 17, 3))
    source = np.stack(
        [
            scale * pose @ random_rotation(rng) + rng.normal(size=3)
            for scale, pose in zip(rng.uniform(0.1, 9, 6), target, strict=True)
        ]
    )
    np.testing.assert_allclose(similarity_align(source, target), target, atol=1e-12)


def test_agrees_with_mmpose_frame_by_frame():
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(2, 20, 17, 3))
    expected = [
        compute_similarity_transform(*pair) for pair in zip(source, target, strict=True)
    ]
    np.testing.assert_allclose(similarity_align(source, target), expected, atol=1e-10)


def test_a_mirror_image_is_not_undone():
    target = np.array([[[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3.0]]])
    mirrored = target * [-1, 1, 1]
    aligned = similarity_align(mirrored, target)
    assert np.linalg.norm(aligned - target) > 0.5
    # no rotation and scale found by search comes closer
    rng = np.random.default_rng(2)
    center = target.mean(1, keepdims=True)
    residual = np.linalg.norm(aligned - target)
    for _ in range(300):
        turned = (mirrored - mirrored.mean(1, keepdims=True)) @ random_rotation(rng)
        scale = max((turned * (target - center)).sum() / (turned**2).sum(), 0)
        assert np.linalg.norm(scale * turned + center - target) >= residual - 1e-12


def test_points_without_weight_take_no_part():
    rng = np.random.default_rng(3)
    target = rng.normal(size=(4, 17, 3))
    turn = random_rotation(rng)
    source = 2 * target @ turn + 1
    source[:, 5] += 100
    weight = np.ones((4, 17))
    weight[:, 5] = 0
    aligned = similarity_align(source, target, weight)
    np.testing.assert_allclose(aligned[:, :5], target[:, :5], atol=1e-12)
    np.testing.assert_allclose(
        aligned[:, 5] - target[:, 5], np.tile(50 * np.ones(3) @ turn.T, (4, 1))
    )


def test_a_collapsed_source_goes_to_the_centre():
    target = np.random.default_rng(4).normal(size=(2, 17, 3))
    aligned = similarity_align(np.ones((2, 17, 3)), target)
    np.testing.assert_allclose(
        aligned, np.broadcast_to(target.mean(1, keepdims=True), aligned.shape)
    )


def test_leading_axes_and_empty_input():
    rng = np.random.default_rng(5)
    source, target = rng.normal(size=(2, 2, 3, 7, 3))
    flat = similarity_align(source.reshape(6, 7, 3), target.reshape(6, 7, 3))
    np.testing.assert_allclose(similarity_align(source, target).reshape(6, 7, 3), flat)
    assert similarity_align(np.empty((0, 17, 3)), np.empty((0, 17, 3))).shape == (
        0,
        17,
        3,
    )


@pytest.mark.parametrize('shapes', [((4, 17, 3), (4, 16, 3)), ((4, 2), (4, 2))])
def test_wrong_shapes_are_named(shapes):
    with pytest.raises(ValueError, match='one shape'):
        similarity_align(*map(np.zeros, shapes))


def test_blocks_do_not_show(monkeypatch):
    source, target = np.random.default_rng(6).normal(size=(2, 10, 17, 3))
    weight = np.random.default_rng(7).random((10, 17))
    expected = similarity_align(source, target, weight)
    monkeypatch.setattr(procrustes, '_BLOCK', 3)
    np.testing.assert_array_equal(similarity_align(source, target, weight), expected)
