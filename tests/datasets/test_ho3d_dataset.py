import json
import os
import pickle

import numpy as np
import pytest
import torch
from helpers import hands, ho3d
from helpers.hand_model import hand_arrays
from helpers.modules import load_script
from mmengine.registry import DATASETS

from mmssm.geometry.hand_model import load_hand_model
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.geometry.skinning import pose_hand
from mmssm.structures import hand

KIND = {'type': 'mmssm.HO3DDataset', 'serialize_data': False}


def build(folder, frames=None, version='v3', split='train', **changes):
    arguments = ho3d.write(folder, frames, version, split)
    return DATASETS.build({**KIND, **arguments, **changes})


@pytest.mark.parametrize('version', ['v2', 'v3', 'h2o3d'])
def test_training_samples_hold_what_the_files_hold(tmp_path, version):
    frames = ho3d.data(version)
    dataset = build(tmp_path, frames, version)
    sides = ['right', 'left'] if version == 'h2o3d' else ['right']
    wanted = [(place, side) for place in (0, 2) for side in sides]
    assert len(dataset) == len(wanted)
    for sample, (place, side) in zip(dataset, wanted, strict=True):
        meta = frames[ho3d.FRAMES[place]]
        prefix = f'{side}Hand' if version == 'h2o3d' else 'hand'
        assert sample['img_id'] == place
        sequence, frame = ho3d.FRAMES[place].split('/')
        ending = 'png' if version == 'v2' else 'jpg'
        assert sample['img_path'].endswith(f'train/{sequence}/rgb/{frame}.{ending}')
        assert os.path.isfile(sample['img_path'])
        joints = sample['keypoints_cam'][0]
        # OpenGL's camera, MANO's order
        np.testing.assert_allclose(
            hands.as_order(joints, 'mano') * ho3d.OPENGL,
            meta[f'{prefix}Joints3D'],
            rtol=1e-5,
        )
        assert joints[:, 2].min() > 0
        assert (hand.chirality(joints) > 0) == (side == 'right')
        np.testing.assert_allclose(
            sample['keypoints'][0], hands.project(joints, ho3d.K), atol=1e-2
        )
        assert sample['hand_type'].tolist() == [[side == 'right', side == 'left']]
        assert sample['has_mano_pose'] == 1
        np.testing.assert_allclose(
            sample['mano_pose'][0, 3:], meta[f'{prefix}Pose'][3:], rtol=1e-6
        )
        assert sample['has_betas'] == (side == 'right')
        if side == 'right':
            np.testing.assert_allclose(sample['mano_betas'][0], meta['handBeta'])


def test_the_wrist_is_turned_into_opencvs_frame(tmp_path):
    frames = ho3d.data()
    sample = build(tmp_path, frames)[0]
    np.savez(tmp_path / 'hand.npz', **hand_arrays())
    model = load_hand_model(tmp_path / 'hand.npz', torch.float64)

    def vertices(pose):
        turns = torch.from_numpy(np.float64(pose)).reshape(1, 16, 3)
        found = pose_hand(model, axis_angle_to_matrix(turns))
        return (found.vertices - found.joints[:, :1])[0].numpy()

    stored = vertices(frames[ho3d.FRAMES[0]]['handPose'])
    np.testing.assert_allclose(
        vertices(sample['mano_pose']), stored * ho3d.OPENGL, atol=1e-6
    )


def test_of_evaluation_images_the_wrist_alone_is_known(tmp_path):
    frames = ho3d.data(split='evaluation')
    dataset = build(tmp_path, frames, split='evaluation')
    sample = dataset[1]
    assert [one['img_id'] for one in dataset] == [0, 2]
    root = frames[ho3d.FRAMES[2]]['handJoints3D'] * ho3d.OPENGL
    np.testing.assert_allclose(sample['keypoints_cam'][0, 0], root, rtol=1e-6)
    np.testing.assert_array_equal(sample['keypoints_visible'], np.eye(1, 21))
    np.testing.assert_array_equal(sample['bbox'], [[200, 100, 400, 350]])
    np.testing.assert_allclose(
        sample['keypoints'][0, 0], hands.project(root, ho3d.K), rtol=1e-5
    )
    assert sample['has_mano_pose'] == 0 and sample['has_betas'] == 0


def test_public_evaluation_files_are_read_in_the_lists_order(tmp_path):
    rng = np.random.default_rng(1)
    joints = np.stack([hands.pose(rng) / 1000 for _ in ho3d.FRAMES])
    stored = np.stack([hands.as_order(one, 'mano') for one in joints]) * ho3d.OPENGL
    (tmp_path / 'evaluation_xyz.json').write_text(json.dumps(stored.tolist()))
    vertices = rng.normal(size=(3, 7, 3))
    (tmp_path / 'evaluation_verts.json').write_text(json.dumps(vertices.tolist()))
    dataset = build(tmp_path, split='evaluation', with_vertices=True)
    for sample, place in zip(dataset, (0, 2), strict=True):
        np.testing.assert_allclose(sample['keypoints_cam'][0], joints[place], rtol=1e-5)
        assert sample['keypoints_visible'].all()
        np.testing.assert_allclose(
            sample['vertices'][0], vertices[place] * ho3d.OPENGL, rtol=1e-5
        )
    with pytest.raises(ValueError, match='published for the evaluation of v2 and v3'):
        build(tmp_path, with_vertices=True)


