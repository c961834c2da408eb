import os

import numpy as np
import pytest
from helpers import mpi_inf_3dhp as files
from mmpose.registry import DATASETS, KEYPOINT_CODECS

from mmssm.datasets.datasets import mpi_inf_3dhp_dataset
from mmssm.structures.mpi_inf_3dhp import TO_H36M

CODEC = {'type': 'MotionBERTLabel', 'num_keypoints': 17, 'concat_vis': True}
ENCODE = {'type': 'GenerateTarget', 'encoder': {**CODEC, 'mode': 'train'}}
TEST_ENCODE = {'type': 'GenerateTarget', 'encoder': {**CODEC, 'rootrel': True}}


def build(arguments, **kwargs):
    name = 'test' if kwargs.get('test_mode') else 'train'
    return DATASETS.build(
        {
            'type': 'mmssm.MpiInf3dhpDataset',
            'ann_file': f'data_{name}_3dhp.npz',
            'seq_len': 9,
            **arguments,
            **kwargs,
        }
    )


def h36m(joints):
    return joints[..., list(TO_H36M), :]


def relative(joints):
    return joints - joints[:, :1]


def test_input_and_label_are_the_papers(tmp_path):
    data = files.train_data()
    dataset = build(files.write(tmp_path, train=data), pipeline=[ENCODE])
    # ceil(31 / 9) clips of two cameras, ceil(12 / 9) of one
    assert len(dataset) == 4 + 4 + 2
    shot = data['S1 Seq1'][0]['8']
    sample = dataset[4 + 1]
    two, three = h36m(shot['data_2d'][9:18]), h36m(shot['data_3d'][9:18])
    np.testing.assert_allclose(
        sample['keypoint_labels'][..., :2], two / 1024 - 1, atol=1e-5
    )
    assert (sample['keypoint_labels'][..., 2] == 1).all()
    np.testing.assert_allclose(
        sample['lifting_target_label'], relative(three) / 1024, atol=1e-5
    )
    assert sample['target_img_path'][0] == 'S1_Seq1_Cam8_000010.jpg'
    # the tail is stretched
    assert [int(name[-10:-4]) for name in dataset[3]['target_img_path']] == [
        28, 28, 28, 29, 29, 30, 30, 31, 31
    ]  # fmt: skip


@pytest.mark.parametrize('decode_by_width', [False, True])
def test_ground_truth_and_decoding_in_testing(tmp_path, decode_by_width):
    data = files.test_data()
    dataset = build(
        files.write(tmp_path, test=data),
        test_mode=True,
        center_target=False,
        decode_by_width=decode_by_width,
        pipeline=[TEST_ENCODE],
    )
    codec = KEYPOINT_CODECS.build({**CODEC, 'rootrel': True})
    for index, name, size, unit in (
        (0, 'TS1', (2048, 2048), 1024),
        (-1, 'TS5', (1920, 1080), 960 if decode_by_width else 1024),
    ):
        sample = dataset[index % len(dataset)]
        numbers = np.array([int(path[-10:-4]) for path in sample['target_img_path']])
        assert sample['target_img_path'][0].startswith(name)
        camera = sample['camera_param']
        assert (camera['w'], camera['h']) == size
        truth = relative(h36m(data[name]['data_3d'][numbers - 1]))
        np.testing.assert_allclose(1000 * sample['lifting_target'], truth, atol=1e-2)
        two = h36m(data[name]['data_2d'][numbers - 1])
        np.testing.assert_allclose(
            sample['keypoint_labels'][..., :2],
            two / size[0] * 2 - [1, size[1] / size[0]],
            atol=1e-5,
        )
        # what a model that learnt mm / 1024 would have to say
        said = (truth / 1024).astype(np.float32)
        sizes = [np.full(len(said), value) for value in size]
        decoded, _ = codec.decode(said, *sizes, sample['factor'])
        np.testing.assert_allclose(1000 * decoded, truth * unit / 1024, atol=1e-2)


