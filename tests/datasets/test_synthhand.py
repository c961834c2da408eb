import filecmp
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.modules import load_script

from mmssm.datasets.datasets import FreiHAND3DDataset, NYUHandDataset
from mmssm.datasets.synthhand import poses, samples
from mmssm.datasets.synthhand.depth_maps import nyu_joints
from mmssm.datasets.synthhand.files import NAME, write_synthhand
from mmssm.datasets.synthhand.meshes import box, cylinder, ellipsoid, forearm
from mmssm.datasets.synthhand.scenes import SceneSampler
from mmssm.geometry.hand_model import free_hand_file, load_hand_model
from mmssm.geometry.rasterizer import rasterize
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.geometry.skinning import pose_hand
from mmssm.structures import hand

tool = load_script('tools/dataset_converters/synthhand.py')

COUNTS = {'training': 4, 'evaluation': 2}


@pytest.fixture(scope='module')
def model():
    return load_hand_model(free_hand_file(), torch.float64)


@pytest.fixture(scope='module')
def rgb(tmp_path_factory):
    out = tmp_path_factory.mktemp('rgb') / 'set'
    arguments = ['--num', '4', '--num-evaluation', '2', '--seed', '7', '--workers', '2']
    assert tool.main(['--out', str(out), *arguments]) == 0
    return out


def test_samples_parameters_give_the_stored_mesh(rgb, model):
    for split in COUNTS:
        dataset = FreiHAND3DDataset(
            data_root=str(rgb),
            split=split,
            with_vertices=True,
            with_mano=True,
            hand_model='free_hand',
        )
        for sample in dataset:
            assert sample['has_mano_pose'] == 1 and sample['has_betas'] == 1
            assert sample['vertices'].shape == (1, model.num_vertices, 3)
            pose = torch.from_numpy(sample['mano_pose']).double().reshape(1, 16, 3)
            betas = torch.from_numpy(sample['mano_betas']).double()
            posed = pose_hand(model, axis_angle_to_matrix(pose), betas)
            made = (posed.vertices - posed.joints[:, :1]).numpy()
            stored = sample['vertices'] - sample['keypoints_cam'][:, :1]
            np.testing.assert_allclose(made, stored, atol=1e-6)


@pytest.fixture(scope='module')
def depth(tmp_path_factory):
    out = tmp_path_factory.mktemp('depth') / 'set'
    arguments = ['--num', '3', '--variant', 'depth', '--workers', '1']
    assert tool.main(['--out', str(out), *arguments]) == 0
    return out


def column(root, split, name):
    return np.array(json.loads((root / f'{split}_{name}.json').read_text()))


def tree(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file())


def same_files(one, other):
    names = tree(one)
    assert names == tree(other)
    _, different, failed = filecmp.cmpfiles(one, other, names, shallow=False)
    return not different and not failed


def test_freihands_layout(rgb):
    names = [NAME]
    for split, count in COUNTS.items():
        names += [
            f'{split}_{name}.json' for name in ('K', 'xyz', 'verts', 'mano', 'scale')
        ]
        for kind in ('rgb', 'mask'):
            names += [f'{split}/{kind}/{i:08d}.jpg' for i in range(count)]
    assert tree(rgb) == sorted(names)
    for split, count in COUNTS.items():
        assert column(rgb, split, 'K').shape == (count, 3, 3)
        assert column(rgb, split, 'xyz').shape == (count, 21, 3)
        assert column(rgb, split, 'verts').shape == (count, 1159, 3)
        assert column(rgb, split, 'mano').shape == (count, 1, 61)
        xyz = column(rgb, split, 'xyz')
        np.testing.assert_allclose(
            column(rgb, split, 'scale'),
            np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1),
            atol=1e-6,
        )
    facts = json.loads((rgb / NAME).read_text())
    assert facts == {
        'variant': 'rgb',
        'seed': 7,
        'max_turn': 180.0,
        'images': COUNTS,
        'hand': 'free',
    }


def test_images_differ_and_have_their_size(rgb):
    pictures = [
        cv2.imread(str(rgb / split / 'rgb' / f'{i:08d}.jpg'))
        for split, count in COUNTS.items()
        for i in range(count)
    ]
    for number, picture in enumerate(pictures):
        assert picture.shape == (224, 224, 3)
        assert picture.std() > 8
        for other in pictures[:number]:
            assert np.abs(picture.astype(int) - other).mean() > 5


