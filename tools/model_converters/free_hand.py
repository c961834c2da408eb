#!/usr/bin/env python
"""Makes the free hand model out of a rigged hand in glTF.

The mesh is ``generic_hand_right.glb``, the hand that WebXR's input profiles
show (MIT licence, Copyright (c) 2019 Amazon): 25 joints under WebXR's names.

    python tools/model_converters/free_hand.py generic_hand_right.glb OUT.npz

Vertices that were doubled along texture seams are welded. The metacarpals of
the four fingers go into the wrist and the tips into the last joints: 16 joints
in MANO's order. What the source does not have is computed: a joint regressor,
ten shapes, pose correctives, a mean pose and its principal components
(``mmssm/geometry/free_hand/README.md``).
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls

from mmssm.datasets.synthhand.poses import (
    joint_rotations,
    rest_angles,
    sample_angles,
)
from mmssm.geometry.hand_model import ROOT_PARENT, save_hand_arrays
from mmssm.geometry.rotations import matrix_to_axis_angle

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
"""MANO's joints: wrist; index, middle, little, ring finger (MCP, PIP, DIP); thumb
(CMC, MCP, IP)."""

_PHALANGES = ('phalanx-proximal', 'phalanx-intermediate', 'phalanx-distal')

JOINTS = (
    'wrist',
    *(
        f'{finger}-finger-{bone}'
        for finger in ('index', 'middle', 'pinky', 'ring')
        for bone in _PHALANGES
    ),
    *(f'thumb-{bone}' for bone in ('metacarpal', _PHALANGES[0], _PHALANGES[2])),
)
"""WebXR's joint for each of MANO's."""

TIPS = ('thumb', 'index-finger', 'middle-finger', 'ring-finger', 'pinky-finger')

AXES = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""From the file's axes to ours: fingers towards -x, back of the hand +y, thumb +z."""

COMPONENTS = {
    5120: 'i1',
    5121: 'u1',
    5122: '<i2',
    5123: '<u2',
    5125: '<u4',
    5126: '<f4',
}
WIDTHS = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4, 'MAT4': 16}

REGRESSOR_RADIUS = 0.035
"""Vertices that a joint may be regressed from are within this distance, metres."""

SEED = 0
PRIOR_POSES = 4096


class Glb:
    """A binary glTF file: its JSON and its accessors' arrays."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        if len(data) < 20 or data[:4] != b'glTF':
            raise ValueError(f'{path} is no binary glTF file (.glb)')
        version, _, size, kind = struct.unpack('<IIII', data[4:20])
        if version != 2 or kind != 0x4E4F534A:
            raise ValueError(f'{path}: expected glTF 2 with a JSON chunk first')
        self.json = json.loads(data[20 : 20 + size])
        self.buffer = data[28 + size :]

    def accessor(self, number: int) -> np.ndarray:
        """One accessor as ``(count, width)``."""
        accessor = self.json['accessors'][number]
        view = self.json['bufferViews'][accessor['bufferView']]
        if 'byteStride' in view or 'sparse' in accessor:
            raise ValueError(f'accessor {number} is interleaved or sparse')
        width = WIDTHS[accessor['type']]
        start = view.get('byteOffset', 0) + accessor.get('byteOffset', 0)
        return np.frombuffer(
            self.buffer,
            COMPONENTS[accessor['componentType']],
            accessor['count'] * width,
            start,
        ).reshape(-1, width)


def read_rig(
    path: Path,
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Reads a rigged hand.

    Returns:
        Vertices ``(V, 3)`` and faces ``(F, 3)``, welded; the skinning weights
        ``(V,)`` of each WebXR joint; its pose ``(4, 4)``, all in the file's axes.
    """
    glb = Glb(path)
    primitive = glb.json['meshes'][0]['primitives'][0]
    attributes = primitive['attributes']
    points = glb.accessor(attributes['POSITION'])
    faces = glb.accessor(primitive['indices']).reshape(-1, 3).astype(np.int64)
    places = glb.accessor(attributes['JOINTS_0']).astype(np.int64)
    shares = glb.accessor(attributes['WEIGHTS_0'])
    nodes = [glb.json['nodes'][number] for number in glb.json['skins'][0]['joints']]
    weights = np.zeros((len(points), len(nodes)))
    np.add.at(weights, (np.arange(len(points))[:, None], places), shares)

    vertices, first, welded = np.unique(
        points, axis=0, return_index=True, return_inverse=True
    )
    welded = welded.ravel()
    if np.abs(weights - weights[first][welded]).max() > 1e-6:
        raise ValueError(f'{path}: vertices on one place have different weights')
    inverse = glb.accessor(glb.json['skins'][0]['inverseBindMatrices'])
    # matrices are stored column by column
    poses = np.linalg.inv(inverse.reshape(-1, 4, 4).swapaxes(1, 2).astype(float))
    names = [node['name'] for node in nodes]
    return (
        vertices.astype(float),
        welded[faces],
        dict(zip(names, weights[first].T, strict=True)),
        dict(zip(names, poses, strict=True)),
    )


