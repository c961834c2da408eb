import json

import numpy as np
import pytest
from helpers import freihand
from helpers.hand_model import hand_arrays
from mmengine.registry import DATASETS

from mmssm.datasets.datasets import freihand_dataset
from mmssm.geometry.hand_model import free_hand_file, load_hand_model
from mmssm.structures.hand import chirality

KIND = {'type': 'mmssm.FreiHAND3DDataset', 'serialize_data': False}


def build(folder, contents=None, **changes):
    arguments = freihand.write(folder, contents)
    return DATASETS.build({**KIND, **arguments, **changes})


def test_samples_hold_what_the_files_hold(tmp_path):
    contents = freihand.data()
    dataset = build(
        tmp_path, contents, with_vertices=True, with_mano=True, hand_model='free_hand'
    )
    mean = load_hand_model(free_hand_file()).hands_mean.numpy().reshape(-1)
    assert mean.any()
    # four versions of three images
    assert len(dataset) == 12
    for index in range(len(dataset)):
        sample, row = dataset[index], index % 3
        assert sample['img_path'].endswith(f'training/rgb/{index:08d}.jpg')
        assert sample['img_id'] == index and sample['image_size'] == (64, 64)
        K = np.array(contents['K'][row])
        joints = sample['keypoints_cam'][0]
        np.testing.assert_allclose(joints, contents['xyz'][row], rtol=1e-6)
        np.testing.assert_allclose(sample['focal'][0], K[[0, 1], [0, 1]])
        np.testing.assert_allclose(sample['principal_pt'][0], K[:2, 2])
        flat = joints @ K.T
        np.testing.assert_allclose(
            sample['keypoints'][0], flat[:, :2] / flat[:, 2:], atol=1e-4
        )
        low, high = sample['bbox'][0, :2], sample['bbox'][0, 2:]
        np.testing.assert_allclose(sample['keypoints'][0].min(0), low)
        np.testing.assert_allclose(sample['keypoints'][0].max(0), high)
        np.testing.assert_array_equal(sample['hand_type'], [[1, 0]])
        assert sample['keypoints_visible'].tolist() == [[1] * 21]
        assert chirality(joints) > 0
        np.testing.assert_allclose(
            sample['vertices'][0], contents['verts'][row], rtol=1e-6
        )
        mano = np.array(contents['mano'][row][0])
        # the file's poses are relative to the mean pose, samples are not
        pose = np.concatenate([mano[:3], mano[3:48] + mean])
        np.testing.assert_allclose(sample['mano_pose'][0], pose, rtol=1e-5)
        np.testing.assert_allclose(sample['mano_betas'][0], mano[48:58], rtol=1e-6)
        assert sample['has_mano_pose'] == 1 and sample['has_betas'] == 1
        root = dataset.metainfo['root_index']
        assert sample['root_index'] == root == 0


def test_without_the_hand_model_poses_are_masked(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        freihand_dataset, 'print_log', lambda text, *_: said.append(text)
    )
    sample = build(tmp_path, with_mano=True)[0]
    assert 'mano_pose' not in sample
    assert sample['has_mano_pose'] == 0 and sample['has_betas'] == 1
    assert sample['mano_betas'].shape == (1, 10)
    assert len(said) == 1 and 'give hand_model=' in said[0]
    with pytest.raises(FileNotFoundError, match=r'MANO_RIGHT\.pkl does not exist'):
        build(tmp_path, with_mano=True, hand_model='MANO_RIGHT.pkl')


def test_a_model_of_another_hand_is_refused(tmp_path):
    path = tmp_path / 'four.npz'
    np.savez(path, **hand_arrays(parents=(-1, 0, 1, 2)))
    with pytest.raises(ValueError, match=r'four\.npz: expected hands_mean of 45'):
        build(tmp_path / 'set', with_mano=True, hand_model=str(path))


def test_a_pose_that_is_nan_is_named(tmp_path):
    contents = freihand.data()
    contents['mano'][1][0][7] = float('nan')
    with pytest.raises(ValueError, match=r'entry 1 .* its mano_pose is NaN'):
        build(tmp_path, contents, with_mano=True, hand_model='free_hand')


def test_units_are_metres_and_pixels(tmp_path):
    dataset = build(tmp_path)
    joints = dataset[0]['keypoints_cam'][0]
    assert 0.07 < np.linalg.norm(joints[9] - joints[0]) < 0.11
    assert 0.4 < joints[0, 2] < 0.8