def test_each_valid_frame_is_a_centre_once(tmp_path):
    data = files.test_data()
    dataset = build(files.write(tmp_path, test=data), test_mode=True)
    centres = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        counted = np.flatnonzero(info['lifting_target_visible'][:, 0])
        assert counted.tolist() == [4]
        centres.append(info['target_img_path'][4])
    assert centres == [
        f'{name}_{frame + 1:06d}.jpg'
        for name in ('TS1', 'TS5')
        for frame in np.flatnonzero(data[name]['valid'])
    ]


def test_windows_go_on_over_invalid_frames_and_stop_at_the_ends(tmp_path):
    data = files.test_data()
    data['TS1']['valid'][:] = 0
    data['TS1']['valid'][[1, 20, 39]] = 1
    dataset = build(files.write(tmp_path, test=data), test_mode=True)
    numbers = [
        [int(path[-10:-4]) for path in dataset.get_data_info(index)['img_paths']]
        for index in range(3)
    ]
    assert numbers[0] == [1, 1, 1, 1, 2, 3, 4, 5, 6]
    assert numbers[1] == list(range(17, 26))
    assert numbers[2] == [36, 37, 38, 39, 40, 40, 40, 40, 40]


def test_sequences_count_every_valid_frame_once(tmp_path):
    data = files.test_data()
    data['TS1']['valid'][9:18] = 0  # a clip with nothing to count is not read
    arguments = files.write(tmp_path, test=data)
    dataset = build(arguments, test_mode=True, center_target=False)
    counted = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        visible = info['lifting_target_visible'][:, 0] > 0
        counted += list(np.array(info['img_paths'])[visible])
    assert len(dataset) == 4 + 2
    assert counted == [
        f'{name}_{frame + 1:06d}.jpg'
        for name in ('TS1', 'TS5')
        for frame in np.flatnonzero(data[name]['valid'])
    ]


@pytest.mark.parametrize('test_mode', [False, True])
def test_mmposes_files_give_the_same_with_a_warning(tmp_path, monkeypatch, test_mode):
    said = []
    monkeypatch.setattr(
        mpi_inf_3dhp_dataset, 'print_log', lambda *args: said.append(args[0])
    )
    data = files.test_data() if test_mode else files.train_data()
    if test_mode:
        for entry in data.values():
            entry['valid'][:] = 1
    arguments = files.write(tmp_path, **{'test' if test_mode else 'train': data})
    theirs = build(arguments, test_mode=test_mode)
    assert not said
    np.savez(tmp_path / 'converted.npz', **files.converted(data))
    ours = build(
        {'data_root': str(tmp_path)}, ann_file='converted.npz', test_mode=test_mode
    )
    assert 'annot3' in said[0] and 'cannot be compared' in said[0]
    assert len(ours) == len(theirs)
    for index in (0, len(ours) - 1):
        mine, other = ours.get_data_info(index), theirs.get_data_info(index)
        assert mine['img_paths'] == other['img_paths']
        for key in ('keypoints', 'lifting_target', 'lifting_target_visible', 'factor'):
            np.testing.assert_allclose(mine[key], other[key], rtol=1e-5, err_msg=key)


def spoil(data, key, change):
    entry = data['TS5']
    entry[key] = change(entry[key])
    return data


def nan(array):
    array = array.copy()
    array.ravel()[40] = np.nan
    return array