def merge_weights(weights: dict[str, np.ndarray]) -> np.ndarray:
    """Skinning weights ``(V, 16)`` of MANO's joints."""
    merged = np.zeros((len(weights['wrist']), len(JOINTS)))
    for name, share in weights.items():
        if name.endswith('-tip'):
            name = name.replace('-tip', '-phalanx-distal')
        elif name.endswith('-finger-metacarpal'):
            name = 'wrist'
        merged[:, JOINTS.index(name)] += share
    return merged / merged.sum(1, keepdims=True)


def joint_frames(poses: dict[str, np.ndarray]) -> np.ndarray:
    """Flexion axis, abduction axis and bone direction of each joint: columns.

    WebXR's joints look along -z, their y axis leaves the hand's back. A right
    hand bends about -x; about +y it turns towards the thumb.
    """
    frames = []
    for name in JOINTS:
        x, y, z = (AXES @ poses[name][:3, :3]).T
        frames.append(np.stack([-x, y, -z], 1))
    frames = np.array(frames)
    u, _, vt = np.linalg.svd(frames)
    return u @ vt


def regressor(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Each joint as a mean of the vertices around: ``(J, V)``, rows sum to 1.

    Non-negative least squares: the joint must be met, then weights should be
    small, hence spread around the ring.
    """
    rows = np.zeros((len(joints), len(vertices)))
    for joint, place in enumerate(joints):
        near = np.flatnonzero(
            np.linalg.norm(vertices - place, axis=1) < REGRESSOR_RADIUS
        )
        out = (vertices[near] - place).T
        distance = np.linalg.norm(out, axis=0)
        system = np.concatenate(
            [1e3 * out, 1e2 * np.ones((1, len(near))), np.diag(distance / 0.02)]
        )
        target = np.zeros(len(system))
        target[3] = 1e2
        share, _ = nnls(system, target)
        rows[joint, near] = share / share.sum()
    return rows


def shape_modes(frames: np.ndarray) -> list[np.ndarray]:
    """What each shape does to the space around each bone: ``(16, 3, 3)`` strains.

    One unit is about one standard deviation among people.
    """
    across, up, along = (
        np.einsum('ja,jb->jab', frames[:, :, k], frames[:, :, k]) for k in range(3)
    )
    round_ = across + up
    index, middle, little, ring, thumb = (slice(k, k + 3) for k in (1, 4, 7, 10, 13))
    wrist, fingers, ends = [0], slice(1, 13), [3, 6, 9, 12, 15]

    def mode(*parts: tuple) -> np.ndarray:
        strain = np.zeros((16, 3, 3))
        for where, amount, direction in parts:
            strain[where] += amount * direction[where]
        return strain

    everywhere = slice(None)
    return [
        mode((everywhere, 0.05, round_ + along)),
        mode((fingers, 0.05, along), (thumb, 0.03, along)),
        mode((slice(1, 16), 0.08, round_), (wrist, 0.03, up)),
        mode((wrist, 0.06, across)),
        mode((wrist, 0.04, along)),
        mode((wrist, 0.08, up)),
        mode((thumb, 0.06, along), (thumb, 0.04, round_)),
        mode((index, 0.04, along), (ring, -0.04, along)),
        mode((little, 0.06, along), (middle, 0.02, along)),
        mode((ends, -0.08, round_), ([1, 4, 7, 10, 13], 0.06, round_)),
    ]


def shape_directions(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, frames: np.ndarray
) -> np.ndarray:
    """Displacements ``(V, 3, 10)`` of the shapes: strained bones, skinned."""
    directions = []
    for strain in shape_modes(frames):
        moved = np.zeros((16, 3))
        for joint, parent in enumerate(PARENTS[1:], start=1):
            bone = joints[joint] - joints[parent]
            moved[joint] = moved[parent] + strain[parent] @ bone
        out = vertices[:, None] - joints
        each = moved + np.einsum('jab,vjb->vja', strain, out)
        directions.append(np.einsum('vj,vja->va', weights, each))
    return np.stack(directions, -1)


def pose_directions(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Pose correctives ``(V, 3, 135)`` against the thinning of bent joints.

    Blending a turn R with a share w moves x by I + w (R - I); turning by the
    share of the angle would be I + w (R - I) - w (1 - w) sym(R - I) to second
    order. The last term is linear in R - I, hence a corrective.
    """
    below = np.zeros_like(weights)
    for joint in reversed(range(16)):
        below[:, joint] += weights[:, joint]
        if joint:
            below[:, PARENTS[joint]] += below[:, joint]
    directions = np.zeros((len(vertices), 3, 15, 3, 3))
    for joint in range(1, 16):
        share = below[:, joint] * (1 - below[:, joint])
        x = share[:, None] * (vertices - joints[joint])
        for a in range(3):
            directions[:, a, joint - 1, a] -= x / 2
            directions[:, a, joint - 1, :, a] -= x / 2
    return directions.reshape(len(vertices), 3, -1)


def mean_pose(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relaxed pose ``(45,)`` and principal components ``(45, 45)``, by rows."""
    axes = torch.from_numpy(frames)
    mean = matrix_to_axis_angle(joint_rotations(axes, rest_angles()))[:, 1:]
    angles = sample_angles(np.random.default_rng(SEED), PRIOR_POSES)
    poses = matrix_to_axis_angle(joint_rotations(axes, angles))[:, 1:].flatten(1)
    centred = (poses - poses.mean(0)).numpy()
    _, components = np.linalg.eigh(centred.T @ centred)
    components = components[:, ::-1].T
    largest = np.abs(components).argmax(1)
    sign = np.sign(components[np.arange(45), largest])
    return mean.numpy().ravel(), components * sign[:, None]


def tip_vertices(
    vertices: np.ndarray, weights: np.ndarray, poses: dict[str, np.ndarray]
) -> np.ndarray:
    """The vertex farthest out on each fingertip, thumb to little finger."""
    tips = []
    for finger in TIPS:
        name = f'{finger}-phalanx-distal'
        direction = -AXES @ poses[name][:3, 2]
        mine = weights[:, JOINTS.index(name)] > 0.5
        reach = np.where(mine, vertices @ direction, -np.inf)
        tips.append(int(reach.argmax()))
    return np.array(tips)


def convert(path: Path) -> dict[str, np.ndarray]:
    """Arrays of the hand model under MANO's keys."""
    vertices, faces, shares, poses = read_rig(path)
    vertices = vertices @ AXES.T
    weights = merge_weights(shares)
    frames = joint_frames(poses)
    joints = np.array([AXES @ poses[name][:3, 3] for name in JOINTS])
    rows = regressor(vertices, joints)
    mean, components = mean_pose(frames)
    parents = [ROOT_PARENT if parent < 0 else parent for parent in PARENTS]
    small = {
        'v_template': vertices,
        'shapedirs': shape_directions(vertices, joints, weights, frames),
        'posedirs': pose_directions(vertices, joints, weights),
        'J_regressor': rows,
        'J': rows @ vertices,
        'weights': weights,
        'hands_mean': mean,
        'hands_components': components,
        'joint_frames': frames,
    }
    return {
        **{key: value.astype(np.float32) for key, value in small.items()},
        'f': faces.astype(np.uint32),
        'kintree_table': np.array([parents, range(16)], np.uint32),
        'tips': tip_vertices(vertices, weights, poses),
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('glb', type=Path, help='generic_hand_right.glb')
    parser.add_argument('out', type=Path, help='file to write, .npz')
    args = parser.parse_args()
    model = save_hand_arrays(args.out, convert(args.glb))
    print(
        f'{args.out}: {model.num_vertices} vertices, {len(model.faces)} faces, '
        f'{model.num_joints} joints, {model.num_shapes} shapes, '
        f'{args.out.stat().st_size} bytes'
    )


if __name__ == '__main__':
    main()
