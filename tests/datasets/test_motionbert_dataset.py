import os

import numpy as np
import pytest
from helpers import motionbert as files
from mmpose.registry import DATASETS, KEYPOINT_CODECS

from mmssm.datasets import EpochSampler, motionbert_files
from mmssm.datasets.datasets import motionbert_dataset

CODEC = {'type': 'MotionBERTLabel', 'num_keypoints': 17}
ENCODE = {'type': 'GenerateTarget', 'encoder': {**CODEC, 'mode': 'train'}}
TEST_ENCODE = {'type': 'GenerateTarget', 'encoder': {**CODEC, 'rootrel': True}}
GROUND_TRUTH_2D = {'type': 'mmssm.GroundTruth2D'}


def build(arguments, **kwargs):
    return DATASETS.build(
        {
            'type': 'mmssm.Human36mMotionBERTDataset',
            'seq_len': 20,
            **arguments,
            **kwargs,
        }
    )


@pytest.fixture
def halves():
    return files.data()


def test_input_and_label_are_motionberts(tmp_path, halves):
    dataset = build(files.write(tmp_path, halves), pipeline=[ENCODE], stride=10)
    # 45 frames give 3 clips, 13 are stretched to one, 31 give 2
    assert len(dataset) == 6
    data = halves['train']
    for index, first in ((1, 10), (4, 58)):
        frames = slice(first, first + 20)
        sample = dataset[index]
        width, height = motionbert_files.IMAGE_SIZES[data['camera_name'][first]]
        np.testing.assert_allclose(
            sample['keypoint_labels'],
            data['joint_2d'][frames] / width * 2 - [1, height / width],
            atol=1e-6,
        )
        label = data['joint3d_image'][frames] / width * 2
        np.testing.assert_allclose(
            sample['lifting_target_label'], label - label[:, :1], atol=1e-5
        )
        np.testing.assert_allclose(
            sample['keypoints_visible'], data['confidence'][frames, :, 0], atol=1e-6
        )


def test_the_target_and_a_perfect_prediction_are_the_evaluations(tmp_path, halves):
    # an offset that shows which of the two arrays is compared with
    halves['test']['joints_2.5d_image'][:, 5] += 30
    arguments = files.write(tmp_path, halves)
    train = build(arguments, split='test', stride=20, pipeline=[ENCODE])
    test = build(arguments, test_mode=True, pipeline=[TEST_ENCODE])
    assert len(train) == len(test) == 1 + 2 + 1 + 1
    data = halves['test']
    codec = KEYPOINT_CODECS.build({**CODEC, 'rootrel': True})
    for index, frames in enumerate(
        [slice(0, 20), slice(27, 47), slice(47, 67), None, slice(78, 98)]
    ):
        if frames is None:
            continue
        sample = test[index]
        truth = data['joints_2.5d_image'][frames] / 1000
        np.testing.assert_allclose(
            sample['lifting_target'], truth - truth[:, :1], atol=1e-5
        )
        camera = sample['camera_param']
        sizes = [np.full(20, camera[key]) for key in ('w', 'h')]
        decoded, _ = codec.decode(
            train[index]['lifting_target_label'], *sizes, sample['factor']
        )
        image = data['joint3d_image'][frames] * data['2.5d_factor'][frames, None, None]
        np.testing.assert_allclose(1000 * decoded, image - image[:, :1], atol=1e-2)


def test_names_are_mmposes(tmp_path):
    dataset = build(files.write(tmp_path), test_mode=True)
    names = [dataset[index]['target_img_path'][0] for index in range(len(dataset))]
    assert names == [
        'S9_Greet.54138969_000001.jpg',
        'S9_Walk_1.54138969_000001.jpg',
        'S9_Walk_1.54138969_000021.jpg',
        'S11_Wait.58860488_000001.jpg',
        'S11_SittingDown_1.55011271_000001.jpg',
    ]


def test_a_short_video_is_stretched_and_each_frame_counts_once(tmp_path):
    arguments = files.write(tmp_path)
    short = build(arguments, test_mode=True)[3]
    frames = np.array(short['img_ids'])
    counted = short['lifting_target_visible'][:, 0] > 0
    # as in MotionBERT, chance may leave a frame out
    assert set(frames) <= set(range(67, 78)) and len(set(frames)) > 8
    assert sorted(frames[counted]) == sorted(set(frames))
    assert counted[-1] and not counted[:-1][frames[1:] == frames[:-1]].any()
    again = build(arguments, test_mode=True)[3]
    other = build(arguments, test_mode=True, seed=1)[3]
    assert again['img_ids'] == short['img_ids'] != other['img_ids']


def test_a_last_video_that_is_short_is_told_of(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        motionbert_dataset, 'print_log', lambda *args: said.append(args[0])
    )
    halves = files.data(test=[(9, 14, 1, 1, 40), (11, 13, 2, 3, 11)])
    assert len(build(files.write(tmp_path, halves), test_mode=True)) == 2
    assert '1 videos are shorter than 20' in said[0] and 's_11_act_13' in said[0]


def test_ground_truth_2d_is_the_label(tmp_path):
    pipeline = [GROUND_TRUTH_2D, ENCODE]
    sample = build(files.write(tmp_path), stride=10, pipeline=pipeline)[0]
    two, three = sample['keypoint_labels'], sample['lifting_target_label'][..., :2]
    np.testing.assert_allclose(two - two[:, :1], three, atol=1e-6)
    assert (sample['keypoints_visible'] == 1).all()


