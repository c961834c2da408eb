import numpy as np
import pytest
from helpers import assemblyhands
from mmengine.registry import DATASETS

from mmssm.structures import hand

CAMERA = f'{assemblyhands.CAMERAS[0]}_mono10bit'
SEQUENCE = assemblyhands.SEQUENCE


def build(folder, contents=None, **changes):
    arguments = assemblyhands.write(folder, contents)
    return DATASETS.build(
        {'type': 'mmssm.AssemblyHandsDataset', **arguments, **changes}
    )


def test_a_sample_is_a_hand_with_a_box(tmp_path):
    contents = assemblyhands.data()
    dataset = build(tmp_path, contents)
    expected = [
        (image, side)
        for image, sides in enumerate(assemblyhands.BOXES)
        for side in sides
    ]
    assert len(dataset) == len(expected) == 4
    calibration = contents['ego_calib']['calibration'][SEQUENCE]
    for index, (number, side) in enumerate(expected):
        sample = dataset[index]
        image = contents['ego_data']['images'][number]
        assert sample['img_id'] == image['id']
        assert sample['img_path'].endswith(f'images/{image["file_name"]}')
        assert sample['image_size'] == assemblyhands.SIZE
        box = contents['ego_data']['annotations'][number]['bbox'][side]
        np.testing.assert_allclose(sample['bbox'][0], box, rtol=1e-6)
        assert sample['hand_type'].tolist() == [[side == 'right', side == 'left']]
        frame = f'{image["frame_idx"]:06d}'
        name = f'{image["camera"]}_mono10bit'
        pose = np.array(calibration['extrinsics'][frame][name])
        world = contents['joint_3d']['annotations'][SEQUENCE][frame]['world_coord']
        both = (np.array(world) @ pose[:, :3].T + pose[:, 3]) / 1000
        joints = sample['keypoints_cam'][0]
        np.testing.assert_allclose(
            joints, hand.half(both, 'interhand', side), atol=1e-6
        )
        plane = joints[:, :2] / joints[:, 2:] * sample['focal']
        points = sample['keypoints'][0]
        wanted = plane + sample['principal_pt']
        np.testing.assert_allclose(points, wanted, atol=1e-3)
        low, high = sample['bbox'][0, :2], sample['bbox'][0, 2:]
        assert (points > low - 1e-3).all() and (points < high + 1e-3).all()
        assert 0.07 < np.linalg.norm(joints[9] - joints[0]) < 0.11
        assert (hand.chirality(joints) > 0) == (side == 'right')
        # two joints of the 42 are not valid, one of each hand
        hidden = {'right': 'forefinger3', 'left': 'forefinger2'}[side]
        seen = sample['keypoints_visible'][0]
        assert seen.sum() == 20 and seen[hand.JOINT_NAMES.index(hidden)] == 0


def test_hands_with_few_valid_joints_are_left_out(tmp_path):
    contents = assemblyhands.data()
    contents['ego_data']['annotations'][0]['joint_valid'][:12] = [0] * 12
    dataset = build(tmp_path, contents)
    assert [one['hand_type'][0, 0] for one in dataset] == [0, 0, 1]
    assert len(build(tmp_path, contents, min_valid=9)) == 4
    for annotation in contents['ego_data']['annotations']:
        annotation['joint_valid'] = [0] * 42
    with pytest.raises(ValueError, match='holds no hand that can be used'):
        build(tmp_path, contents)


def test_joints_that_are_not_valid_may_be_anywhere(tmp_path):
    contents = assemblyhands.data()
    frames = contents['joint_3d']['annotations'][SEQUENCE]
    pose = np.array(
        contents['ego_calib']['calibration'][SEQUENCE]['extrinsics']['000360'][CAMERA]
    )
    # on the camera itself
    frames['000360']['world_coord'][5] = (-pose[:, :3].T @ pose[:, 3]).tolist()
    sample = build(tmp_path, contents)[0]
    assert np.isfinite(sample['keypoints']).all()
    assert sample['keypoints_visible'].sum() == 20


