r"""Converts Human3.6M between MotionBERT's pickle and MMPose's files.

    python tools/dataset_converters/h36m_motionbert.py to-mmpose \
        data/motion3d/h36m_sh_conf_cam_source_final.pkl \
        data/h36m/annotation_body3d/cameras.pkl data/h36m/annotation_body3d/fps50
    python tools/dataset_converters/h36m_motionbert.py to-motionbert \
        data/h36m/annotation_body3d/fps50 data/h36m/annotation_body3d/cameras.pkl \
        OUT.pkl

Every file that was written is read again, and its frames, videos and labels are
compared with what they were made of. With --strict the frames must be as many as
were released.

MotionBERT's joints are in the image, with a depth in pixels; MMPose's are in the
camera's frame, in metres. One follows from the other by the camera and the
factor, millimetres per pixel at the root. Where the pickle has no factors, which
is so in its training half, 4 mm per pixel are taken, as MMPose's codec does: the
distance of a person is then nominal, but not the labels made of it, which do not
depend on it.
"""

import argparse
import pickle
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmpose.codecs.utils import camera_to_image_coord

import mmssm.registry  # noqa: F401
from mmssm.datasets import clips, h36m_files, motionbert_files

NOMINAL_FACTOR = 4.0
CAMERA_NUMBERS = {'54138969': 1, '55011271': 2, '58860488': 3, '60457274': 4}
LABEL_TOLERANCE = 0.01
"""How far, in pixels, joints may move by being converted."""

ACTIONS = (
    # stem of the name in any spelling; number and name in MotionBERT's file
    ('direction', 2, 'Direction'),
    ('discuss', 3, 'Discuss'),
    ('eat', 4, 'Eating'),
    ('greet', 5, 'Greet'),
    ('phon', 6, 'Phone'),
    ('pos', 7, 'Pose'),
    ('purchas', 8, 'Purchase'),
    ('sittingdown', 10, 'SittingDown'),
    ('sitting', 9, 'Sitting'),
    ('smok', 11, 'Smoke'),
    ('photo', 12, 'Photo'),
    ('takingphoto', 12, 'Photo'),
    ('wait', 13, 'Wait'),
    ('walkdog', 15, 'WalkDog'),
    ('walkingdog', 15, 'WalkDog'),
    ('walktogether', 16, 'WalkTwo'),
    ('walktwo', 16, 'WalkTwo'),
    ('walk', 14, 'Walk'),
)


class Name(NamedTuple):
    """A video by its parts: ``S9_Greet_1.55011271``."""

    subject: str
    action: str
    camera: str


def split_name(path: str) -> Name:
    """Parts of the name of a frame or video."""
    stem = path.rpartition('/')[2]
    found = re.match(r'(S\d+)_([A-Za-z]+(?:_\d+)?)\.(\d+)', stem)
    if found is None:
        raise ValueError(
            f"expected a name like 'S9_Greet_1.55011271_000001.jpg', found '{path}'"
        )
    return Name(*found.groups())


def to_camera(image: np.ndarray, factor: np.ndarray, camera: dict) -> np.ndarray:
    """Joints in the camera's frame that MMPose's codec projects onto the given ones.

    Args:
        image: ``(F, K, 3)`` pixels, depth in pixels relative to the root.
        factor: ``(F,)`` millimetres per pixel.
        camera: ``f`` and ``c`` in pixels.

    Returns:
        ``(F, K, 3)`` metres.
    """
    focal, centre = np.reshape(camera['f'], 2) / 1000, np.reshape(camera['c'], 2) / 1000
    image = image.astype(np.float64) / 1000
    # camera_to_image_coord: factor = 2 / (2 f / z + 0.001)
    root = 2 * focal[0] / (2 / factor - 0.001)
    depth = root[:, None] + image[..., 2] * factor[:, None]
    flat = (image[..., :2] - centre) / focal * depth[..., None]
    return np.concatenate([flat, depth[..., None]], -1)


def to_image(joints: np.ndarray, camera: dict) -> tuple[np.ndarray, np.ndarray]:
    """The reverse: pixels ``(F, K, 3)`` and factors ``(F,)``, as the codec has them."""
    image, factor = camera_to_image_coord(0, joints.astype(np.float64), camera)
    return 1000 * image, factor