def test_random_transforms_repeat_and_change_with_the_epoch(tmp_path):
    arguments = files.write(tmp_path)
    flip = {
        'type': 'RandomFlipAroundRoot',
        'keypoints_flip_cfg': {'center_mode': 'static', 'center_x': 0.0},
        'target_flip_cfg': {'center_mode': 'static', 'center_x': 0.0},
        'flip_label': True,
    }
    dataset = build(arguments, pipeline=[ENCODE, flip])
    again = build(arguments, pipeline=[ENCODE, flip])
    size = len(EpochSampler(dataset))
    EpochSampler(again)
    epochs = [dataset[epoch * size]['keypoint_labels'] for epoch in range(8)]
    assert len({labels.tobytes() for labels in epochs}) == 2
    np.testing.assert_array_equal(epochs[5], again[5 * size]['keypoint_labels'])
    assert dataset[0]['lifting_target'] is not dataset[0]['lifting_target']


def test_confidence_and_action_may_be_absent(tmp_path, halves):
    del halves['train']['confidence'], halves['train']['action']
    sample = build(files.write(tmp_path, halves), stride=10)[4]
    assert (sample['keypoints_visible'] == 1).all()
    assert sample['target_img_path'][0] == 'S5_Act14_1.60457274_000001.jpg'


@pytest.mark.parametrize('kind', [list, np.bytes_, object])
def test_texts_of_any_kind_are_read(tmp_path, halves, kind):
    for key in ('camera_name', 'source', 'action'):
        values = halves['test'][key]
        halves['test'][key] = (
            [str(value) for value in values]
            if kind is list
            else np.array(list(values), dtype=kind)
        )
    assert len(build(files.write(tmp_path, halves), test_mode=True)) == 5


def spoil(halves, split, key, change):
    halves[split][key] = change(halves[split][key])


def put(index, value):
    def change(array):
        array = np.array(array)
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ('split', 'key', 'change', 'message'),
    [
        ('test', 'joint_2d', put((3, 1, 0), np.nan), r'test\.joint_2d is NaN .* 1 of'),
        ('train', 'joint3d_image', put(4, np.inf), r'joint3d_image is NaN .* frame 4'),
        ('test', 'joint_2d', lambda a: a[:, :16], r'joint_2d .*17, any.*16'),
        ('test', 'joint3d_image', lambda a: a[:-1], r'joint3d_image .*\(108, 17'),
        ('train', 'joint3d_image', lambda a: a[..., :2], r'joint3d_image of shape'),
        ('test', '2.5d_factor', lambda a: -a, 'positive numbers'),
        ('test', '2.5d_factor', lambda a: a[1:], r'2\.5d_factor of shape \(108\)'),
        ('test', 'source', lambda a: a[:-1], r'108 texts as test\.source.* found 107'),
        ('test', 'source', lambda a: [1] * len(a), r'texts as test\.source'),
        ('test', 'source', lambda a: ['walk'] * len(a), r"s_09_act.*found 'walk'"),
        ('test', 'camera_name', lambda a: ['7'] * len(a), r"camera_name out of .*'7'"),
        ('test', 'camera_name', put(3, '58860488'), 'changes within the video s_09'),
        ('test', 'confidence', lambda a: a[:, :3], r'test\.confidence of shape'),
        ('test', 'joint_2d', lambda a: a.astype(str), r'joint_2d to be numbers'),
        ('test', 'joint_2d', lambda a: a[:0], r'joint_2d holds no frames'),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, halves, split, key, change, message):
    spoil(halves, split, key, change)
    with pytest.raises(ValueError, match=message) as error:
        build(files.write(tmp_path, halves), split=split)
    assert 'h36m.pkl' in str(error.value)


@pytest.mark.parametrize('key', ['joint_2d', 'joint3d_image', 'source', '2.5d_factor'])
def test_a_missing_key_is_named(tmp_path, halves, key):
    del halves['test'][key]
    with pytest.raises(ValueError, match=rf"h36m\.pkl: test lacks \['{key}'\]"):
        build(files.write(tmp_path, halves), test_mode=True)


def test_a_foreign_pickle_is_named(tmp_path, halves):
    with pytest.raises(ValueError, match=r"lacks \['test'\]"):
        build(files.write(tmp_path, {'train': halves['train']}), test_mode=True)
    with pytest.raises(ValueError, match='found list'):
        build(files.write(tmp_path, [1, 2]))
    with pytest.raises(ValueError, match='test to be a dict'):
        build(files.write(tmp_path, {'test': 3}), test_mode=True)
    with pytest.raises(FileNotFoundError, match=r'absent\.pkl does not exist'):
        build({'ann_file': str(tmp_path / 'absent.pkl')})


class RunsCode:
    def __reduce__(self):
        return os.mkdir, ('made-by-a-pickle',)


def test_a_hostile_pickle_raises_and_runs_nothing(tmp_path, monkeypatch, halves):
    monkeypatch.chdir(tmp_path)
    for key in ('joint_2d', 'source'):
        hostile = {**halves, 'test': {**halves['test'], key: RunsCode()}}
        with pytest.raises(ValueError, match=r'h36m\.pkl .*mkdir'):
            build(files.write(tmp_path, hostile))
    hostile = np.array([RunsCode()], dtype=object)
    with pytest.raises(ValueError, match='mkdir'):
        build(files.write(tmp_path, {**halves, 'more': hostile}))
    assert not os.path.exists('made-by-a-pickle')


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({'seq_len': 0}, 'seq_len must be at least 1'),
        ({'stride': 0}, 'stride must be at least 1'),
        ({'split': 'val'}, "split must be 'train' or 'test', got 'val'"),
    ],
)
def test_arguments_out_of_their_range_are_refused(tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(files.write(tmp_path), **kwargs)


def test_no_clip_at_all_is_an_error(tmp_path, halves):
    halves['test'] = files.split([(9, 5, 2, 1, 9)])
    with pytest.raises(ValueError, match='no clip of 20 frames fits 9 frames in 1'):
        build(files.write(tmp_path, halves), test_mode=True)
