from collections import Counter

import numpy as np
import pytest
import torch
from helpers.mocap import TRAIN_PIPELINE, VAL_PIPELINE
from mmpose.registry import DATASETS, KEYPOINT_CODECS
from torch.utils.data import DataLoader

from mmssm.datasets import EpochSampler, MocapDataset
from mmssm.datasets.mocap_clips import FOLDS, load_mocap_clips, mocap_file
from mmssm.geometry.cameras import project

FRAMES = {
    name: len(clip.joints) for name, clip in load_mocap_clips(mocap_file()).items()
}


def build(**kwargs):
    dataset = DATASETS.build({'type': 'mmssm.MocapDataset', **kwargs})
    EpochSampler(dataset, seed=0)  # a sampler tells the dataset of epochs
    return dataset


def infos(dataset):
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def test_a_sample_has_the_keys_and_shapes_of_human36m():
    info = build().get_data_info(0)
    shapes = {
        key: np.shape(info[key])
        for key in info
        if isinstance(info[key], np.ndarray | np.generic)
    }
    assert shapes == {
        'keypoints': (27, 17, 2),
        'keypoints_visible': (27, 17),
        'keypoints_3d': (27, 17, 3),
        'keypoints_3d_visible': (27, 17),
        'lifting_target': (27, 17, 3),
        'lifting_target_visible': (27, 17),
        'factor': (27,),
        'center': (1, 2),
        'scale': (),
        'dataset_keypoint_weights': (17,),
    }
    assert info['flip_indices'][1] == 4
    assert len(info['target_img_path']) == len(info['img_paths']) == 27


@pytest.mark.parametrize('test_mode', [False, True])
def test_2d_is_the_projection_of_3d(test_mode):
    info = build(test_mode=test_mode).get_data_info(3)
    camera = info['camera_param']
    np.testing.assert_allclose(
        project(info['lifting_target'], camera['f'], camera['c']),
        info['keypoints'],
        atol=1e-2,
    )
    assert info['lifting_target'][..., 2].min() > 1


@pytest.mark.parametrize(
    ('seq_len', 'center_target'), [(27, False), (81, False), (9, True)]
)
@pytest.mark.parametrize('fold', range(3))
def test_validation_counts_every_frame_once_per_camera(fold, seq_len, center_target):
    dataset = build(
        fold=fold, seq_len=seq_len, center_target=center_target, test_mode=True
    )
    counted = Counter()
    for info in infos(dataset):
        visible = info['lifting_target_visible'][:, 0] > 0
        assert (visible == info['lifting_target_visible'].T).all()
        counted.update(np.array(info['target_img_path'])[visible].tolist())
    assert set(counted.values()) == {1}
    assert len(counted) == 4 * sum(FRAMES[name] for name in FOLDS[fold])


def test_validation_is_always_the_same():
    first, again = (
        build(test_mode=True, pipeline=VAL_PIPELINE),
        build(test_mode=True, pipeline=VAL_PIPELINE),
    )
    np.random.seed(5)
    for index in (0, 7, len(first) - 1):
        np.testing.assert_array_equal(first[index]['inputs'], again[index]['inputs'])


def test_folds_do_not_mix():
    def actions(**kwargs):
        return {
            info['target_img_path'][0].split('_')[1].split('.')[0]
            for info in infos(build(fold=1, views=1, **kwargs))
        }

    assert len(actions()) == 10
    assert len(actions(test_mode=True)) == 5
    assert not actions() & actions(test_mode=True)


def test_training_draws_anew_for_each_epoch_and_repeats_exactly():
    dataset, other_seed = build(), build(seed=1)
    size = len(dataset)

    def keypoints(dataset, idx):
        return dataset.get_data_info(idx)['keypoints']

    first = keypoints(dataset, 5)
    np.testing.assert_array_equal(first, keypoints(build(), 5))
    assert np.abs(first - keypoints(dataset, size + 5)).max() > 1
    assert np.abs(first - keypoints(other_seed, 5)).max() > 1
    np.testing.assert_array_equal(
        keypoints(dataset, 3 * size + 5), keypoints(build(), 3 * size + 5)
    )


def test_a_window_has_views_from_different_cameras():
    dataset = build(views=3)
    names = [dataset.get_data_info(index)['img_paths'] for index in range(4)]
    assert names[0] == names[1] == names[2]
    assert names[2] != names[3]
    depths = [
        dataset.get_data_info(index)['keypoints_3d'][0, 0, 2] for index in range(3)
    ]
    assert len(set(depths)) == 3


def test_bodies_differ_within_their_range():
    def thigh(info):
        return np.linalg.norm(info['keypoints_3d'][:, 2] - info['keypoints_3d'][:, 1])

    lengths = np.array([thigh(info) for info in infos(build(views=1))])
    shortest, longest = 0.4215 * np.sqrt(27) * np.array([0.95 * 0.94, 1.2 * 1.06])
    assert lengths.min() > shortest * 0.999
    assert lengths.max() < longest * 1.001
    assert lengths.std() > 0.1


def test_the_actor_stays_in_the_picture():
    for test_mode in (False, True):
        keypoints = np.stack(
            [info['keypoints'] for info in infos(build(test_mode=test_mode, views=1))]
        )
        outside = ((keypoints < 0) | (keypoints >= 1000)).any(-1)
        assert outside.mean() < 0.002


