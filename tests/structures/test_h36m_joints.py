import numpy as np
import pytest
from helpers.walking import EXACT, IMAGE_SIZE, PLACES, from_behind, in_joint_set, walk
from mmpose.apis.inference_3d import convert_keypoint_definition

from mmssm.structures.h36m_joints import (
    FORMULAS,
    convert_to_h36m,
    h36m_weights,
    to_h36m,
)
from mmssm.structures.tracks import KeypointSequence, KeypointTrack

RIGHT, LEFT = (1, 2, 3, 14, 15, 16), (4, 5, 6, 11, 12, 13)


@pytest.fixture(scope='module')
def pixels() -> np.ndarray:
    return from_behind(walk())


def sides_are_right(pixels: np.ndarray) -> bool:
    """Whether hips and shoulders, seen from behind, lie on their own sides."""
    across = pixels[:, RIGHT, 0] - pixels[:, LEFT[:3] + LEFT[3:], 0]
    return bool((np.median(across, axis=0) > 2).all())


def test_the_walk_itself_has_its_right_on_its_right(pixels):
    joints = walk()
    forward = joints[-1, 0] - joints[0, 0]
    assert forward[0] > 0.5
    assert abs(forward[1]) < 0.2
    assert (joints[:, 1, 1] < joints[:, 4, 1]).all()  # y points to the left
    assert sides_are_right(pixels)


@pytest.mark.parametrize('name', PLACES)
def test_left_and_right_survive_every_joint_set(pixels, name):
    converted, scores = convert_to_h36m(*in_joint_set(pixels, name), name)
    assert sides_are_right(converted)
    np.testing.assert_allclose(converted[:, EXACT], pixels[:, EXACT], atol=1e-3)
    np.testing.assert_allclose(scores[:, 1], 0.52, atol=1e-6)
    np.testing.assert_allclose(scores[:, 16], 0.82, atol=1e-6)
    assert np.isfinite(converted).all()
    assert (scores > 0).all()


def test_the_swap_in_circulation_would_be_seen(pixels):
    keypoints, _ = in_joint_set(pixels, 'coco')
    right = convert_to_h36m(*in_joint_set(pixels, 'coco'), 'coco')[0]
    swapped = right.copy()
    swapped[:, [1, 2, 3]] = keypoints[:, [11, 13, 15]]
    swapped[:, [4, 5, 6]] = keypoints[:, [12, 14, 16]]
    assert not sides_are_right(swapped)
    assert np.abs(swapped[:, EXACT] - pixels[:, EXACT]).max() > 10


@pytest.mark.parametrize('name', FORMULAS)
def test_every_row_takes_joints_of_one_side(name):
    weights = h36m_weights(name)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    from mmssm.structures.joint_sets import get_joint_set

    theirs, ours = get_joint_set(name), get_joint_set('h36m')
    for joint in range(17):
        sides = {theirs.side(source) for source in np.flatnonzero(weights[joint])}
        assert sides in ({ours.side(joint)}, {'left', 'right'})


def test_cocos_formulas_are_mmposes():
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 500, (7, 17, 2)).astype(np.float32)
    scores = rng.uniform(0.1, 1, (7, 17)).astype(np.float32)
    theirs = convert_keypoint_definition(
        np.concatenate([keypoints, scores[..., None]], -1), 'coco', 'h36m'
    )
    ours = convert_to_h36m(keypoints, scores, 'coco')
    np.testing.assert_allclose(ours[0], theirs[..., :2], rtol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[..., 2], rtol=1e-5)


def test_halpes_trunk_is_its_own():
    keypoints = np.zeros((1, 26, 2), np.float32)
    keypoints[0, [17, 18, 19], 1] = 10, 60, 200  # head, neck, hip
    converted, _ = convert_to_h36m(keypoints, np.ones((1, 26)), 'halpe26')
    assert converted[0, [10, 8, 7, 0], 1].tolist() == [10, 60, 130, 200]


def test_what_is_missing_stays_missing():
    keypoints = np.full((1, 17, 2), 5.0)
    scores = np.full((1, 17), 0.5)
    keypoints[0, 11] = np.nan  # left hip
    scores[0, [10, 11]] = 0  # right wrist
    converted, rated = convert_to_h36m(keypoints, scores, 'coco')
    missing = np.isnan(converted[0]).any(-1)
    assert np.flatnonzero(missing).tolist() == [0, 4, 7, 16]
    assert (rated[0][missing] == 0).all()
    np.testing.assert_allclose(rated[0][~missing], 0.5)


def test_a_sequence_keeps_people_frames_and_boxes(pixels):
    keypoints, scores = in_joint_set(pixels, 'coco')
    boxes = np.tile(np.float32([1, 2, 30, 40]), (len(pixels), 1))
    frames = np.arange(3, 3 + len(pixels))
    track = KeypointTrack(7, frames, keypoints, scores, boxes)
    sequence = KeypointSequence([track], 'coco', IMAGE_SIZE, 50.0, 60, 'walk')
    converted = to_h36m(sequence)
    assert converted.joint_set == 'h36m'
    assert (converted.fps, converted.num_frames, converted.source) == (50, 60, 'walk')
    assert converted.tracks[0].track_id == 7
    assert converted.tracks[0].frames.tolist() == frames.tolist()
    np.testing.assert_array_equal(converted.tracks[0].bboxes, boxes)
    assert sides_are_right(converted.tracks[0].keypoints)
    assert to_h36m(converted) is converted


def test_hands_and_unknown_sets_are_refused():
    sequence = KeypointSequence([], 'op21', (10, 10), 25.0, 0, 'hand')
    with pytest.raises(ValueError, match=r'op21 cannot be brought to h36m; those of'):
        to_h36m(sequence)
    with pytest.raises(ValueError, match=r"no joint set 'openpose'"):
        convert_to_h36m(np.zeros((1, 18, 2)), np.zeros((1, 18)), 'openpose')
    with pytest.raises(ValueError, match=r'must be \(\.\.\., 17, 2\), got \(1, 18, 2'):
        convert_to_h36m(np.zeros((1, 18, 2)), np.zeros((1, 18)), 'coco')
    with pytest.raises(ValueError, match=r'scores must be \(1, 17\)'):
        convert_to_h36m(np.zeros((1, 17, 2)), np.zeros((2, 17)), 'coco')
