import json

import numpy as np
import pytest
from helpers import interhand
from mmengine.registry import DATASETS

from mmssm.structures import hand


def build(folder, contents=None, **changes):
    arguments = interhand.write(folder, contents)
    return DATASETS.build({'type': 'mmssm.InterHand3DDataset', **arguments, **changes})


def test_samples_are_mmposes(tmp_path):
    ours = build(tmp_path)
    stock = DATASETS.build({'type': 'InterHand3DDataset', **interhand.write(tmp_path)})
    assert len(ours) == len(stock) == 4
    for index in range(4):
        one, other = ours[index], stock[index]
        assert set(one) - set(other) == {'image_size'}
        assert set(other) - set(one) == {'raw_ann_info'}
        for key in set(one) & set(other) - {'dataset', 'keypoints'}:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)
        seen = one['keypoints_visible'] > 0
        np.testing.assert_array_equal(one['keypoints'][seen], other['keypoints'][seen])
    assert not hasattr(ours, 'joints') and not hasattr(ours, 'cameras')


def test_units_and_order_are_those_of_the_metric(tmp_path):
    dataset = build(tmp_path)
    for index, kind in enumerate(interhand.TYPES):
        sample = dataset[index]
        joints = sample['keypoints_cam'][0]
        seen = sample['keypoints_visible'][0] > 0
        plane = joints[:, :2] / joints[:, 2:] * sample['focal']
        np.testing.assert_allclose(
            sample['keypoints'][0, seen, :2],
            (plane + sample['principal_pt'])[seen],
            atol=1e-3,
        )
        for number, side in enumerate(hand.TWO_HANDS['interhand']):
            there = kind in (side, 'interacting')
            assert sample['hand_type'][0, number] == there
            assert seen[21 * number : 21 * number + 21].all() == there
            one = hand.half(joints, 'interhand', side)
            if there:
                assert 70 < np.linalg.norm(one[9] - one[0]) < 110
                assert (hand.chirality(one) > 0) == (side == 'right')
                root = sample['abs_depth'][number]
                assert root == joints[20 + 21 * number, 2]
        low, high = sample['bbox'][0, :2], sample['bbox'][0, 2:]
        points = sample['keypoints'][0, seen, :2]
        assert (low < points).all() and (points < high).all()


def test_a_wrist_that_is_not_valid_takes_its_hand_along(tmp_path):
    contents = interhand.data()
    contents['data']['annotations'][2]['joint_valid'][41] = [0]
    seen = build(tmp_path, contents)[2]['keypoints_visible'][0]
    assert seen[:21].all() and not seen[21:].any()


def test_images_are_held_to_the_annotations(tmp_path):
    dataset = build(tmp_path, pipeline=[{'type': 'mmssm.LoadCheckedImage'}])
    assert dataset[0]['img'].shape == (96, 64, 3)
    assert dataset[1]['img'].shape == (64, 96, 3)


def test_a_part_of_the_annotations_is_chosen(tmp_path):
    (tmp_path / 'human.txt').write_text('3\n17\n99\n')
    dataset = build(tmp_path, annotation_ids_file='human.txt')
    assert [dataset[i]['id'] for i in range(len(dataset))] == [3, 17]
    (tmp_path / 'human.txt').write_text('3,17\n')
    with pytest.raises(ValueError, match=r'human\.txt: expected one annotation id'):
        build(tmp_path, annotation_ids_file='human.txt')
    (tmp_path / 'human.txt').write_text('5')
    with pytest.raises(ValueError, match='holds no hand'):
        build(tmp_path, annotation_ids_file='human.txt')


