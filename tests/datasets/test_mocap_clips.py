from itertools import chain

import numpy as np
import pytest

from mmssm.datasets.mocap_clips import (
    FOLDS,
    MocapClip,
    fold_clips,
    load_mocap_clips,
    mocap_file,
    on_stage,
    resize_body,
)
from mmssm.structures import h36m


@pytest.fixture(scope='module')
def clips():
    return load_mocap_clips(mocap_file())


def bone_lengths(joints):
    return np.stack(
        [
            np.linalg.norm(joints[:, joint] - joints[:, parent], axis=-1)
            for parent, joint in h36m.SKELETON
        ],
        1,
    )


def forward(joints):
    """Horizontal direction the pelvis faces, ``(F, 2)``, from hips alone."""
    left = joints[:, h36m.JOINT_NAMES.index('left_hip'), :2]
    right = joints[:, h36m.JOINT_NAMES.index('right_hip'), :2]
    across = left - right
    return np.stack([across[:, 1], -across[:, 0]], 1)


def test_there_are_fifteen_clips_of_1684_frames(clips):
    assert len(clips) == 15
    assert sum(len(clip.joints) for clip in clips.values()) == 1684


def test_the_body_is_rigid_and_symmetric(clips):
    lengths = np.concatenate([bone_lengths(clip.joints) for clip in clips.values()])
    np.testing.assert_allclose(np.ptp(lengths, axis=0), 0, atol=1e-5)
    child = [joint for _, joint in h36m.SKELETON]
    length = dict(zip(child, lengths.mean(0), strict=True))
    for joint, other in h36m.FLIP_PAIRS:
        assert length[joint] == pytest.approx(length[other], abs=1e-5)
    assert length[h36m.JOINT_NAMES.index('right_knee')] == pytest.approx(
        0.4215, abs=1e-3
    )


@pytest.mark.parametrize('name', ['walk', 'run', 'jump', 'dance_b'])
def test_feet_reach_the_ground_and_stay_above_it(clips, name):
    ankles = clips[name].joints[:, [3, 6], 2].min(1)
    assert ankles.min() > 0
    assert ankles.min() < 0.1


@pytest.mark.parametrize('name', ['walk', 'run'])
def test_he_walks_the_way_he_faces(clips, name):
    joints = clips[name].joints
    way = joints[-1, h36m.ROOT, :2] - joints[0, h36m.ROOT, :2]
    facing = forward(joints).mean(0)
    cosine = way @ facing / np.linalg.norm(way) / np.linalg.norm(facing)
    assert cosine > 0.95


@pytest.mark.parametrize('name', ['walk', 'run'])
def test_knees_bend_backwards_and_the_nose_is_in_front(clips, name):
    joints = clips[name].joints
    facing = forward(joints)
    for hip, knee, ankle in ((1, 2, 3), (4, 5, 6)):
        middle = (joints[:, hip] + joints[:, ankle]) / 2
        ahead = ((joints[:, knee] - middle)[:, :2] * facing).sum(1)
        assert (ahead > -1e-3).all()
    nose = ((joints[:, 9] - joints[:, 8])[:, :2] * facing).sum(1)
    assert (nose > 0).all()


def test_arms_swing_against_the_legs(clips):
    joints = clips['walk'].joints
    ahead = (joints[:, :, :2] @ [1.0, 0.0]) - joints[:, :1, 0]
    legs = ahead[:, 6] - ahead[:, 3]
    arms = ahead[:, 13] - ahead[:, 16]
    assert np.corrcoef(legs, arms)[0, 1] < -0.8


def test_speeds_are_human(clips):
    for clip in clips.values():
        speed = 50 * np.linalg.norm(np.diff(clip.joints, axis=0), axis=-1)
        assert speed.max() < 15, clip.name