def test_mano_rows_give_the_vertices_and_joints(rgb, model):
    """As FreiHAND's toolkit: mean pose added, joint 9 put on the stored root."""
    for split in COUNTS:
        rows = column(rgb, split, 'mano')[:, 0]
        K, xyz = column(rgb, split, 'K'), column(rgb, split, 'xyz')
        turns = torch.from_numpy(rows[:, :48].reshape(-1, 16, 3)).clone()
        turns[:, 1:] += model.hands_mean
        betas = torch.from_numpy(rows[:, 48:58])
        posed = pose_hand(model, axis_angle_to_matrix(turns), betas)
        tips = posed.vertices[:, list(model.tips)]
        joints = torch.cat([posed.joints, tips], 1).numpy()
        joints = hand.reorder(joints, 'mano')
        uv, scale = rows[:, 58:60], rows[:, 60:]
        focal = K[:, [0, 1], [0, 1]].mean(1, keepdims=True)
        root = np.concatenate([uv - K[:, :2, 2], focal], 1) / scale
        np.testing.assert_allclose(root, xyz[:, 9], atol=1e-6)
        move = (root - joints[:, 9])[:, None]
        np.testing.assert_allclose(joints + move, xyz, atol=2e-6)
        verts = column(rgb, split, 'verts')
        np.testing.assert_allclose(posed.vertices.numpy() + move, verts, atol=2e-6)


def test_geometry_of_the_hands(rgb):
    for split, count in COUNTS.items():
        K, xyz = column(rgb, split, 'K'), column(rgb, split, 'xyz')
        points = np.einsum('nij,nkj->nki', K, xyz)
        uv = points[..., :2] / points[..., 2:]
        rows = column(rgb, split, 'mano')[:, 0]
        np.testing.assert_allclose(uv[:, 9], rows[:, 58:60], atol=1e-3)
        assert uv.min() > 0
        assert uv.max() < 223
        palm = np.linalg.norm(xyz[:, 9] - xyz[:, 0], axis=1)
        assert (palm > 0.07).all()
        assert (palm < 0.11).all()
        for i in range(count):
            path = rgb / split / 'mask' / f'{i:08d}.jpg'
            mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127
            faces = load_hand_model(free_hand_file()).faces.numpy()
            verts = column(rgb, split, 'verts')[i]
            whole = rasterize(verts, faces, K[i], (224, 224)).mask
            # what is seen of the hand lies in its outline, less what hides it
            grown = cv2.dilate(whole.astype(np.uint8), np.ones((3, 3))) > 0
            assert (mask & ~grown).sum() <= 0.005 * whole.sum()
            assert mask.sum() > 0.5 * whole.sum()
            near = cv2.dilate(whole.astype(np.uint8), np.ones((5, 5))) > 0
            x, y = np.round(uv[i]).astype(int).T
            assert near[y, x].all()


def test_the_dataset_reads_it(rgb):
    for split, count in COUNTS.items():
        dataset = FreiHAND3DDataset(
            split=split, data_root=str(rgb), with_vertices=True, with_mano=True
        )
        assert len(dataset) == count
        sample = dataset[count - 1]
        xyz = column(rgb, split, 'xyz')[-1]
        np.testing.assert_allclose(sample['keypoints_cam'][0], xyz, atol=1e-6)
        assert Path(sample['img_path']).is_file()
        assert sample['vertices'].shape == (1, 1159, 3)
        assert hand.chirality(sample['keypoints_cam'])[0] > -0.2


def test_they_are_right_hands():
    sampler = SceneSampler(
        load_hand_model(free_hand_file(), torch.float64), samples.RGB_VIEW
    )
    joints = [sampler.sample_hand(np.random.default_rng(i)).joints for i in range(15)]
    assert np.median(hand.chirality(np.array(joints))) > 0.1


def test_hands_before_the_camera_when_asked_for():
    def turned(max_turn):
        view = replace(samples.RGB_VIEW, max_turn=max_turn)
        sampler = SceneSampler(load_hand_model(free_hand_file(), torch.float64), view)
        return [sampler.sample_hand(np.random.default_rng(i)) for i in range(12)]

    for one in turned(10):
        wrist, index, middle, little = one.joints[[0, 5, 9, 17]]
        assert (middle - wrist)[1] < -0.9 * np.linalg.norm(middle - wrist)
        # the palm's side of a right hand
        palm = np.cross(index - wrist, little - wrist)
        assert palm[2] < -0.8 * np.linalg.norm(palm)
    near, far = turned(10), turned(60)
    middle = np.mean([one.turn for one in near], 0)
    angles = [
        np.degrees(np.arccos((np.trace(one.turn @ middle.T) - 1) / 2)) for one in far
    ]
    assert 20 < max(angles) < 75


