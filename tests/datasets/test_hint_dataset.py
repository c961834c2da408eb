import numpy as np
import pytest
from helpers import hint
from mmengine.registry import DATASETS

KIND = {'type': 'mmssm.HIntDataset', 'serialize_data': False}


def build(folder, entries=None, **changes):
    return DATASETS.build({**KIND, **hint.write(folder, entries), **changes})


@pytest.mark.parametrize('order', ['xyxy', 'xywh'])
def test_samples_hold_what_the_files_hold(tmp_path, order):
    entries = hint.data(order=order)
    dataset = build(tmp_path, entries, bbox_order=order)
    assert len(dataset) == 3
    for sample, name in zip(dataset, hint.NAMES, strict=True):
        entry = entries[name][0]
        assert sample['img_path'].endswith(f'TEST_newdays_img/{name}.jpg')
        np.testing.assert_allclose(sample['keypoints'][0], entry['keypoints'])
        np.testing.assert_array_equal(
            sample['keypoints_occluded'], [entry['occlusion']]
        )
        assert sample['keypoints_visible'].all()
        right = name.endswith('r')
        assert sample['hand_type'].tolist() == [[right, not right]]
        points = np.array(entry['keypoints'])
        np.testing.assert_allclose(
            sample['bbox'][0], [*points.min(0) - 2, *points.max(0) + 2], rtol=1e-5
        )
        assert 'keypoints_cam' not in sample and 'focal' not in sample


def test_a_wrong_order_of_corners_is_loud(tmp_path):
    with pytest.raises(ValueError, match=r"bbox_order='xywh' does not fit .*xyxy 0\.9"):
        build(tmp_path, bbox_order='xywh')
    with pytest.raises(ValueError, match=r"bbox_order='xyxy' does not fit .*xywh 0\.9"):
        build(tmp_path, hint.data(order='xywh'))


def put(key, value):
    return lambda entries: entries['b_r'][0].__setitem__(key, value)


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (put('keypoints', [[1, 2]]), r'b_r\.json: expected keypoints of shape'),
        (put('keypoints', [[float('nan'), 1]] * 21), r'b_r\.jpg\): its 2D joints are'),
        (put('occlusion', [2] * 21), r'b_r\.json: expected occlusion to be 0'),
        (put('bbox', [1, 2, 3, 4]), r'b_r\.json: expected bbox of shape \(1, 4\)'),
        (put('bbox', [[5, 5, 5, 5]]), r'b_r\.jpg\): its box has no size'),
        (put('bbox', [[float('nan')] * 4]), r'b_r\.jpg\): its box has no size'),
        (lambda e: e['b_r'].clear(), r'b_r\.json: expected one hand, found 0'),
        (lambda e: e['b_r'].append({}), 'expected one hand, found 2'),
        (lambda e: e['b_r'][0].pop('bbox'), r"b_r\.json: the hand lacks \['bbox'\]"),
        (lambda e: e.update(x={}), r'x\.json: expected the file to be a list'),
        (lambda e: e.update(b=e['b_r']), r'b\.json: expected a name that ends in _l'),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, spoil, message):
    entries = hint.data()
    spoil(entries)
    with pytest.raises(ValueError, match=message):
        build(tmp_path, entries)


def test_arguments_are_checked(tmp_path):
    hint.write(tmp_path)
    for name, value in (('split', 'test'), ('source', 'visor'), ('bbox_order', 'yx')):
        with pytest.raises(ValueError, match=f'{name} must be out of'):
            DATASETS.build({**KIND, 'data_root': str(tmp_path), name: value})
    with pytest.raises(FileNotFoundError, match=r'no \.json files in .*VAL_epick_img'):
        build(tmp_path, split='VAL', source='epick_img')