def mmpose_arrays(
    path: str, data: motionbert_files.Split, cameras: dict
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """One half of the pickle in MMPose's arrays.

    Returns:
        The annotations, and the factors ``(F,)``.
    """
    frames = len(data.source)
    factor = data.factor
    if factor is None:
        factor = np.full(frames, NOMINAL_FACTOR)
    names, joints = [], np.empty((frames, 17, 3))
    for start, stop in clips.runs(data.source):
        name = motionbert_files.video_name(
            path,
            str(data.source[start]),
            str(data.action[start]),
            str(data.camera_name[start]),
        )
        parts = split_name(name)
        names += [
            f'{parts.subject}/{name}/{name}_{number:06d}.jpg'
            for number in range(1, stop - start + 1)
        ]
        part = slice(start, stop)
        camera = cameras[parts.subject, parts.camera]
        joints[part] = to_camera(data.joint3d_image[part], factor[part], camera)
    ones = np.ones((frames, 17, 1))
    low, high = data.joint_2d.min(1), data.joint_2d.max(1)
    arrays = {
        'imgname': np.array(names),
        'center': (low + high) / 2,
        'scale': 1.2 * (high - low).max(-1) / 200,
        'part': np.concatenate([data.joint_2d, data.confidence[..., None]], -1),
        'S': np.concatenate([joints, ones], -1),
    }
    return arrays, factor


def to_mmpose(pickle_path: str, camera_path: str, out: Path) -> list[tuple]:
    """Writes MMPose's three annotation files.

    Returns:
        Per half: name, frames, videos, greatest move of a joint in pixels.
    """
    cameras = h36m_files.read_cameras(camera_path)
    out.mkdir(parents=True, exist_ok=True)
    counts = []
    for split in motionbert_files.FRAMES:
        data = motionbert_files.read_split(pickle_path, split)
        needed = {
            (f'S{int(source[2:4])}', str(camera))
            for source, camera in set(
                zip(data.source.tolist(), data.camera_name.tolist(), strict=True)
            )
        }
        h36m_files.check_cameras(camera_path, cameras, needed)
        arrays, factor = mmpose_arrays(pickle_path, data, cameras)
        target = out / f'h36m_{split}_original.npz'
        np.savez(target, **arrays)
        if split == 'test':
            np.save(out / 'h36m_factors.npy', factor)
        written = h36m_files.read_annotations(str(target), 17)
        videos = [path.rpartition('_')[0] for path in written['imgname'].tolist()]
        image = np.empty((len(videos), 17, 3))
        runs = clips.runs(np.array(videos))
        for start, stop in runs:
            parts = split_name(videos[start])
            camera = cameras[parts.subject, parts.camera]
            part = slice(start, stop)
            image[part], _ = to_image(written['S'][part, :, :3], camera)
        moved = float(np.abs(image - data.joint3d_image).max())
        expected = len(data.source), len(clips.runs(data.source))
        compare(target, (len(videos), len(runs)), expected, moved)
        counts.append((split, *expected, moved))
    return counts


def motionbert_half(
    annotations: dict[str, np.ndarray], factor: np.ndarray | None, cameras: dict
) -> dict:
    """MMPose's arrays as one half of the pickle."""
    names = annotations['imgname'].tolist()
    videos = np.array([path.rpartition('_')[0] for path in names])
    image = np.empty((len(videos), 17, 3))
    own_factor = np.empty(len(videos))
    labels: dict[str, list[str]] = {'source': [], 'camera_name': [], 'action': []}
    for start, stop in clips.runs(videos):
        parts = split_name(videos[start])
        part, count = slice(start, stop), stop - start
        camera = cameras[parts.subject, parts.camera]
        image[part], own_factor[part] = to_image(annotations['S'][part, :, :3], camera)
        source, action = source_of(parts)
        labels['source'] += [source] * count
        labels['camera_name'] += [parts.camera] * count
        labels['action'] += [action] * count
    half = {
        'joint_2d': annotations['part'][..., :2],
        'confidence': annotations['part'][..., 2:],
        'joint3d_image': image,
        **{key: np.array(values) for key, values in labels.items()},
    }
    factor = own_factor if factor is None else factor
    half['2.5d_factor'] = factor
    half['joints_2.5d_image'] = image * factor[:, None, None]
    return half


def source_of(name: Name) -> tuple[str, str]:
    """MotionBERT's name of a video, and of its action."""
    stem, _, take = name.action.partition('_')
    known = [entry[1:] for entry in ACTIONS if stem.lower().startswith(entry[0])]
    if not known:
        raise ValueError(f"unknown action '{name.action}' in the name of a video")
    number, action = known[0]
    if name.camera not in CAMERA_NUMBERS:
        raise ValueError(
            f"expected a camera out of {sorted(CAMERA_NUMBERS)}, found '{name.camera}'"
        )
    return (
        f's_{int(name.subject[1:]):02d}_act_{number:02d}_subact_{int(take or 2):02d}_'
        f'ca_{CAMERA_NUMBERS[name.camera]:02d}',
        action,
    )


def to_motionbert(folder: Path, camera_path: str, out: Path) -> list[tuple]:
    """Writes the pickle.

    Returns:
        As of :func:`to_mmpose`.
    """
    cameras = h36m_files.read_cameras(camera_path)
    halves, expected = {}, {}
    for split in motionbert_files.FRAMES:
        annotations = h36m_files.read_annotations(
            str(folder / f'h36m_{split}_original.npz'), 17
        )
        names = annotations['imgname']
        videos = {(name.subject, name.camera) for name in map(split_name, names)}
        h36m_files.check_cameras(camera_path, cameras, videos)
        factor = None
        if split == 'test':
            factors = str(folder / 'h36m_factors.npy')
            h36m_files.check_factors(factors, names)
            factor = np.load(factors, allow_pickle=False)
        halves[split] = motionbert_half(annotations, factor, cameras)
        expected[split] = len(names), len({n.rpartition('_')[0] for n in names})
    with out.open('wb') as file:
        pickle.dump(halves, file, protocol=4)
    counts = []
    for split, half in halves.items():
        written = motionbert_files.read_split(str(out), split)
        moved = float(np.abs(written.joint3d_image - half['joint3d_image']).max())
        found = len(written.source), len(clips.runs(written.source))
        compare(out, found, expected[split], moved)
        counts.append((split, *found, moved))
    return counts


def compare(path: Path, found: tuple, expected: tuple, moved: float) -> None:
    """Checks what was written against what it was made of."""
    if found != expected or not moved < LABEL_TOLERANCE:
        raise ValueError(
            f'{path}: expected {expected} frames and videos, found {found}; joints '
            f'moved by up to {moved:.4f} px, {LABEL_TOLERANCE} are allowed'
        )


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    mmpose = commands.add_parser('to-mmpose', help="write MMPose's files")
    mmpose.add_argument('source', help="MotionBERT's pickle")
    mmpose.add_argument('cameras', help='cameras.pkl')
    mmpose.add_argument('out', type=Path, help='folder to write')
    mmpose.set_defaults(run=to_mmpose)
    motionbert = commands.add_parser('to-motionbert', help='write the pickle')
    motionbert.add_argument('source', type=Path, help="folder of MMPose's files")
    motionbert.add_argument('cameras', help='cameras.pkl')
    motionbert.add_argument('out', type=Path, help='file to write')
    motionbert.set_defaults(run=to_motionbert)
    for command in (mmpose, motionbert):
        command.add_argument(
            '--strict',
            action='store_true',
            help='fail where the frames are not as many as were released',
        )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    args = parse_args(argv)
    try:
        counts = args.run(args.source, args.cameras, args.out)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'error: {error}')
    differs = False
    for split, frames, videos, moved in counts:
        released = motionbert_files.FRAMES[split]
        verdict = 'as released' if frames == released else f'released: {released:,}'
        differs |= frames != released
        print(
            f'{split}: {frames:,} frames ({verdict}), {videos} videos, joints moved by '
            f'at most {moved:.1e} px'
        )
    if differs and args.strict:
        sys.exit(1)


if __name__ == '__main__':
    main()
