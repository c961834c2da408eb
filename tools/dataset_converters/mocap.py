#!/usr/bin/env python
"""Makes the embedded motion data out of DeepMimic's clips.

The clips and the humanoid they move come from the data folder of the PyPI
package ``pybullet`` (tried with 3.2.7): unpack its wheel, or ask an installed
one for ``pybullet_data.getDataPath()``. No package is imported for it.

    python tools/dataset_converters/mocap.py clips PYBULLET_DATA OUT.npz
    python tools/dataset_converters/mocap.py export OUT_DIR --fold 0

``clips`` does the forward kinematics and writes the file that
``mmssm.MocapDataset`` reads. ``export`` writes one fold of that dataset, seen
by fixed virtual cameras, in the files of MMPose's ``Human36mDataset``.
"""

import argparse
import json
import pickle
import xml.etree.ElementTree as ET
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmssm.datasets.datasets.epoch_seeded import numpy_seeded
from mmssm.datasets.datasets.mocap_dataset import VALIDATION_BODIES, film_frames
from mmssm.datasets.mocap_clips import (
    fold_clips,
    load_mocap_clips,
    mocap_file,
    on_stage,
)
from mmssm.datasets.transforms import DetectorNoise
from mmssm.datasets.virtual_cameras import fixed_camera
from mmssm.structures import h36m

FPS = 50
"""Frame rate of Human3.6M and of the file written."""

URDF_SCALE = 0.25
"""The humanoid's description is in quarter metres."""

FRAME_JOINTS = (
    ('chest', 4),
    ('neck', 4),
    ('right_hip', 4),
    ('right_knee', 1),
    ('right_ankle', 4),
    ('right_shoulder', 4),
    ('right_elbow', 1),
    ('left_hip', 4),
    ('left_knee', 1),
    ('left_ankle', 4),
    ('left_shoulder', 4),
    ('left_elbow', 1),
)
"""Joints of a frame after duration, root position and root quaternion, with
the values each takes: 4 for a quaternion (w, x, y, z), 1 for a hinge angle
about the z axis, radians."""

FRAME_SIZE = 8 + sum(size for _, size in FRAME_JOINTS)

LANDMARKS = {
    'root': ('root', (0, 0, 0)),
    'right_hip': ('right_hip', (0, 0, 0)),
    'right_knee': ('right_knee', (0, 0, 0)),
    'right_foot': ('right_ankle', (0, 0, 0)),
    'left_hip': ('left_hip', (0, 0, 0)),
    'left_knee': ('left_knee', (0, 0, 0)),
    'left_foot': ('left_ankle', (0, 0, 0)),
    'spine': ('chest', (0, 0, 0)),
    'thorax': ('neck', (0, 0, 0)),
    'neck_base': ('neck', (0.06, 0.11, 0)),
    'head': ('neck', (0, 0.2775, 0)),
    'left_shoulder': ('left_shoulder', (0, 0, 0)),
    'left_elbow': ('left_elbow', (0, 0, 0)),
    'left_wrist': ('left_wrist', (0, 0, 0)),
    'right_shoulder': ('right_shoulder', (0, 0, 0)),
    'right_elbow': ('right_elbow', (0, 0, 0)),
    'right_wrist': ('right_wrist', (0, 0, 0)),
}
"""Where each Human3.6M joint sits: link, and offset in its frame (forward, up,
right; metres). The humanoid has neither nose nor crown: the nose's offset is
Human3.6M's own (11 cm above and 6 cm before the thorax), the crown is the top
of the head's sphere."""


@dataclass
class Humanoid:
    """Links of the humanoid with their parents and offsets, parents first."""

    parents: dict[str, str]
    offsets: dict[str, np.ndarray]

    @classmethod
    def from_urdf(cls, path: Path) -> 'Humanoid':
        """Reads links and offsets (metres) from the model's URDF."""
        parents, offsets = {}, {}
        # the file ends with a NUL byte, which XML forbids
        text = path.read_bytes().rstrip(b'\0 \r\n')
        for joint in ET.fromstring(text).iter('joint'):
            child = joint.find('child').get('link')
            origin = joint.find('origin')
            if np.any([float(value) for value in origin.get('rpy').split()]):
                raise ValueError(f'{path}: joint {child} is rotated at rest')
            parents[child] = joint.find('parent').get('link')
            offsets[child] = URDF_SCALE * np.array(
                [float(value) for value in origin.get('xyz').split()]
            )
        return cls(parents, offsets)

    def forward(
        self, root: np.ndarray, rotations: dict[str, np.ndarray]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Poses the links.

        Args:
            root: ``(F, 3)`` root positions, metres.
            rotations: ``(F, 3, 3)`` rotation of each link in its parent's
                frame; links without one do not turn.

        Returns:
            Rotation ``(F, 3, 3)`` and position ``(F, 3)`` of each link.
        """
        links = {'root': (rotations['root'], root)}
        for name, parent in self.parents.items():
            if name == 'root':
                continue
            turn, place = links[parent]
            position = place + turn @ self.offsets[name]
            links[name] = (
                turn @ rotations[name] if name in rotations else turn,
                position,
            )
        return links


def quaternion_to_matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrices ``(F, 3, 3)`` of quaternions ``(F, 4)``, w first."""
    w, x, y, z = np.moveaxis(
        quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True), -1, 0
    )
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)


