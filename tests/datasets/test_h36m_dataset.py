import os
import pickle

import numpy as np
import pytest
from helpers import h36m as files
from helpers.mocap import TRAIN_PIPELINE
from mmpose.registry import DATASETS

from mmssm.datasets import EpochSampler, Human36mDataset
from mmssm.datasets.datasets import h36m_dataset

CLIPS = {'multiple_target': 20, 'multiple_target_step': 10}


def build(arguments, **kwargs):
    return DATASETS.build({'type': 'mmssm.Human36mDataset', **arguments, **kwargs})


@pytest.fixture
def arrays():
    return files.videos(S1_Walk_1__111=45, S1_Walk_1__222=20, S9_Photo__111=31)


@pytest.mark.parametrize(
    'kwargs',
    [
        CLIPS,
        {'seq_len': 9, 'causal': False},
        {'seq_len': 9, 'causal': False, 'pad_video_seq': True},
        {},
    ],
)
def test_samples_are_the_stock_ones(tmp_path, arrays, kwargs):
    arguments = files.write(tmp_path, arrays)
    ours = build(arguments, **kwargs)
    stock = DATASETS.build({'type': 'Human36mDataset', **arguments, **kwargs})
    assert len(ours) == len(stock) > 0
    for index in range(len(ours)):
        mine, theirs = ours.get_data_info(index), stock.get_data_info(index)
        assert mine.keys() == theirs.keys()
        for key in theirs:
            np.testing.assert_equal(mine[key], theirs[key], err_msg=key)


def test_detections_and_factors_are_the_stock_ones(tmp_path, arrays):
    frames = len(arrays['imgname'])
    np.save(tmp_path / 'det.npy', np.random.rand(frames, 17, 3))
    np.save(tmp_path / 'factor.npy', np.random.rand(frames) + 4)
    arguments = {
        **files.write(tmp_path, arrays),
        **CLIPS,
        'keypoint_2d_src': 'detection',
        'keypoint_2d_det_file': 'det.npy',
        'factor_file': 'factor.npy',
    }
    mine = build(arguments).get_data_info(1)
    theirs = DATASETS.build({'type': 'Human36mDataset', **arguments}).get_data_info(1)
    for key in ('keypoints', 'keypoints_visible', 'factor'):
        np.testing.assert_array_equal(mine[key], theirs[key])


def test_random_transforms_repeat_and_change_with_the_epoch(tmp_path, arrays):
    arguments = files.write(tmp_path, arrays)
    dataset = build(arguments, **CLIPS, pipeline=TRAIN_PIPELINE)
    again = build(arguments, **CLIPS, pipeline=TRAIN_PIPELINE)
    size = len(EpochSampler(dataset))
    assert len(EpochSampler(again)) == size == len(dataset)
    first = dataset[2]['inputs']
    np.testing.assert_array_equal(first, again[2]['inputs'])
    assert (first != dataset[size + 2]['inputs']).any()


def test_under_a_stock_sampler_augmentation_is_not_frozen(tmp_path, arrays):
    pipeline = [*TRAIN_PIPELINE[1:]]  # nothing random but the flip
    dataset = build(files.write(tmp_path, arrays), **CLIPS, pipeline=pipeline)
    np.random.seed(0)
    flipped = {dataset[0]['inputs'][0, 1, 0].item() for _ in range(20)}
    assert len(flipped) == 2


def test_a_short_video_becomes_one_clip(tmp_path):
    arrays = files.videos(S1_Walk__111=40, S1_Photo__111=13, S1_Eating__111=8)
    dataset = build(files.write(tmp_path, arrays), **CLIPS)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [info['target_img_path'][0].split('.')[0][3:] for info in infos] == [
        'S1_Walk',
        'S1_Walk',
        'S1_Walk',
        'S1_Photo',
        'S1_Eating',
    ]
    photo = infos[3]
    assert photo['img_ids'][0] == 40
    assert photo['img_ids'][-1] == 52
    assert set(np.diff(photo['img_ids'])) == {0, 1}
    # every frame counts, and counts once
    assert photo['lifting_target_visible'][:, 0].sum() == 13
    assert infos[4]['lifting_target_visible'][:, 0].sum() == 8
    assert infos[0]['lifting_target_visible'].all()