def test_bytes_do_not_depend_on_workers(rgb, tmp_path):
    write_synthhand(tmp_path / 'one', 4, 2, seed=7, workers=1)
    assert same_files(rgb, tmp_path / 'one')


def test_longer_sets_begin_alike_and_seeds_differ():
    make = samples.RgbSamples(7)
    assert make('training', 0).files == samples.RgbSamples(7)('training', 0).files
    streams = [
        samples.sample_rng(seed, variant, split, index).integers(2**62)
        for seed in (0, 1, 2**40)
        for variant in samples.SAMPLERS
        for split in COUNTS
        for index in (0, 1)
    ]
    assert len(set(streams)) == len(streams)


def test_nyus_layout(depth):
    assert tree(depth) == sorted(
        [
            NAME,
            'test/depth_1_0000001.png',
            'test/joint_data.mat',
            *(f'train/depth_1_{i:07d}.png' for i in (1, 2, 3)),
            'train/joint_data.mat',
        ]
    )


def test_the_depth_dataset_reads_it(depth):
    for split, count in (('train', 3), ('test', 1)):
        dataset = NYUHandDataset(split=split, data_root=str(depth))
        assert len(dataset) == count
        for sample in dataset:
            coded = cv2.imread(sample['img_path'])
            assert coded.shape == (480, 640, 3)
            millimetres = 256 * coded[..., 1].astype(int) + coded[..., 0]
            assert not coded[..., 2].any()
            # the joints that are seen lie a finger's radius behind the surface
            x, y = np.round(sample['keypoints'][0]).astype(int).T
            behind = 1000 * sample['keypoints_cam'][0, :, 2] - millimetres[y, x]
            assert ((behind > -8) & (behind < 32)).mean() > 0.4


def test_depth_files_agree_with_nyus_camera(depth):
    from scipy.io import loadmat

    data = loadmat(depth / 'train' / 'joint_data.mat')
    assert data['joint_uvd'].shape == data['joint_xyz'].shape == (3, 3, 36, 3)
    assert data['joint_names'].shape == (1, 36)
    u, v, d = np.moveaxis(data['joint_uvd'][0], -1, 0)
    expected = np.stack([(u - 320) * d / 588.03, (240 - v) * d / 587.07, d], -1)
    np.testing.assert_allclose(data['joint_xyz'][0], expected, atol=1e-9)
    assert not data['joint_xyz'][1:].any()


def test_depth_files_hold_no_time(depth, tmp_path):
    write_synthhand(tmp_path / 'two', 3, 1, variant='depth')
    assert same_files(depth, tmp_path / 'two')


def test_nyus_joints_by_name():
    joints = np.random.default_rng(0).normal(size=(21, 3))
    placed, names = nyu_joints(joints)
    assert len(set(names)) == 36
    for name, place in hand.NYU_EVALUATED.items():
        assert names[place] == name
        if name in hand.JOINT_NAMES:
            index = hand.JOINT_NAMES.index(name)
            np.testing.assert_array_equal(placed[place], joints[index])