@pytest.mark.parametrize('test_mode', [False, True])
def test_a_looped_runner_does_not_pass_the_cameras(test_mode):
    for seed in range(3):
        dataset = build(seq_len=81, fold=1 if test_mode else 0, test_mode=test_mode)
        dataset.seed = seed
        depths = [info['keypoints_3d'][..., 2].min() for info in infos(dataset)]
        assert min(depths) > 0.5


def test_a_clip_shorter_than_the_window_loops_or_stands_still():
    dataset = build(seq_len=81, views=1, fold=0)
    shapes = {}
    for info in infos(dataset):
        name = info['target_img_path'][0].split('_')[1].split('.')[0]
        shapes[name] = info
    run, kick = shapes['Run'], shapes['Kick']
    assert run['img_ids'][40:43] == [0, 1, 2]
    assert run['lifting_target_visible'][:, 0].tolist() == [1] * 40 + [0] * 41
    assert kick['img_ids'][-5:] == [76] * 5
    assert kick['lifting_target_visible'][:, 0].tolist() == [1] * 77 + [0] * 4


def test_center_target_is_the_middle_frame():
    dataset = build(seq_len=9, center_target=True, test_mode=True)
    info = dataset.get_data_info(0)
    assert info['lifting_target'].shape == (1, 17, 3)
    np.testing.assert_array_equal(info['lifting_target'], info['keypoints_3d'][4:5])
    assert info['img_ids'] == [0, 0, 0, 0, 0, 1, 2, 3, 4]
    assert info['target_img_path'][0].endswith('_000001.jpg')


def test_motionbert_decodes_what_it_encodes():
    dataset = build(pipeline=TRAIN_PIPELINE)
    plain = build()
    codec = KEYPOINT_CODECS.build(VAL_PIPELINE[1]['encoder'])
    for index in range(4):
        sample = dataset[index]
        assert sample['inputs'].shape == (27, 17, 3)
        assert sample['inputs'].abs().max() < 1.5
        data = sample['data_samples']
        label = data.gt_instance_labels.lifting_target_label.numpy()
        size = {key: np.array([[data.camera_param[key]]]) for key in ('w', 'h')}
        pose, _ = codec.decode(label[None], factor=data.factor[None], **size)
        target = plain.get_data_info(index)['lifting_target']
        depth = (target - target[:, :1])[..., 2]
        mirrored = depth[:, data.flip_indices]
        error = min(
            np.abs(pose[0, ..., 2] - wanted).max() for wanted in (depth, mirrored)
        )
        assert error < 1e-4


@pytest.mark.parametrize('center_target', [False, True])
def test_mmposes_video_codec_takes_the_samples(center_target):
    codec = {
        'type': 'VideoPoseLifting',
        'num_keypoints': 17,
        'zero_center': True,
        'root_index': 0,
        'remove_root': False,
    }
    dataset = build(
        center_target=center_target,
        pipeline=[{'type': 'GenerateTarget', 'encoder': codec}, VAL_PIPELINE[-1]],
    )
    sample = dataset[0]
    label = sample['data_samples'].gt_instance_labels.lifting_target_label
    assert sample['inputs'].shape == (34, 27)
    assert label.shape == (1 if center_target else 27, 17, 3)
    assert label[:, 0].abs().max() == 0


def load_epoch(num_workers, epoch):
    dataset = MocapDataset(seq_len=9, stride=27, views=1, pipeline=TRAIN_PIPELINE)
    sampler = EpochSampler(dataset, seed=3)
    sampler.set_epoch(epoch)
    loader = DataLoader(
        dataset,
        batch_size=8,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=lambda batch: torch.stack([sample['inputs'] for sample in batch]),
    )
    return torch.cat(list(loader))


def test_batches_do_not_depend_on_the_number_of_workers():
    expected = load_epoch(0, epoch=2)
    assert torch.equal(load_epoch(2, epoch=2), expected)
    assert not torch.equal(load_epoch(0, epoch=3), expected)


def test_without_epochs_every_access_is_another_draw():
    dataset = MocapDataset(pipeline=[])
    np.random.seed(0)
    first, second = dataset[0]['keypoints'], dataset[0]['keypoints']
    assert np.abs(first - second).max() > 1
    np.random.seed(0)
    np.testing.assert_array_equal(dataset[0]['keypoints'], first)


def test_the_callers_random_state_is_left_alone():
    dataset = build(pipeline=TRAIN_PIPELINE)
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    dataset[0]
    assert np.random.rand() == expected


def test_the_last_sample_can_be_counted_from_the_end():
    dataset = build(pipeline=TRAIN_PIPELINE)
    np.testing.assert_array_equal(
        dataset[-1]['inputs'], dataset[len(dataset) - 1]['inputs']
    )


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='does not exist; install mmssm'):
        MocapDataset(ann_file=str(tmp_path / 'none.npz'))


def test_iterating_ends_after_one_epoch():
    dataset = build(seq_len=27, stride=81, views=1)
    assert sum(1 for _ in dataset) == len(dataset)


@pytest.mark.parametrize('name', ['seq_len', 'stride', 'views'])
def test_an_argument_out_of_range_is_named(name):
    with pytest.raises(ValueError, match=f'{name} must be at least 1, got 0'):
        MocapDataset(**{name: 0})