@pytest.mark.parametrize(
    ('kwargs', 'fate'), [(CLIPS, 'stretched'), ({'seq_len': 20}, 'left out')]
)
def test_short_videos_are_told_of(tmp_path, monkeypatch, kwargs, fate):
    said = []
    monkeypatch.setattr(h36m_dataset, 'print_log', lambda *args: said.append(args))
    arrays = files.videos(S1_Walk__111=40, S1_Photo__111=13)
    arguments = files.write(tmp_path, arrays)
    build(arguments, **kwargs)
    [(message, *_)] = said
    assert '1 videos are shorter than 20 frames' in message
    assert 'S1_Photo_111 with 13' in message
    assert fate in message
    build(arguments, seq_len=20, pad_video_seq=True)
    assert len(said) == 1


@pytest.mark.parametrize('kwargs', [CLIPS, {'seq_len': 20}])
def test_only_short_videos_is_an_error(tmp_path, kwargs):
    arguments = files.write(tmp_path, files.videos(S1_Walk__111=13, S1_Photo__111=8))
    with pytest.raises(ValueError, match='20 frames, the longest has 13'):
        build(arguments, **kwargs)


def spoil(arrays, key, index, value):
    arrays[key] = arrays[key].copy()
    arrays[key][index] = value


@pytest.mark.parametrize('key', ['part', 'S', 'center', 'scale'])
def test_nan_is_named(tmp_path, arrays, key):
    spoil(arrays, key, (47,) + (0,) * (arrays[key].ndim - 1), np.nan)
    with pytest.raises(ValueError, match=rf'{key} is NaN .* 1 of 96 .*222_000003'):
        build(files.write(tmp_path, arrays), **CLIPS)


def test_another_joint_count_is_named(tmp_path, arrays):
    arrays['part'] = arrays['part'][:, :16]
    with pytest.raises(ValueError, match=r'part .*\(96, 17, 3\), found \(96, 16'):
        build(files.write(tmp_path, arrays), **CLIPS)


def test_a_missing_array_is_named(tmp_path, arrays):
    arrays.pop('S')
    with pytest.raises(ValueError, match=r"imgname, part and S, found \['center'"):
        build(files.write(tmp_path, arrays), **CLIPS)


def test_a_file_without_3d_is_named(tmp_path, arrays):
    arrays['S'] = np.zeros_like(arrays['S'])
    with pytest.raises(ValueError, match=r'train\.npz: S holds no 3D joints'):
        build(files.write(tmp_path, arrays), **CLIPS)


def test_an_empty_file_is_named(tmp_path, arrays):
    empty = {key: array[:0] for key, array in arrays.items()}
    with pytest.raises(ValueError, match='holds no frames'):
        build(files.write(tmp_path, empty), **CLIPS)


def test_a_name_of_another_form_is_named(tmp_path, arrays):
    arguments = files.write(tmp_path, arrays)
    arrays['imgname'] = np.array([f'frame{i}.jpg' for i in range(96)])
    np.savez(tmp_path / 'train.npz', **arrays)
    with pytest.raises(ValueError, match=r"S1_Directions_1.*found 'frame0\.jpg'"):
        build(arguments, **CLIPS)


@pytest.mark.parametrize('name', ['train.npz', 'cameras.pkl'])
def test_a_missing_file_is_named(tmp_path, arrays, name):
    arguments = files.write(tmp_path, arrays)
    os.remove(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=f'{name} does not exist'):
        build(arguments, **CLIPS)


@pytest.mark.parametrize('name', ['train.npz', 'cameras.pkl', 'det.npy'])
@pytest.mark.parametrize('part', [0.0, 0.5, 0.95])
def test_a_truncated_file_is_named(tmp_path, arrays, name, part):
    arguments = files.write(tmp_path, arrays)
    np.save(tmp_path / 'det.npy', np.random.rand(96, 17, 3))
    size = os.path.getsize(tmp_path / name)
    os.truncate(tmp_path / name, int(part * size))
    with pytest.raises(ValueError, match=rf'{name} .* bytes\) is damaged or cut short'):
        build(
            arguments,
            **CLIPS,
            keypoint_2d_src='detection',
            keypoint_2d_det_file='det.npy',
        )