def test_a_looping_clip_goes_on(clips):
    clip = clips['walk']
    size = len(clip.joints)
    joints, frames = clip.frames(0, 2 * size)
    np.testing.assert_array_equal(frames, np.tile(np.arange(size), 2))
    relative = joints - joints[:, :1]
    np.testing.assert_allclose(relative[:size], relative[size:], atol=1e-5)
    steps = np.linalg.norm(np.diff(joints[:, h36m.ROOT], axis=0), axis=-1)
    assert steps[size - 1] < 1.5 * steps[: size - 1].max()
    advanced = joints[size, 0] - joints[0, 0]
    assert advanced[0] > 1
    assert advanced[2] == pytest.approx(0, abs=1e-6)


def test_another_clip_stands_still(clips):
    clip = clips['kick']
    joints, frames = clip.frames(-2, len(clip.joints) + 5)
    np.testing.assert_array_equal(frames[[0, 1, 2, 3]], [0, 0, 0, 1])
    np.testing.assert_array_equal(joints[:2], clip.joints[[0, 0]])
    np.testing.assert_array_equal(joints[-3:], np.repeat(clip.joints[-1:], 3, 0))


def test_resizing_changes_lengths_and_keeps_directions(clips):
    joints = clips['walk'].joints
    other = resize_body(joints, (1.2, 0.9, 1.1))
    ratio = bone_lengths(other) / bone_lengths(joints)
    children = [joint for _, joint in h36m.SKELETON]
    expected = [
        1.2 if joint in range(1, 7) else 1.1 if joint in (12, 13, 15, 16) else 0.9
        for joint in children
    ]
    np.testing.assert_allclose(ratio, np.tile(expected, (len(joints), 1)), rtol=1e-4)
    # hips, legs and way on the ground are the same motion, enlarged
    np.testing.assert_allclose(other[:, :7], 1.2 * joints[:, :7], atol=1e-5)
    np.testing.assert_allclose(resize_body(joints, (1, 1, 1)), joints, atol=1e-5)


def test_on_stage_is_over_the_origin(clips):
    clip = on_stage(clips['run'], (1.1, 1.0, 1.0))
    np.testing.assert_allclose(clip.joints[:, 0, :2].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(
        clip.joints[:, 3, 2], 1.1 * clips['run'].joints[:, 3, 2], atol=1e-5
    )


def test_folds_part_the_clips(clips):
    assert sorted(chain(*FOLDS)) == sorted(clips)
    for fold in range(3):
        validation = {clip.name for clip in fold_clips(clips, fold, True)}
        training = {clip.name for clip in fold_clips(clips, fold, False)}
        assert validation == set(FOLDS[fold])
        assert training == clips.keys() - validation


@pytest.mark.parametrize('fold', [-1, 3, None])
def test_there_is_no_other_fold(clips, fold):
    with pytest.raises(ValueError, match='fold must be 0 to 2'):
        fold_clips(clips, fold, True)


def test_action_names_have_no_underscore(clips):
    assert clips['getup_facedown'].action == 'GetupFacedown'
    assert len({clip.action for clip in clips.values()}) == 15


def test_a_file_that_does_not_add_up_is_refused(tmp_path):
    path = tmp_path / 'clips.npz'
    np.savez(
        path,
        joints=np.zeros((9, 17, 3)),
        length=np.array([4, 6]),
        name=np.array(['a', 'b']),
        loop=np.array([True, False]),
    )
    with pytest.raises(ValueError, match=r'\(10, 17, 3\), found \(9, 17, 3\)'):
        load_mocap_clips(str(path))


def test_a_clip_is_named_after_its_source():
    assert MocapClip('dance_a', np.zeros((1, 17, 3)), True).action == 'DanceA'


def test_a_missing_or_truncated_file_is_named(tmp_path):
    path = tmp_path / 'clips.npz'
    with pytest.raises(FileNotFoundError, match=r'clips\.npz does not exist'):
        load_mocap_clips(str(path))
    with open(mocap_file(), 'rb') as whole:
        data = whole.read()
    for part in (0, len(data) // 2, len(data) - 40):
        path.write_bytes(data[:part])
        with pytest.raises(ValueError, match='damaged or no file of clips'):
            load_mocap_clips(str(path))
    np.savez(path, joints=np.zeros((1, 17, 3)))
    with pytest.raises(ValueError, match='KeyError'):
        load_mocap_clips(str(path))