def change(*path, value):
    def spoil(contents):
        for key in path[:-1]:
            contents = contents[key]
        contents[path[-1]] = value

    return spoil


def drop(*path):
    def spoil(contents):
        for key in path[:-1]:
            contents = contents[key]
        del contents[path[-1]]

    return spoil


FIRST = ('ego_data', 'annotations', 0)
CALIB = ('ego_calib', 'calibration', SEQUENCE)
FRAME = ('joint_3d', 'annotations', SEQUENCE, '000360')


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (drop('ego_data', 'images'), r"ego_data.*the file lacks \['images'\]"),
        (drop('ego_data', 'images', 1, 'camera'), r"image 1 lacks \['camera'\]"),
        (drop(*FIRST, 'joint_valid'), r"annotation 0 lacks \['joint_valid'\]"),
        (change(*FIRST, 'joint_valid', value=[1] * 21), r'joint_valid .*found \(21,\)'),
        (
            change(*FIRST, 'joint_valid', value=1),
            'joint_valid of annotation 0 to be list',
        ),
        (
            change(*FIRST, 'bbox', value=[1, 2, 3, 4]),
            'bbox of annotation 0 to be dict',
        ),
        (change(*FIRST, 'bbox', 'left', value=[1, 2]), 'left bbox of annotation 0'),
        (
            change(*FIRST, 'bbox', 'left', value=[5, 5, 5, 9]),
            r'entry 1 \(.*000360\.jpg\): its box has no size',
        ),
        (change(*FIRST, 'image_id', value=3), 'annotation 0 is of image 3, which'),
        (drop(*CALIB), 'ego_calib.*calibration lacks'),
        (drop(*CALIB, 'intrinsics', CAMERA), f'intrinsics of .* lacks .*{CAMERA}'),
        (drop(*CALIB, 'extrinsics', '000360'), r"extrinsics of .* lacks \['000360'\]"),
        (
            drop(*CALIB, 'extrinsics', '000360', CAMERA),
            f'frame 000360 lacks .*{CAMERA}',
        ),
        (
            change(*CALIB, 'extrinsics', '000360', CAMERA, value=[[1, 2, 3]] * 3),
            r'frame 000360, .* of shape \(3, 4\), found',
        ),
        (
            change(*CALIB, 'intrinsics', CAMERA, value=[[0, 0, 0]] * 3),
            'intrinsics of entry 0 is no pinhole camera',
        ),
        (drop(*FRAME), r"joint_3d.* lacks \['000360'\]"),
        (drop(*FRAME, 'world_coord'), r"frame 000360 lacks \['world_coord'\]"),
        (change(*FRAME, 'world_coord', value=[[1, 2, 3]] * 21), r'\(42, 3\), found'),
        (
            change(*FRAME, 'world_coord', value=[[1, 2, float('nan')]] * 42),
            r'entry 0 \(.*000360\.jpg\): its 3D joints are NaN',
        ),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, spoil, message):
    contents = assemblyhands.data()
    spoil(contents)
    arguments = assemblyhands.write(tmp_path, contents, images=False)
    with pytest.raises(ValueError, match=message):
        DATASETS.build({'type': 'mmssm.AssemblyHandsDataset', **arguments})


def test_arguments_and_files_are_checked(tmp_path):
    with pytest.raises(ValueError, match="got 'evaluation'"):
        build(tmp_path, split='evaluation')
    with pytest.raises(ValueError, match='min_valid must lie'):
        build(tmp_path, min_valid=0)
    with pytest.raises(ValueError, match=r"lacks \['HMC_21176875'\]"):
        build(tmp_path, camera_suffix='')
    with pytest.raises(
        FileNotFoundError, match=r'test_ego_data_v1-1\.json does not ex'
    ):
        build(tmp_path, split='test')