def hinge_to_matrix(angle: np.ndarray) -> np.ndarray:
    """Rotation matrices ``(F, 3, 3)`` about z of angles ``(F, 1)``, radians."""
    half = angle / 2
    zero = np.zeros_like(half)
    return quaternion_to_matrix(
        np.concatenate([np.cos(half), zero, zero, np.sin(half)], -1)
    )


def split_frame(values: np.ndarray) -> dict[str, np.ndarray]:
    """Joint name to its columns of ``values (F, 40)``: root first."""
    parts, start = {'root': values[:, :4]}, 4
    for name, size in FRAME_JOINTS:
        parts[name] = values[:, start : start + size]
        start += size
    return parts


def align_signs(values: np.ndarray) -> np.ndarray:
    """Makes every quaternion's sign follow its predecessor's.

    A rotation has two quaternions; a jump between them would be interpolated
    through zero.
    """
    values = values.copy()
    for part in split_frame(values).values():
        if part.shape[1] == 4:
            dots = np.sum(part[1:] * part[:-1], -1)
            part[1:] *= np.cumprod(np.where(dots < 0, -1.0, 1.0))[:, None]
    return values


def resample(times: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolates by a cubic Hermite spline through the frames.

    Tangents are the three-point differences for uneven steps. Linear steps
    would put a kink into the speed at every source frame, and some clips have
    only 16 of them a second.

    Args:
        times: ``(F,)`` increasing, seconds.
        values: ``(F, C)``.
        at: ``(M,)`` times within ``times``.

    Returns:
        ``(M, C)``.
    """
    tangents = np.gradient(values, times, axis=0, edge_order=1)
    left = np.clip(np.searchsorted(times, at, side='right') - 1, 0, len(times) - 2)
    step = (times[left + 1] - times[left])[:, None]
    s = (at - times[left])[:, None] / step
    return (
        (1 + 2 * s) * (1 - s) ** 2 * values[left]
        + s * (1 - s) ** 2 * step * tangents[left]
        + s**2 * (3 - 2 * s) * values[left + 1]
        + s**2 * (s - 1) * step * tangents[left + 1]
    )


def read_clip(path: Path) -> tuple[np.ndarray, np.ndarray, bool]:
    """Reads one motion file.

    Returns:
        Times ``(F,)`` in seconds, frames ``(F, 43)`` without their duration,
        and whether the clip says that it loops.
    """
    clip = json.loads(path.read_text())
    frames = np.array(clip['Frames'], dtype=float)
    if frames.ndim != 2 or frames.shape[1] != FRAME_SIZE or len(frames) < 2:
        raise ValueError(
            f'{path}: expected at least 2 frames of {FRAME_SIZE} values, found '
            f'shape {frames.shape}'
        )
    times = np.concatenate([[0.0], np.cumsum(frames[:-1, 0])])
    return times, frames[:, 1:], clip['Loop'] == 'wrap'


def clip_joints(humanoid: Humanoid, path: Path) -> tuple[np.ndarray, bool]:
    """Joint positions of a clip at 50 frames per second.

    Returns:
        ``(F, 17, 3)`` metres, x forward at the start, y left, z up; and
        whether the clip loops. A looping clip ends one frame before the pose
        it began with.
    """
    times, frames, loop = read_clip(path)
    at = np.arange(0, times[-1], 1 / FPS)
    frames = np.concatenate([frames[:, :3], align_signs(frames[:, 3:])], 1)
    frames = resample(times, frames, at)
    rotations = {
        name: quaternion_to_matrix(part)
        if part.shape[1] == 4
        else hinge_to_matrix(part)
        for name, part in split_frame(frames[:, 3:]).items()
    }
    links = humanoid.forward(frames[:, :3], rotations)
    joints = np.stack(
        [
            links[link][1] + links[link][0] @ np.array(offset, float)
            for link, offset in (LANDMARKS[name] for name in h36m.JOINT_NAMES)
        ],
        1,
    )
    forward, up, right = np.moveaxis(joints, -1, 0)
    return np.stack([forward, -right, up], -1), loop


def write_clips(pybullet_data: Path, out: Path) -> None:
    """Converts every humanoid clip of a ``pybullet_data`` folder to one file."""
    paths = sorted((pybullet_data / 'data' / 'motions').glob('humanoid3d_*.txt'))
    if not paths:
        raise FileNotFoundError(
            f'no data/motions/humanoid3d_*.txt in {pybullet_data}; give the '
            "folder that pybullet's pybullet_data.getDataPath() names"
        )
    humanoid = Humanoid.from_urdf(pybullet_data / 'humanoid' / 'humanoid.urdf')
    names = [path.stem.removeprefix('humanoid3d_') for path in paths]
    clips, loops = zip(*(clip_joints(humanoid, path) for path in paths), strict=True)
    np.savez_compressed(
        out,
        joints=np.concatenate(clips).astype(np.float32),
        length=np.array([len(clip) for clip in clips]),
        name=np.array(names),
        loop=np.array(loops),
        fps=np.array(FPS),
    )
    for name, clip, loop in zip(names, clips, loops, strict=True):
        print(f'{name:16s} {len(clip):4d} frames{", loops" if loop else ""}')
    print(f'{out}: {sum(map(len, clips))} frames, {out.stat().st_size} bytes')


def fold_annotations(fold: int, validation: bool) -> dict[str, np.ndarray]:
    """One side of a fold in the arrays of MMPose's Human3.6M annotations.

    With ``factors (F,)``, millimetres per pixel at the root's depth.

    Every clip is seen by the four validation cameras, with their bodies. The
    2D keypoints carry the default :class:`mmssm.DetectorNoise`, with its
    confidence, drawn once.
    """
    noise = DetectorNoise()
    arrays = defaultdict(list)
    for clip in fold_clips(load_mocap_clips(mocap_file()), fold, validation):
        for view, body in enumerate(VALIDATION_BODIES):
            joints = on_stage(clip, body).joints
            film = film_frames(joints, fixed_camera(view))
            with numpy_seeded(fold, view, zlib.crc32(clip.name.encode())):
                film = noise.transform(film)
            keypoints = film['keypoints']
            low, high = keypoints.min(1), keypoints.max(1)
            ones = np.ones_like(film['keypoints_3d'][..., :1])
            confidence = film['keypoints_visible'][..., None]
            name = f'B{view}_{clip.action}.cam{view}'
            arrays['imgname'].append(
                np.array(
                    [
                        f'B{view}/{name}/{name}_{i + 1:06d}.jpg'
                        for i in range(len(joints))
                    ]
                )
            )
            arrays['center'].append((low + high) / 2)
            arrays['scale'].append(1.2 * (high - low).max(-1) / 200)
            arrays['part'].append(np.concatenate([keypoints, confidence], -1))
            depth = film['keypoints_3d'][:, h36m.ROOT, 2]
            arrays['factors'].append(1000 * depth / film['camera_param']['f'][0])
            arrays['S'].append(np.concatenate([film['keypoints_3d'], ones], -1))
    return {name: np.concatenate(parts) for name, parts in arrays.items()}


def export_fold(out: Path, fold: int) -> None:
    """Writes a fold under the names of MMPose's Human3.6M configs."""
    folder = out / 'annotation_body3d'
    (folder / 'fps50').mkdir(parents=True, exist_ok=True)
    for name, validation in (('train', False), ('test', True)):
        arrays = fold_annotations(fold, validation)
        factors = arrays.pop('factors')
        path = folder / 'fps50' / f'h36m_{name}_original.npz'
        np.savez_compressed(path, **arrays)
        print(f'{path}: {len(arrays["imgname"])} frames')
    # MMPose's configs use factors for the test part, which is written last
    np.save(folder / 'fps50' / 'h36m_factors.npy', factors)
    cameras = {(f'B{view}', f'cam{view}'): fixed_camera(view) for view in range(4)}
    with open(folder / 'cameras.pkl', 'wb') as file:
        pickle.dump(cameras, file, protocol=2)
    print(f'{folder / "cameras.pkl"}: {len(cameras)} cameras')


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    clips = commands.add_parser('clips', help='make the embedded file')
    clips.add_argument('pybullet_data', type=Path, help='folder of pybullet_data')
    clips.add_argument('out', type=Path, help='file to write, .npz')
    clips.set_defaults(run=lambda args: write_clips(args.pybullet_data, args.out))
    export = commands.add_parser(
        'export', help="write a fold in the files of MMPose's Human36mDataset"
    )
    export.add_argument('out', type=Path, help='folder to write, a data_root')
    export.add_argument('--fold', type=int, default=0, help='0, 1 or 2 (default: 0)')
    export.set_defaults(run=lambda args: export_fold(args.out, args.fold))
    args = parser.parse_args()
    args.run(args)


if __name__ == '__main__':
    main()
