import json

import numpy as np
import pytest
import torch
from helpers.mocap import TRAIN_PIPELINE, VAL_PIPELINE
from helpers.modules import load_script
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS, MODELS

from mmssm.datasets import h36m_files
from mmssm.evaluation import LiftingMetric
from mmssm.geometry.cameras import project
from mmssm.structures import h36m

OFFSETS = {
    'root': ('base', (0, 0, 0)),
    'chest': ('root', (0, 1, 0)),
    'neck': ('chest', (0, 1, 0)),
    'right_hip': ('root', (0, 0, 0.4)),
    'right_knee': ('right_hip', (0, -2, 0)),
    'right_ankle': ('right_knee', (0, -2, 0)),
    'right_shoulder': ('chest', (0, 1, 0.8)),
    'right_elbow': ('right_shoulder', (0, -1.2, 0)),
    'right_wrist': ('right_elbow', (0, -1, 0)),
    'left_hip': ('root', (0, 0, -0.4)),
    'left_knee': ('left_hip', (0, -2, 0)),
    'left_ankle': ('left_knee', (0, -2, 0)),
    'left_shoulder': ('chest', (0, 1, -0.8)),
    'left_elbow': ('left_shoulder', (0, -1.2, 0)),
    'left_wrist': ('left_elbow', (0, -1, 0)),
}
"""A humanoid in quarter metres: x forward, y up, z right."""

converter = load_script('tools/dataset_converters/mocap.py')


def frame(duration=0.1, root=(0, 1, 0), turn=(1, 0, 0, 0), **joints):
    values = [duration, *root, *turn]
    for name, size in converter.FRAME_JOINTS:
        rest = (1, 0, 0, 0) if size == 4 else (0,)
        values += joints.get(name, rest)
    return values


def write_data(folder, loop='none', **clips):
    joints = '\n'.join(
        f'<joint name="{child}" type="fixed"><parent link="{parent}"/>'
        f'<child link="{child}"/>'
        f'<origin rpy="0 0 0" xyz="{" ".join(map(str, offset))}"/></joint>'
        for child, (parent, offset) in OFFSETS.items()
    )
    (folder / 'humanoid').mkdir(parents=True)
    (folder / 'humanoid' / 'humanoid.urdf').write_text(
        f'<robot name="h">{joints}</robot>\r\n\0'
    )
    motions = folder / 'data' / 'motions'
    motions.mkdir(parents=True)
    for name, frames in clips.items():
        (motions / f'humanoid3d_{name}.txt').write_text(
            json.dumps({'Loop': loop, 'Frames': frames})
        )
    return folder


def convert(tmp_path, loop='none', **clips):
    out = tmp_path / 'clips.npz'
    converter.write_clips(write_data(tmp_path / 'data', loop, **clips), out)
    return np.load(out)


def joint(joints, name):
    return joints[..., h36m.JOINT_NAMES.index(name), :]


def quarter_turn(axis):
    half = np.sqrt(0.5)
    return tuple(half * np.array([1, *axis]))


def test_the_pose_at_rest(tmp_path):
    joints = convert(tmp_path, rest=[frame(), frame()])['joints'][0]
    expected = {
        'root': (0, 0, 1),
        'right_hip': (0, -0.1, 1),
        'right_knee': (0, -0.1, 0.5),
        'right_foot': (0, -0.1, 0),
        'left_foot': (0, 0.1, 0),
        'spine': (0, 0, 1.25),
        'thorax': (0, 0, 1.5),
        'neck_base': (0.06, 0, 1.61),
        'head': (0, 0, 1.7775),
        'left_shoulder': (0, 0.2, 1.5),
        'left_wrist': (0, 0.2, 0.95),
        'right_elbow': (0, -0.2, 1.2),
    }
    for name, position in expected.items():
        np.testing.assert_allclose(joint(joints, name), position, atol=1e-6)


def test_hinges_quaternions_and_their_chain(tmp_path):
    bent = frame(
        right_knee=(-np.pi / 2,),
        left_elbow=(np.pi / 2,),
        right_shoulder=quarter_turn((1, 0, 0)),
    )
    joints = convert(tmp_path, bent=[bent, bent])['joints'][0]
    # a bent knee puts the ankle behind it, a bent elbow the wrist before it
    shin = joint(joints, 'right_foot') - joint(joints, 'right_knee')
    np.testing.assert_allclose(shin, [-0.5, 0, 0], atol=1e-6)
    forearm = joint(joints, 'left_wrist') - joint(joints, 'left_elbow')
    np.testing.assert_allclose(forearm, [0.25, 0, 0], atol=1e-6)
    # turning the shoulder about the forward axis swings the arm inwards (left)
    arm = joint(joints, 'right_wrist') - joint(joints, 'right_shoulder')
    np.testing.assert_allclose(arm, [0, 0.55, 0], atol=1e-6)


def test_the_root_turns_everything(tmp_path):
    turned = frame(turn=quarter_turn((0, 1, 0)), root=(3, 1, -2))
    joints = convert(tmp_path, turned=[turned, turned])['joints'][0]
    # a quarter turn to the left: the nose, in front, now points to the left
    np.testing.assert_allclose(joint(joints, 'root'), [3, 2, 1], atol=1e-6)
    np.testing.assert_allclose(joint(joints, 'neck_base'), [3, 2.06, 1.61], atol=1e-6)


