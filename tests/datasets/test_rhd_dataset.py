import os
import pickle

import numpy as np
import pytest
from helpers import rhd
from mmengine.registry import DATASETS
from PIL import Image

from mmssm.structures import hand

KIND = {'type': 'mmssm.RHD3DDataset', 'serialize_data': False}


def build(folder, contents=None, protocol=2, **changes):
    arguments = rhd.write(folder, contents, protocol=protocol)
    return DATASETS.build({**KIND, **arguments, **changes})


@pytest.mark.parametrize('protocol', [2, 5])
def test_the_larger_hand_of_each_image_is_the_sample(tmp_path, protocol):
    contents = rhd.data()
    dataset = build(tmp_path, contents, protocol)
    assert len(dataset) == 3
    for index, side in enumerate(rhd.LARGER):
        sample, entry = dataset[index], contents[index]
        assert sample['img_path'].endswith(f'training/color/{index:05d}.png')
        assert sample['hand_type'].tolist() == [[side == 'right', side == 'left']]
        joints = sample['keypoints_cam'][0]
        expected = hand.half(entry['xyz'], 'rhd', side)
        np.testing.assert_array_equal(joints, expected)
        flat = joints @ entry['K'].T
        np.testing.assert_allclose(
            sample['keypoints'][0], flat[:, :2] / flat[:, 2:], atol=1e-3
        )
        np.testing.assert_allclose(
            sample['focal'][0], [entry['K'][0, 0], entry['K'][1, 1]]
        )
        seen = hand.half(entry['uv_vis'][:, 2], 'rhd', side, axis=0)
        np.testing.assert_array_equal(sample['keypoints_visible'][0], seen)
        assert 0.07 < np.linalg.norm(joints[9] - joints[0]) < 0.11
        assert (hand.chirality(joints) > 0) == (side == 'right')


def test_both_hands_and_visible_ones(tmp_path):
    dataset = build(tmp_path, hands='both')
    kinds = [dataset[i]['hand_type'][0, 0] for i in range(6)]
    assert kinds == [0, 1] * 3
    assert [dataset[i]['img_id'] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    whole = build(tmp_path, hands='both', min_visible=21)
    assert [(one['img_id'], one['hand_type'][0, 1]) for one in whole] == [
        (0, 1),
        (1, 0),
        (2, 1),
    ]
    assert dataset[1]['keypoints_visible'].min() == 0
    all_count = build(tmp_path, hands='both', use_visibility=False)
    assert all_count[1]['keypoints_visible'].min() == 1


def test_hands_are_of_their_side(tmp_path):
    for one in build(tmp_path):
        left = one['hand_type'][0, 1]
        assert (hand.chirality(one['keypoints_cam'][0]) < 0) == left


class Hostile:
    def __reduce__(self):
        return os.mkdir, ('hostile',)


@pytest.mark.parametrize(
    ('contents', 'message'),
    [
        ({0: Hostile()}, 'damaged .*asks for .*mkdir, which is not plain data'),
        ([1, 2], 'expected the file to be a dict'),
        ({}, 'holds no images'),
        ({'a': 1}, "expected numbers of images as keys, found 'a'"),
        ({0: {'xyz': 1, 'K': 2}}, r"entry 0 lacks \['uv_vis'\]"),
        (
            {0: {**rhd.data(1)[0], 'xyz': np.zeros((21, 3))}},
            r'xyz of entry 0 .*\(42, 3',
        ),
        ({0: {**rhd.data(1)[0], 'K': np.zeros((3, 3))}}, 'K of entry 0 is no pinhole'),
        (
            {0: {**rhd.data(1)[0], 'xyz': np.full((42, 3), np.nan)}},
            r'entry 0 \(.*00000\.png\): its 3D joints are NaN',
        ),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, monkeypatch, contents, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        build(tmp_path, contents)
    assert not (tmp_path / 'hostile').exists()


def test_masks_are_checked(tmp_path):
    arguments = {**KIND, **rhd.write(tmp_path)}
    path = tmp_path / 'training/mask/00001.png'
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r'mask .*00001\.png: '):
        DATASETS.build(arguments)
    Image.new('RGB', (64, 64)).save(path)
    with pytest.raises(ValueError, match=r'00001\.png: expected one channel'):
        DATASETS.build(arguments)
    path.unlink()
    with pytest.raises(ValueError, match=r'00001\.png: there is no such file'):
        DATASETS.build(arguments)
    assert len(DATASETS.build({**arguments, 'hands': 'both'})) == 6


def test_arguments_and_files_are_checked(tmp_path):
    for changes, message in (
        ({'split': 'train'}, "got 'train'"),
        ({'hands': 'left'}, "got 'left'"),
        ({'min_visible': 22}, 'got 22'),
    ):
        with pytest.raises(ValueError, match=message):
            build(tmp_path, **changes)
    with pytest.raises(ValueError, match='no hand has 21 visible joints'):
        contents = rhd.data()
        for entry in contents.values():
            entry['uv_vis'][:, 2] = 0
        build(tmp_path, contents, min_visible=21)
    with pytest.raises(
        FileNotFoundError, match=r'anno_training\.pickle does not exist'
    ):
        DATASETS.build({**KIND, 'data_root': '/nowhere'})
    path = tmp_path / 'training/anno_training.pickle'
    rhd.write(tmp_path)
    path.write_bytes(pickle.dumps(rhd.data())[:500])
    with pytest.raises(ValueError, match=r'anno_training\.pickle .* cut short'):
        DATASETS.build({**KIND, 'data_root': str(tmp_path)})