def test_refuses_to_overwrite(rgb, capsys):
    before = tree(rgb)
    assert tool.main(['--out', str(rgb), '--num', '1']) == 2
    assert 'exists; remove it' in capsys.readouterr().err
    assert tree(rgb) == before


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--num', '0'], 'num_training must be at least 1, got 0'),
        (['--num', '1', '--num-evaluation', '0'], 'num_evaluation must be at least 1'),
        (['--num', '1', '--seed', '-1'], 'seed must be at least 0'),
        (['--num', '1', '--workers', '0'], 'workers must be at least 1'),
        (['--num', '1', '--max-turn', '5'], 'max_turn must be 10 to 180 degrees'),
        (['--num', '1', '--max-turn', 'nan'], 'max_turn must be 10 to 180 degrees'),
    ],
)
def test_bad_arguments(tmp_path, arguments, message, capsys):
    assert tool.main(['--out', str(tmp_path / 'set'), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_variant(tmp_path):
    with pytest.raises(ValueError, match=r"variant must be one of .*, got 'ir'"):
        write_synthhand(tmp_path / 'set', 1, 1, variant='ir')


def test_nothing_stays_when_it_fails(tmp_path, monkeypatch):
    class Failing:
        def __init__(self, seed, max_turn):
            self.make = samples.RgbSamples(seed, max_turn)

        def __call__(self, split, index):
            if split == 'evaluation':
                raise RuntimeError('the disk is full')
            return self.make(split, index)

    monkeypatch.setitem(samples.SAMPLERS, 'rgb', Failing)
    with pytest.raises(RuntimeError, match='the disk is full'):
        write_synthhand(tmp_path / 'set', 1, 1)
    assert not list(tmp_path.iterdir())


def test_angles_keep_their_limits_and_vary():
    angles = poses.sample_angles(np.random.default_rng(0), 2000)
    for values, low, high in (
        (angles.flexion, poses.FLEXION_LOW, poses.FLEXION_HIGH),
        (angles.abduction, poses.ABDUCTION_LOW, poses.ABDUCTION_HIGH),
    ):
        assert (values >= low).all()
        assert (values <= high).all()
        free = high > low
        spread = np.ptp(values, axis=0)[free]
        assert (spread > 0.5 * (high - low)[free]).all()
        assert not values[:, ~free].any()
    # neighbours move together, base and end joint of a finger too
    flexion = angles.flexion
    assert np.corrcoef(flexion[:, 2], flexion[:, 5])[0, 1] > 0.4
    assert np.corrcoef(flexion[:, 5], flexion[:, 6])[0, 1] > 0.8


def test_flexion_closes_the_hand_and_abduction_spreads_it(model):
    def posed(flexion=(), abduction=()):
        bend, turn = np.zeros((1, 16)), np.zeros((1, 16))
        for joint, degrees in flexion:
            bend[0, joint] = np.radians(degrees)
        for joint, degrees in abduction:
            turn[0, joint] = np.radians(degrees)
        rotations = poses.joint_rotations(
            model.joint_frames, poses.JointAngles(bend, turn)
        )
        hand_ = pose_hand(model, rotations)
        return hand_.vertices[0, list(model.tips)].numpy()

    rest = posed()
    # palm down is -y, the thumb's side +z
    for finger, first in ((1, 1), (2, 4), (4, 7), (3, 10)):
        bent = posed([(first, 60), (first + 1, 60)])
        assert bent[finger, 1] < rest[finger, 1] - 0.03
        turned = posed((), [(first, 15)])
        assert turned[finger, 2] > rest[finger, 2] + 0.008
        np.testing.assert_allclose(
            np.delete(bent, finger, 0), np.delete(rest, finger, 0)
        )


def test_fingers_do_not_run_through_each_other(model):
    prior = poses.PosePrior(model)
    betas = torch.zeros(1, 10, dtype=torch.float64)
    rng = np.random.default_rng(0)
    drawn = torch.stack([prior.sample(rng, betas) for _ in range(8)])
    assert prior.overlap(drawn, betas).max() <= 0.004
    crossed = np.zeros((1, 16))
    crossed[0, [1, 4]] = np.radians([-18, 18])
    angles = poses.JointAngles(np.zeros((1, 16)), crossed)
    rotations = poses.joint_rotations(model.joint_frames, angles)
    assert prior.overlap(rotations, betas).item() > 0.008


def test_a_hand_without_frames_has_no_poses(model):
    from dataclasses import replace

    with pytest.raises(ValueError, match='joint_frames missing'):
        poses.PosePrior(replace(model, joint_frames=None))
    with pytest.raises(ValueError, match='poses need 5 tips, got 0'):
        poses.PosePrior(replace(model, tips=()))


@pytest.mark.parametrize(
    ('mesh', 'volume'),
    [
        (ellipsoid(np.array([1.0, 2.0, 3.0])), 4 / 3 * np.pi * 6),
        (cylinder(np.array([1.0, 2.0, 3.0])), 2 * np.pi * 6),
        (box(np.array([1.0, 2.0, 3.0])), 48),
    ],
    ids=['ellipsoid', 'cylinder', 'box'],
)
def test_bodies_are_closed_and_turned_outwards(mesh, volume):
    check_closed(mesh)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    found = np.einsum('ij,ij->', a, np.cross(b, c)) / 6
    assert 0.9 * volume < found < 1.01 * volume


def test_the_forearm_is_closed_and_lies_behind_the_hand():
    arm = forearm(np.zeros(3), np.eye(3), np.array([0.03, 0.02]), np.eye(3))
    check_closed(arm)
    a, b, c = (arm.vertices[arm.faces[:, k]] for k in range(3))
    assert np.einsum('ij,ij->', a, np.cross(b, c)) > 0
    assert arm.vertices[:, 2].min() == pytest.approx(-0.45)


def check_closed(mesh):
    edges = np.concatenate([mesh.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    forth = set(map(tuple, edges.tolist()))
    assert len(forth) == len(edges)
    assert {(b, a) for a, b in forth} == forth
