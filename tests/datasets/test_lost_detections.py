import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from mmssm.datasets import LostDetections


def run(keypoints, seed=0, **kwargs):
    np.random.seed(seed)
    visible = np.full(keypoints.shape[:2], 0.9, np.float32)
    results = {'keypoints': keypoints, 'keypoints_visible': visible}
    results = LostDetections(**kwargs).transform(results)
    return results['keypoints'], results['keypoints_visible'] < 0.9


def line(frames, joints=17):
    """Joints that move on lines at a steady speed."""
    speed = np.arange(2 * joints, dtype=np.float32).reshape(joints, 2)
    return np.arange(frames, dtype=np.float32)[:, None, None] * speed


def test_is_built_by_name():
    transform = TRANSFORMS.build(dict(type='mmssm.LostDetections', joint_rate=0.1))
    assert isinstance(transform, LostDetections)


def test_steady_motion_is_filled_in_exactly():
    filled, lost = run(line(400), joint_rate=0.3)
    assert filled.dtype == np.float32
    assert lost.mean() == pytest.approx(0.3, abs=0.02)
    first, last = (~lost).argmax(0), 399 - (~lost)[::-1].argmax(0)
    for joint in range(17):
        inner = slice(first[joint], last[joint] + 1)
        np.testing.assert_allclose(
            filled[inner, joint], line(400)[inner, joint], rtol=1e-5, atol=1e-3
        )
        assert (filled[: first[joint], joint] == filled[first[joint], joint]).all()
        assert (filled[last[joint] :, joint] == filled[last[joint], joint]).all()


def test_frames_are_lost_whole_but_the_first():
    _, lost = run(line(500), frame_rate=0.4)
    assert (lost.all(1) == lost.any(1)).all()
    assert lost.all(1).mean() == pytest.approx(0.4, abs=0.06)
    for seed in range(20):
        assert not run(line(3), seed, frame_rate=0.9)[1][0].any()


def test_a_joint_lost_in_all_frames_lies_in_the_middle_of_the_others():
    keypoints = np.array([[[0, 0], [4, 8], [9, 9]]], np.float32)
    for seed in range(50):
        filled, lost = run(keypoints, seed, joint_rate=0.5)
        if lost[0].tolist() == [False, False, True]:
            break
    assert filled[0].tolist() == [[0, 0], [4, 8], [2, 4]]


def test_nothing_lost_is_no_change():
    keypoints = np.random.default_rng(0).normal(size=(9, 17, 2)).astype(np.float32)
    filled, lost = run(keypoints)
    assert np.array_equal(filled, keypoints) and not lost.any()
    filled, lost = run(keypoints.copy(), joint_rate=0.5)
    assert np.array_equal(filled[~lost], keypoints[~lost])


@pytest.mark.parametrize(
    'kwargs', [dict(joint_rate=1.0), dict(frame_rate=-0.1), dict(confidence=2.0)]
)
def test_wrong_arguments_are_refused(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        LostDetections(**kwargs)