@pytest.mark.parametrize(
    ('key', 'change', 'message'),
    [
        ('data_3d', lambda a: a[:-1], r"data_3d'\] of shape \(14, 17, 3\), found \(13"),
        ('data_2d', lambda a: a[:, :14], r"data_2d'\] of shape .*17.*\(14, 14, 2\)"),
        ('data_3d', lambda a: np.repeat(a, 2, 1), r'found \(14, 34, 3\)'),
        ('data_2d', nan, r"data_2d'\] is NaN .* 1 of 14 frames, first in frame 1"),
        ('data_3d', nan, r"data_3d'\] is NaN"),
        ('data_3d', np.zeros_like, r'holds no 3D joints, all are 0'),
        ('valid', lambda a: a[:-1], r"valid'\] of shape \(14\), found \(13,\)"),
        ('data_2d', lambda a: 'text', r"data_2d'\] to be numbers"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, key, change, message):
    arguments = files.write(tmp_path, test=spoil(files.test_data(), key, change))
    with pytest.raises(ValueError, match=message) as error:
        build(arguments, test_mode=True)
    assert 'data_test_3dhp.npz: ' in str(error.value)
    assert "data['TS5']" in str(error.value)


@pytest.mark.parametrize('key', ['data_2d', 'data_3d', 'valid'])
def test_a_missing_key_is_named(tmp_path, key):
    data = files.test_data()
    del data['TS5'][key]
    with pytest.raises(ValueError, match=rf"data\['TS5'\] lacks \['{key}'\]"):
        build(files.write(tmp_path, test=data), test_mode=True)


def test_nothing_to_test_is_an_error(tmp_path):
    data = files.test_data()
    for entry in data.values():
        entry['valid'][:] = 0
    with pytest.raises(ValueError, match='no frame is marked as valid'):
        build(files.write(tmp_path, test=data), test_mode=True)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        ({'walk': []}, r"a key of data like 'S1 Seq1', found 'walk'"),
        ({'TSx': {}}, "found 'TSx'"),
        ({'S1 Seq1': 4}, 'list of cameras and frame rate, found int'),
        ({'S1 Seq1': [5, 25]}, r"data\['S1 Seq1'\]\[0\] to be a dict"),
        ({'S1 Seq1': [{'0': 1}, 25]}, r"\['0'\] to be a dict"),
        ({}, 'holds no frames'),
        ([1], 'expected data to be a dict'),
    ],
)
def test_a_foreign_file_is_named(tmp_path, data, message):
    arguments = files.write(tmp_path, train=data if data != [1] else {'x': 1})
    if data == [1]:
        single = np.empty((), object)
        single[()] = [1]
        np.savez(tmp_path / 'data_train_3dhp.npz', data=single)
    with pytest.raises(ValueError, match=message):
        build(arguments)


def test_archives_of_another_kind_are_named(tmp_path):
    arguments = files.write(tmp_path)
    path = tmp_path / 'data_train_3dhp.npz'
    np.savez(path, pose=np.zeros(3))
    with pytest.raises(ValueError, match=r"the array 'data' \(P-STMO\).*'pose'"):
        build(arguments)
    np.savez(path, data=np.zeros(3))
    with pytest.raises(ValueError, match='one pickled object, found an array'):
        build(arguments)
    arrays = files.converted(files.train_data())
    for name, bad, message in (
        ('imgname', np.array(['x.jpg'] * len(arrays['part'])), "found 'x.jpg'"),
        ('imgname', np.zeros(len(arrays['part'])), 'imgname to be a list of texts'),
        ('S', arrays['S'][:-1], 'S of shape'),
        ('part', arrays['part'][..., :2], 'part of shape'),
        ('S', np.full_like(arrays['S'], np.nan), 'S is NaN'),
    ):
        np.savez(path, **{**arrays, name: bad})
        with pytest.raises(ValueError, match=message):
            build(arguments)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        build({'data_root': str(tmp_path), 'ann_file': 'absent.npz'})


class RunsCode:
    def __reduce__(self):
        return os.mkdir, ('made-by-a-pickle',)


@pytest.mark.parametrize('place', ['file', 'sequence', 'array'])
def test_a_hostile_file_raises_and_runs_nothing(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    data = files.test_data()
    if place == 'sequence':
        data['TS5'] = RunsCode()
    elif place == 'array':
        data['TS5']['data_3d'] = np.array([RunsCode()], dtype=object)
    arguments = files.write(tmp_path, test=RunsCode() if place == 'file' else data)
    with pytest.raises(ValueError, match=r'data_test_3dhp\.npz .*mkdir'):
        build(arguments, test_mode=True)
    assert not os.path.exists('made-by-a-pickle')
