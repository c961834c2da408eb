import numpy as np
import pytest
from helpers import coco_hands, dexycb, freihand, hamer, ho3d
from helpers.modules import ROOT
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS

from mmssm.datasets.metainfo import hand_metainfo

CONFIGS = ROOT / 'configs/_base_'


def read_pipeline(name):
    return Config.fromfile(CONFIGS / 'pipelines/hand_mesh.py')[name]


def settings(parts, weights, **changes):
    return {
        'type': 'mmssm.WeightedCombinedDataset',
        'metainfo': hand_metainfo('mixture'),
        'datasets': parts,
        'weights': weights,
        'num_samples': 1000,
        **changes,
    }


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    """One small set of each kind, in the mixture's own first steps."""
    folder = tmp_path_factory.mktemp('parts')
    hamer.write_tar(folder / 'tars/0.tar')
    people = [coco_hands.person(np.random.default_rng(0), 'coco')[0]]
    people = coco_hands.write_people(folder / 'coco', 'coco', people)
    found = {
        'FreiHAND3DDataset': {
            **freihand.write(folder / 'freihand'),
            'with_mano': True,
            'hand_model': 'free_hand',
        },
        'HandMeshTarDataset': {'data_root': str(folder / 'tars')},
        'Hand2DDataset': {
            'dataset': {'type': 'CocoWholeBodyDataset', **people},
            'hands': coco_hands.STARTS['coco'],
        },
        'HO3DDataset': ho3d.write(folder / 'h2o3d', version='h2o3d'),
        'DexYCBDataset': {
            **dexycb.write(folder / 'dexycb', subjects=(6,), cameras=(0, 1)),
            'setup': 's1',
            'split': 'val',
            'with_mano': True,
        },
    }
    box = read_pipeline('box')
    return [
        {'type': f'mmssm.{name}', 'serialize_data': False, **one, 'pipeline': box}
        for name, one in found.items()
    ]


def test_parts_have_their_weights_whatever_their_sizes(parts):
    dataset = DATASETS.build(settings(parts, [2, 1, 1, 0, 4]))
    assert dataset.lens == [250, 125, 125, 0, 500] and len(dataset) == 1000
    drawn = {}
    for index in range(0, 1000, 5):
        part, place = dataset._get_subset_index(index)
        assert 0 <= place < len(dataset.datasets[part])
        drawn.setdefault(part, set()).add(place)
    assert {part: len(places) for part, places in drawn.items()} == {
        part: len(dataset.datasets[part]) for part in (0, 1, 2, 4)
    }


def test_samples_of_all_parts_stand_in_one_batch(parts):
    pipeline = read_pipeline('augmented')
    dataset = DATASETS.build(
        settings(parts, [1] * len(parts), num_samples=50, pipeline=pipeline)
    )
    np.random.seed(0)
    items = [dataset[index] for index in range(0, 50, 5)]
    assert {tuple(item['inputs'].shape) for item in items} == {(3, 256, 256)}
    labels = [item['data_samples'].gt_instance_labels for item in items]
    for one in labels:
        shapes = {key: tuple(value.shape) for key, value in one.items()}
        assert shapes == {key: tuple(value.shape) for key, value in labels[0].items()}
    known = {
        key: {bool(one.get(key).any()) for one in labels}
        for key in ('has_mano_pose', 'has_betas', 'joints_3d_weights')
    }
    assert all(both == {True, False} for both in known.values())
    assert all(one.keypoints_2d_weights.any() for one in labels)
    # left hands are mirrored, and only they
    for item in items:
        sample = item['data_samples']
        assert sample.metainfo.get('crop_mirrored', False) == bool(
            sample.hand_type[0, 1]
        )


def test_metrics_find_the_images_own_annotations(tmp_path):
    pipeline = Config.fromfile(
        CONFIGS / 'pipelines/hand_mesh.py'
    ).hand_mesh_val_pipeline
    kind = {'type': 'mmssm.FreiHAND3DDataset', 'with_vertices': True}
    dataset = DATASETS.build(
        {**kind, **freihand.write(tmp_path), 'pipeline': pipeline, 'test_mode': True}
    )
    info, sample = dataset.get_data_info(1), dataset[1]['data_samples']
    for name in ('keypoints', 'keypoints_cam', 'vertices', 'keypoints_visible'):
        np.testing.assert_array_equal(sample.gt_instances.get(name), info[name])
    np.testing.assert_array_equal(sample.gt_instances.bboxes, info['bbox'])
    for name in ('focal', 'principal_pt', 'hand_type'):
        np.testing.assert_array_equal(sample.metainfo[name], info[name])
    # the crop is not turned, so its labels are those of the image
    labels = sample.gt_instance_labels
    np.testing.assert_allclose(labels.joints_3d, info['keypoints_cam'], rtol=1e-6)
    size = np.array(sample.input_scale)
    made = labels.keypoints_2d.numpy() * size + sample.input_center
    np.testing.assert_allclose(made, info['keypoints'], atol=1e-2)


def test_an_image_without_annotations_passes(tmp_path):
    """As in a demo: a box, and which hand it is."""
    freihand.write(tmp_path)
    pipeline = Config.fromfile(
        CONFIGS / 'pipelines/hand_mesh.py'
    ).hand_mesh_val_pipeline
    steps = Compose(pipeline)
    sample = steps(
        {
            'img_path': str(tmp_path / 'training/rgb/00000000.jpg'),
            'bbox': np.array([[10, 10, 50, 60]], np.float32),
            'hand_type': np.array([[0, 1]], np.float32),
        }
    )['data_samples']
    assert sample.crop_mirrored
    labels = sample.gt_instance_labels
    for name in ('keypoints_2d_weights', 'joints_3d_weights', 'has_mano_pose'):
        assert not labels.get(name).any()


@pytest.mark.parametrize(
    ('weights', 'samples', 'message'),
    [
        ([1], 10, 'expected a weight for each of 2 datasets, got 1'),
        ([1, -1], 10, 'weights that are not negative'),
        ([0, 0], 10, 'nor all 0'),
        ([1, 1], 0, 'num_samples of 1 or more'),
    ],
)
def test_weights_are_checked(parts, weights, samples, message):
    with pytest.raises(ValueError, match=message):
        DATASETS.build(settings(parts[:2], weights, num_samples=samples))


@pytest.mark.parametrize('name', ['hand_mesh_mixture', 'hand_mesh_mixture_tars'])
def test_configs_have_the_papers_weights(name):
    dataset = Config.fromfile(CONFIGS / f'datasets/{name}.py').train_dataloader.dataset
    assert dataset.weights == [0.25, 0.25, 0.1, 0.1] + 6 * [0.05]
    assert sum(dataset.weights) == pytest.approx(1)
    assert len(dataset.datasets) == 10
