"""The converter from a rigged hand in glTF, run on a file made of its result."""

import json
import struct

import numpy as np
import pytest
from helpers.modules import load_script

from mmssm.geometry.hand_model import free_hand_file, load_hand_model, save_hand_arrays

converter = load_script('tools/model_converters/free_hand.py')


@pytest.fixture(scope='module')
def shipped():
    with np.load(free_hand_file()) as file:
        return {name: file[name] for name in file.files}


def names_and_weights(shipped):
    """WebXR's 25 joints; half the wrist's weights go to a metacarpal.

    A vertex of glTF has four joints, so only those with one or two are split.
    """
    names = list(converter.JOINTS)
    weights = shipped['weights'].astype(np.float64).copy()
    extra = [f'{tip}-metacarpal' for tip in converter.TIPS[1:]]
    extra += [f'{tip}-tip' for tip in converter.TIPS]
    columns = np.zeros((len(weights), len(extra)))
    last = names.index('thumb-phalanx-distal')
    split = (weights > 0).sum(1) <= 2
    columns[split, 1] = weights[split, 0] / 2
    weights[split, 0] /= 2
    columns[split, 4] = weights[split, last] / 4
    weights[split, last] *= 0.75
    return names + extra, np.concatenate([weights, columns], 1)


def write_glb(path, shipped, doubled=7):
    """The shipped hand as a glTF file, some vertices doubled along a seam."""
    names, weights = names_and_weights(shipped)
    turn = np.linalg.inv(converter.AXES)
    points = shipped['v_template'] @ turn.T
    points = np.concatenate([points, points[:doubled]])
    weights = np.concatenate([weights, weights[:doubled]])
    faces = shipped['f'].astype(np.uint16)
    second = np.arange(len(faces)) % 2 == 1
    moved = second[:, None] & (faces < doubled)
    faces = np.where(moved, faces + len(shipped['v_template']), faces)
    # a glTF vertex has four joints
    places = np.argsort(-weights, 1)[:, :4]
    shares = np.take_along_axis(weights, places, 1)
    poses = np.tile(np.eye(4), (len(names), 1, 1))
    for joint, name in enumerate(names):
        source = converter.JOINTS.index(name) if name in converter.JOINTS else 0
        bend, up, out = shipped['joint_frames'][source].T
        poses[joint, :3, :3] = turn @ np.stack([-bend, up, -out], 1)
        poses[joint, :3, 3] = turn @ shipped['J'][source]
    arrays = [
        (points.astype('<f4'), 'VEC3', 5126),
        (places.astype('u1'), 'VEC4', 5121),
        (shares.astype('<f4'), 'VEC4', 5126),
        (faces.astype('<u2').reshape(-1, 1), 'SCALAR', 5123),
        (
            np.linalg.inv(poses).swapaxes(1, 2).reshape(-1, 16).astype('<f4'),
            'MAT4',
            5126,
        ),
    ]
    buffer, views, accessors = b'', [], []
    for number, (array, kind, component) in enumerate(arrays):
        views.append({'byteOffset': len(buffer), 'byteLength': array.nbytes})
        accessors.append(
            {
                'bufferView': number,
                'componentType': component,
                'count': len(array),
                'type': kind,
            }
        )
        buffer += array.tobytes().ljust(-(-array.nbytes // 4) * 4, b'\0')
    attributes = {'POSITION': 0, 'JOINTS_0': 1, 'WEIGHTS_0': 2}
    text = json.dumps(
        {
            'meshes': [{'primitives': [{'attributes': attributes, 'indices': 3}]}],
            'skins': [{'joints': list(range(len(names))), 'inverseBindMatrices': 4}],
            'nodes': [{'name': name} for name in names],
            'bufferViews': views,
            'accessors': accessors,
        }
    ).encode()
    text = text.ljust(-(-len(text) // 4) * 4)
    chunks = struct.pack('<II', len(text), 0x4E4F534A) + text
    chunks += struct.pack('<II', len(buffer), 0x004E4942) + buffer
    path.write_bytes(struct.pack('<4sII', b'glTF', 2, 12 + len(chunks)) + chunks)


def test_makes_the_hand_that_ships(tmp_path, shipped):
    write_glb(tmp_path / 'hand.glb', shipped)
    arrays = converter.convert(tmp_path / 'hand.glb')
    assert arrays['v_template'].shape == shipped['v_template'].shape
    assert set(arrays) == set(shipped)
    np.testing.assert_array_equal(arrays['f'], shipped['f'])
    np.testing.assert_array_equal(arrays['tips'], shipped['tips'])
    np.testing.assert_allclose(arrays['v_template'], shipped['v_template'], atol=1e-7)
    np.testing.assert_allclose(arrays['weights'], shipped['weights'], atol=1e-6)
    for name in ('shapedirs', 'posedirs', 'joint_frames', 'hands_mean', 'J'):
        np.testing.assert_allclose(arrays[name], shipped[name], atol=2e-6)
    save_hand_arrays(tmp_path / 'hand.npz', arrays)
    assert load_hand_model(tmp_path / 'hand.npz').num_joints == 16


def test_components_are_orthogonal(shipped):
    components = shipped['hands_components'].astype(float)
    np.testing.assert_allclose(components @ components.T, np.eye(45), atol=1e-5)


def test_the_regressor_is_local_and_positive(shipped):
    rows, vertices = shipped['J_regressor'], shipped['v_template']
    assert rows.min() >= 0
    for row, joint in zip(rows, shipped['J'], strict=True):
        near = np.linalg.norm(vertices[row > 0] - joint, axis=1)
        assert near.max() < converter.REGRESSOR_RADIUS + 1e-3


def test_correctives_keep_bent_joints_thick(shipped):
    """A finger bent by 80 degrees: skinning alone thins the joint."""
    import torch

    from mmssm.datasets.synthhand.poses import JointAngles, joint_rotations
    from mmssm.geometry.skinning import pose_hand

    model = load_hand_model(free_hand_file(), torch.float64)
    flexion = np.zeros((1, 16))
    flexion[0, 5] = np.radians(80)
    angles = JointAngles(flexion, np.zeros((1, 16)))
    rotations = joint_rotations(model.joint_frames, angles)
    from dataclasses import replace

    plain = replace(model, posedirs=torch.zeros_like(model.posedirs))
    joint = pose_hand(model, rotations).joints[0, 5]
    around = torch.from_numpy(shipped['J_regressor'][5] > 0)
    distance = [
        (pose_hand(m, rotations).vertices[0, around] - joint).norm(dim=-1).mean()
        for m in (plain, model)
    ]
    rest = (model.v_template[around] - model.joints[5]).norm(dim=-1).mean()
    assert distance[0] < distance[1]
    assert abs(distance[1] - rest) < abs(distance[0] - rest)


def test_the_command_line(tmp_path, shipped, monkeypatch, capsys):
    write_glb(tmp_path / 'hand.glb', shipped)
    command = ['free_hand.py', str(tmp_path / 'hand.glb'), str(tmp_path / 'out.npz')]
    monkeypatch.setattr('sys.argv', command)
    monkeypatch.setattr(converter, 'PRIOR_POSES', 64)
    converter.main()
    assert '1159 vertices, 2314 faces, 16 joints, 10 shapes' in capsys.readouterr().out


def test_refuses_other_files(tmp_path):
    path = tmp_path / 'hand.glb'
    path.write_bytes(b'no glTF at all, but long enough to be one')
    with pytest.raises(ValueError, match='no binary glTF'):
        converter.convert(path)
    path.write_bytes(struct.pack('<4sIIII', b'glTF', 1, 20, 0, 0))
    with pytest.raises(ValueError, match='expected glTF 2'):
        converter.convert(path)