def test_damage_inside_the_archive_is_found(tmp_path, arrays):
    arguments = files.write(tmp_path, arrays)
    path = tmp_path / 'train.npz'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match='damaged or cut short'):
        build(arguments, **CLIPS)


class RunsCode:
    def __reduce__(self):
        return os.mkdir, ('made-by-a-pickle',)


def test_the_camera_file_cannot_run_code(tmp_path, arrays, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = files.write(tmp_path, arrays, cameras={('S1', '111'): RunsCode()})
    with pytest.raises(ValueError, match=r'cameras\.pkl .*mkdir'):
        build(arguments, **CLIPS)
    assert not os.path.exists('made-by-a-pickle')


def test_a_missing_camera_is_named(tmp_path, arrays):
    arguments = files.write(tmp_path, arrays)
    with open(tmp_path / 'cameras.pkl', 'rb') as file:
        cameras = pickle.load(file)
    cameras.pop(('S9', '111'))
    with pytest.raises(ValueError, match=r"1 of 3 cameras are missing, first \('S9'"):
        build(files.write(tmp_path, arrays, cameras), **CLIPS)
    assert arguments


@pytest.mark.parametrize(
    ('key', 'value'), [('w', 0), ('f', np.array([1145.0])), ('c', np.full(2, np.nan))]
)
def test_a_camera_without_its_numbers_is_named(tmp_path, arrays, key, value):
    files.write(tmp_path, arrays)
    with open(tmp_path / 'cameras.pkl', 'rb') as file:
        cameras = pickle.load(file)
    cameras['S1', '222'][key] = value
    with pytest.raises(ValueError, match=rf"'222'\) needs . positive .* {key} in"):
        build(files.write(tmp_path, arrays, cameras), **CLIPS)


def test_cameras_of_another_kind_are_refused(tmp_path, arrays):
    with pytest.raises(ValueError, match=r'\(subject, camera\).*found list'):
        build(files.write(tmp_path, arrays, cameras=[1, 2]), **CLIPS)


@pytest.mark.parametrize(
    ('factors', 'message'),
    [
        (np.ones(95), r'shape \(96\), found \(95,\)'),
        (np.zeros(96), 'positive factors'),
        (np.full(96, np.inf), 'NaN or infinite in 96 of 96'),
    ],
)
def test_factors_that_do_not_fit_are_named(tmp_path, arrays, factors, message):
    arguments = files.write(tmp_path, arrays)
    np.save(tmp_path / 'factor.npy', factors)
    with pytest.raises(ValueError, match=message):
        build(arguments, **CLIPS, factor_file='factor.npy')


def test_detections_that_do_not_fit_are_named(tmp_path, arrays):
    arguments = files.write(tmp_path, arrays)
    np.save(tmp_path / 'det.npy', np.zeros((96, 17, 2)))
    with pytest.raises(ValueError, match=r'\(96, 17, 3\), found \(96, 17, 2\)'):
        build(
            arguments,
            **CLIPS,
            keypoint_2d_src='detection',
            keypoint_2d_det_file='det.npy',
        )


def test_arguments_that_contradict_are_refused(tmp_path, arrays):
    arguments = files.write(tmp_path, arrays)
    with pytest.raises(ValueError, match='seq_step=1, got 2'):
        build(arguments, **CLIPS, seq_step=2)
    with pytest.raises(ValueError, match='needs keypoint_2d_det_file'):
        build(arguments, **CLIPS, keypoint_2d_src='detection')
    with pytest.raises(TypeError, match='multiple_targets'):
        Human36mDataset(**arguments, multiple_targets=20)


def test_lazy_init_reads_no_samples_until_asked(tmp_path, arrays):
    dataset = build(files.write(tmp_path, arrays), **CLIPS, lazy_init=True)
    assert not dataset._fully_initialized
    dataset.full_init()
    assert len(dataset) == 6
    assert dataset.ann_data == {}