@pytest.mark.parametrize('version', ['v3', 'h2o3d'])
def test_an_index_says_the_same(tmp_path, version, capsys):
    one = build(tmp_path, version=version)
    tool = load_script('tools/dataset_converters/ho3d_index.py')
    tool.main([str(tmp_path), '--version', version])
    assert f'wrote {len(one)} hands of 3 images' in capsys.readouterr().out
    arguments = {'data_root': str(tmp_path), 'version': version, 'split': 'train'}
    other = DATASETS.build({**KIND, **arguments, 'index_file': 'index_train.npz'})
    assert other.hands.total == 3
    for first, second in zip(one, other, strict=True):
        for key in set(first) - {'dataset'}:
            np.testing.assert_array_equal(first[key], second[key], err_msg=key)
    with pytest.raises(SystemExit, match=r'ends in \.npz'):
        tool.main([str(tmp_path), '--version', version, '--out', 'a.txt'])
    with pytest.raises(SystemExit, match=r'evaluation\.txt does not exist'):
        tool.main([str(tmp_path), '--version', version, '--split', 'evaluation'])


def test_an_index_leads_out_of_no_folder(tmp_path):
    build(tmp_path)
    tool = load_script('tools/dataset_converters/ho3d_index.py')
    tool.main([str(tmp_path), '--version', 'v3'])
    path = tmp_path / 'index_train.npz'
    arrays = dict(np.load(path))
    arrays['image'] = np.array(['../../secret.jpg', 'b.jpg'])
    np.savez(path, **arrays)
    arguments = {'data_root': str(tmp_path), 'index_file': path.name}
    with pytest.raises(ValueError, match=r'image 0 names .*secret.* outside of the'):
        DATASETS.build({**KIND, **arguments})


class Hostile:
    def __reduce__(self):
        return os.system, ('touch hostile',)


def drop(key):
    return lambda frames: frames[ho3d.FRAMES[0]].pop(key)


def put(key, value):
    return lambda frames: frames[ho3d.FRAMES[0]].__setitem__(key, value)


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (drop('camMat'), r"0000\.pkl: the file lacks \['camMat'\]"),
        (drop('handJoints3D'), r"0000\.pkl: the file lacks \['handJoints3D'\]"),
        (put('handJoints3D', np.zeros((20, 3))), r'handJoints3D of shape \(21, 3\)'),
        (put('handPose', np.zeros(45)), r'0000\.pkl: expected handPose of shape'),
        (put('handPose', np.full(48, np.nan)), 'handPose is NaN'),
        (put('camMat', np.zeros((3, 3))), 'camMat of entry 0 is no pinhole'),
        (put('handBeta', Hostile()), r'0000\.pkl .*asks for posix\.system'),
        (lambda frames: frames.clear(), r'train\.txt names no images'),
    ],
)
def test_what_does_not_hold_is_named(tmp_path, monkeypatch, spoil, message):
    monkeypatch.chdir(tmp_path)
    frames = ho3d.data()
    spoil(frames)
    with pytest.raises(ValueError, match=message):
        build(tmp_path, frames)
    assert not (tmp_path / 'hostile').exists()


@pytest.mark.parametrize('key', ['handPose', 'handBeta'])
def test_a_hand_without_pose_or_shape_keeps_its_joints(tmp_path, key):
    frames = ho3d.data()
    frames[ho3d.FRAMES[0]][key] = None
    frames[ho3d.FRAMES[2]].pop(key)
    for sample in build(tmp_path, frames):
        assert sample['has_mano_pose'] == (key != 'handPose')
        assert sample['has_betas'] == (key != 'handBeta')
        assert sample['keypoints_visible'].all()


def test_lists_and_arguments_are_checked(tmp_path):
    ho3d.write(tmp_path)
    settings = {**KIND, 'data_root': str(tmp_path)}
    for name in ('../SM1/0000', '/etc/0000', 'SM1\\..\\0000'):
        (tmp_path / 'train.txt').write_text(name)
        with pytest.raises(ValueError, match='outside of the folder'):
            DATASETS.build(settings)
    (tmp_path / 'train.txt').write_text('SM1')
    with pytest.raises(ValueError, match="entry 1 like 'SM1/0000'"):
        DATASETS.build(settings)
    (tmp_path / 'train.txt').write_text('SM1/0001')
    with pytest.raises(ValueError, match='no annotated hand of train'):
        DATASETS.build(settings)
    with pytest.raises(ValueError, match=r"expected a version .* got 'v4'"):
        DATASETS.build({**settings, 'version': 'v4'})


def test_protocol_two_pickles_of_python_two_are_read(tmp_path):
    frames = ho3d.data()
    path = tmp_path / 'train/SM1/meta/0000.pkl'
    ho3d.write(tmp_path, frames)
    path.write_bytes(pickle.dumps(frames[ho3d.FRAMES[0]], 0))
    settings = {**KIND, 'data_root': str(tmp_path), 'version': 'v3'}
    assert len(DATASETS.build(settings)) == 2