def test_boxes_and_depths_of_rootnet(tmp_path):
    results = [
        {'annot_id': 7 * i + 3, 'bbox': [1, 2, 30, 40 + i], 'abs_depth': [800, 900 + i]}
        for i in range(4)
    ]
    path = tmp_path / 'rootnet.json'
    path.write_text(json.dumps(results))
    arguments = {'use_gt_root_depth': False, 'rootnet_result_file': 'rootnet.json'}
    sample = build(tmp_path, **arguments)[1]
    np.testing.assert_array_equal(sample['bbox'], [[1, 2, 31, 43]])
    assert sample['abs_depth'] == [800, 901]
    path.write_text(json.dumps(results[:2]))
    with pytest.raises(ValueError, match='no box and depth for annotation 17'):
        build(tmp_path, **arguments)
    path.write_text(json.dumps([{'annot_id': 3}]))
    with pytest.raises(ValueError, match=r'rootnet\.json: entry 0 lacks'):
        build(tmp_path, **arguments)
    with pytest.raises(ValueError, match='none is given'):
        build(tmp_path, use_gt_root_depth=False)


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


FIRST = ('data', 'annotations', 1)
FRAME = ('joint_3d', '1', '101')


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (drop('data', 'annotations'), r"data\.json: the file lacks \['annotations'\]"),
        (
            change('data', 'images', value={}),
            'expected images to be a list, found dict',
        ),
        (
            change('data', 'images', 0, 'id', value=[1]),
            'id of image 0 to be int, found',
        ),
        (drop(*FIRST, 'bbox'), r"data\.json: annotation 1 lacks \['bbox'\]"),
        (
            change(*FIRST, 'bbox', value=[1, 2, 3]),
            r'bbox of annotation 10 .*found \(3,',
        ),
        (change(*FIRST, 'bbox', value=[5, 5, 0, 9]), r'10 \(image .*box has no size'),
        (change(*FIRST, 'joint_valid', value=[1] * 21), 'to be 42 numbers, found shap'),
        (change(*FIRST, 'hand_type', value='both'), "of annotation 10 .*found 'both'"),
        (change(*FIRST, 'image_id', value=4), 'annotation 1 .* is of image 4, which'),
        (
            drop('data', 'images', 0, 'camera'),
            r"data\.json: image 0 lacks \['camera'\]",
        ),
        (drop('camera', '1'), r"camera\.json: the file lacks \['1'\]"),
        (drop('camera', '1', 'focal', '40001'), r"focal of capture 1 lacks \['40001'"),
        (
            change('camera', '1', 'camrot', '40001', value=[1, 2]),
            r'camera\.json: expected camrot of capture 1, camera 40001 of sha',
        ),
        (drop(*FRAME), r"joint_3d\.json: capture 1 lacks \['101'\]"),
        (
            change(*FRAME, 'world_coord', value=[[1, 2, 3]] * 21),
            r'world_coord of frame 101 of capture 1 of shape \(42, 3\)',
        ),
        (
            change(*FRAME, 'world_coord', value=[[1, 2, float('nan')]] * 42),
            'annotation 10 .* marked as valid have no projection',
        ),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, spoil, message):
    contents = interhand.data()
    spoil(contents)
    interhand.write(tmp_path, interhand.data())
    with pytest.raises(ValueError, match=message):
        DATASETS.build(
            {
                'type': 'mmssm.InterHand3DDataset',
                **interhand.write(tmp_path, contents, images=False),
            }
        )


def test_boxes_of_no_size_are_skipped_if_the_config_says_so(tmp_path):
    contents = interhand.data()
    contents['data']['annotations'][1]['bbox'][2] = 0
    dataset = build(tmp_path, contents, invalid='skip')
    assert [dataset[i]['id'] for i in range(len(dataset))] == [3, 17, 24]
    with pytest.raises(ValueError, match="invalid must be 'raise' or 'skip'"):
        build(tmp_path, invalid='no')


def test_missing_files_are_named(tmp_path):
    arguments = interhand.write(tmp_path)
    for key in ('ann_file', 'camera_param_file', 'joint_file'):
        spoiled = {**arguments, key: 'nothing.json'}
        with pytest.raises(FileNotFoundError, match=r'nothing\.json does not exist'):
            DATASETS.build({'type': 'mmssm.InterHand3DDataset', **spoiled})