def test_resampling_keeps_time_and_bones(tmp_path):
    # q and -q are one rotation: interpolation must not go through zero
    frames = [
        frame(0.1, root=(0, 1, 0)),
        frame(0.05, root=(0.1, 1, 0), turn=(-1, 0, 0, 0)),
        frame(0.1, root=(0.15, 1, 0)),
        frame(0.0, root=(0.25, 1, 0), turn=(-1, 0, 0, 0)),
    ]
    data = convert(tmp_path, walk=frames)
    joints = data['joints']
    assert data['length'].tolist() == [len(joints)] == [13]
    # uneven frames of an even motion: 1 m/s, 2 cm a step
    np.testing.assert_allclose(
        joint(joints, 'root')[:, 0], np.arange(13) * 0.02, atol=1e-6
    )
    np.testing.assert_allclose(
        joints - joint(joints, 'root')[:, None],
        np.broadcast_to(joints[0] - joint(joints[0], 'root'), joints.shape),
        atol=1e-6,
    )


def test_clips_follow_one_another_by_name(tmp_path):
    data = convert(tmp_path, 'wrap', b=[frame(), frame()], a=[frame(0.2), frame()])
    assert data['name'].tolist() == ['a', 'b']
    assert data['length'].tolist() == [10, 5]
    assert data['loop'].all()


def test_a_file_of_another_form_is_named(tmp_path):
    with pytest.raises(ValueError, match='expected at least 2 frames of 44 values'):
        convert(tmp_path, short=[[0.0] * 43, [0.0] * 43])


def test_a_folder_without_clips_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='getDataPath'):
        converter.write_clips(tmp_path, tmp_path / 'clips.npz')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fold')
    converter.export_fold(folder, fold=0)
    return folder


def human36m(folder, part, **kwargs):
    return DATASETS.build(
        {
            'type': 'Human36mDataset',
            'data_root': str(folder),
            'ann_file': f'annotation_body3d/fps50/h36m_{part}_original.npz',
            'camera_param_file': 'annotation_body3d/cameras.pkl',
            'multiple_target': 27,
            **kwargs,
        }
    )


def test_an_exported_fold_is_whole(exported):
    frames = {}
    for part in ('train', 'test'):
        path = exported / f'annotation_body3d/fps50/h36m_{part}_original.npz'
        arrays = h36m_files.read_annotations(str(path), 17)
        frames[part] = len(arrays['imgname'])
    assert frames == {'train': 4 * 1191, 'test': 4 * 493}
    h36m_files.check_factors(
        str(exported / 'annotation_body3d/fps50/h36m_factors.npy'), arrays['imgname']
    )
    cameras = h36m_files.read_cameras(str(exported / 'annotation_body3d/cameras.pkl'))
    camera = cameras['B0', 'cam0']
    exact = project(arrays['S'][:, :, :3], camera['f'], camera['c'])
    off = np.linalg.norm(arrays['part'][..., :2] - exact, axis=-1)
    confident = arrays['part'][..., 2] > 0.6
    assert np.median(off[confident]) == pytest.approx(4 * 1.177, rel=0.1)
    assert np.median(off[~confident]) > 15


def test_mmposes_own_dataset_trains_on_an_exported_fold(exported):
    torch.manual_seed(0)
    model = MODELS.build(
        {
            'type': 'PoseLifter',
            'backbone': {
                'type': 'DSTFormer',
                'in_channels': 3,
                'feat_size': 32,
                'depth': 1,
                'num_heads': 2,
                'seq_len': 27,
            },
            'head': {
                'type': 'MotionRegressionHead',
                'in_channels': 32,
                'embedding_size': 32,
                'loss': {'type': 'MPJPEVelocityJointLoss'},
                'decoder': VAL_PIPELINE[1]['encoder'],
            },
        }
    )
    train_set = human36m(
        exported, 'train', multiple_target_step=9, pipeline=TRAIN_PIPELINE[1:]
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for step in range(12):
        batch = pseudo_collate([train_set[(8 * step + i) % 436] for i in range(8)])
        inputs = torch.stack(batch['inputs'])
        loss = model.loss(inputs, batch['data_samples'])['loss_pose3d']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])

    val_set = human36m(
        exported,
        'test',
        factor_file='annotation_body3d/fps50/h36m_factors.npy',
        pipeline=VAL_PIPELINE[1:],
        test_mode=True,
    )
    metric = LiftingMetric()
    batch = pseudo_collate([val_set[i] for i in range(0, len(val_set), 3)])
    with torch.no_grad():
        samples = model.eval().predict(
            torch.stack(batch['inputs']), batch['data_samples']
        )
    metric.process({}, [sample.to_dict() for sample in samples])
    result = metric.evaluate(len(samples))
    assert 50 < result['P-MPJPE'] < result['MPJPE'] < 1000
    assert {'MPJPE_Walk', 'MPJPE_DanceA'} <= result.keys()