def test_versions_splits_and_boxes_are_chosen(tmp_path):
    assert len(build(tmp_path, versions=(0, 2))) == 6
    dataset = build(tmp_path, versions=[3], bbox='image')
    assert dataset[0]['img_id'] == 9
    np.testing.assert_array_equal(dataset[0]['bbox'], [[0, 0, 64, 64]])
    (tmp_path / 'training/rgb/00000003.jpg').unlink()
    some = DATASETS.build({**KIND, 'data_root': str(tmp_path)})
    assert {some[i]['img_id'] // 3 for i in range(len(some))} == {0, 2, 3}
    folder = tmp_path / 'eval'
    arguments = freihand.write(folder, freihand.data(5), 'evaluation', 1)
    test = DATASETS.build(
        {
            **KIND,
            **arguments,
            'test_mode': True,
        }
    )
    assert len(test) == 5


def test_the_root_is_chosen_by_name(tmp_path):
    dataset = build(tmp_path, metainfo=dict(root_joint='middle_finger1'))
    assert dataset.metainfo['root_index'] == 9 == dataset[0]['root_index']
    assert dataset.metainfo['dataset_name'] == 'freihand3d'
    with pytest.raises(ValueError, match="no root_joint 'elbow'"):
        build(tmp_path, metainfo=dict(root_joint='elbow'))


def change(name, row, value):
    def spoil(contents):
        contents[name][row] = value

    return spoil


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (
            lambda c: c['xyz'].pop(),
            r'training_K\.json: expected K of shape \(2, 3, 3\)',
        ),
        (
            change('xyz', 1, [[0.1, 0.1, 0.5]] * 20),
            r'training_xyz\.json: xyz is no arr',
        ),
        (
            lambda c: c.update(xyz=[x[:20] for x in c['xyz']]),
            r'training_xyz\.json: expected xyz of shape \(frames, 21, 3\)',
        ),
        (
            change('K', 2, [[0] * 3] * 3),
            r'training_K\.json: K of entry 2 is no pinhole',
        ),
        (
            change('xyz', 1, [[0.1, 0.1, float('nan')]] * 21),
            r'training_xyz\.json: entry 1 \(.*00000001\.jpg\): its 3D joints are NaN',
        ),
        (
            change('xyz', 2, [[0.1, 0.1, 0.5]] * 21),
            r'entry 2 \(.*00000002\.jpg\): its box has no size; the same holds for 3',
        ),
        (
            change('xyz', 0, [[0.1 * i, 0.1, -0.5] for i in range(21)]),
            r'entry 0 .*behind the camera',
        ),
        (lambda c: c.pop('K'), r'training_K\.json does not exist; docs/datasets/freih'),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, spoil, message):
    contents = freihand.data()
    spoil(contents)
    arguments = {'data_root': str(tmp_path)}
    freihand.write(tmp_path, contents)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        DATASETS.build({**KIND, **arguments})


def test_bad_entries_are_skipped_if_the_config_says_so(tmp_path, caplog):
    contents = freihand.data()
    contents['xyz'][1] = [[0.1, 0.1, 0.5]] * 21
    dataset = build(tmp_path, contents, invalid='skip')
    assert [dataset[i]['img_id'] % 3 for i in range(len(dataset))] == [0, 2] * 4
    contents['xyz'] = [[[0.1, 0.1, 0.5]] * 21] * 3
    with pytest.raises(ValueError, match='holds no hand that can be used'):
        build(tmp_path, contents, invalid='skip')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'split': 'test'}, "split must be 'training' or 'evaluation', got 'test'"),
        ({'bbox': 'mask'}, "bbox must be .*, got 'mask'"),
        ({'versions': (4,)}, r'versions must be out of \[0, 1, 2, 3\]'),
        ({'versions': ()}, 'nothing to read'),
        ({'invalid': 'ignore'}, "invalid must be 'raise' or 'skip'"),
    ],
)
def test_arguments_are_checked(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        DATASETS.build({**KIND, **changes})


def test_no_images_and_no_json_are_named(tmp_path):
    freihand.write(tmp_path, versions=0)
    settings = {
        **KIND,
        'data_root': str(tmp_path),
    }
    with pytest.raises(FileNotFoundError, match=r'no images in .*training/rgb'):
        DATASETS.build(settings)
    with pytest.raises(ValueError, match='does not say how large'):
        DATASETS.build({**settings, 'versions': (0,), 'bbox': 'image'})
    path = tmp_path / 'training_K.json'
    path.write_text(json.dumps(json.loads(path.read_text()))[:-9])
    with pytest.raises(ValueError, match=r'training_K\.json .* damaged or cut short'):
        DATASETS.build(settings)
