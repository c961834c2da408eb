"""Whether a hand data set's units, orders, cameras and counts are as they should be.

Counts are those of the released files, and a part of a data set has others.
Measures are of any part: a factor of 10 or 1000, joints in another order or a
mirrored frame shows in them at once.
"""

from collections.abc import Sequence
from os import path as osp
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset

from mmssm.datasets import (
    dexycb_files,
    freihand_files,
    hamer_files,
    hint_files,
    ho3d_files,
    nyu_files,
    rhd_files,
)
from mmssm.datasets.checks import Check
from mmssm.datasets.datasets import (
    AssemblyHandsDataset,
    DexYCBDataset,
    FreiHAND3DDataset,
    HandMeshTarDataset,
    HIntDataset,
    HO3DDataset,
    InterHand3DDataset,
    NYUHandDataset,
    RHD3DDataset,
)
from mmssm.datasets.datasets.hand_dataset import HandSamples
from mmssm.datasets.mano_poses import FREE_HAND
from mmssm.datasets.transforms import LoadCheckedImage
from mmssm.datasets.transforms.checked_image import check_image_file
from mmssm.geometry.hand_model import free_hand_file, load_hand_model
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.geometry.skinning import pose_hand
from mmssm.structures import hand

INTERHAND_IMAGES = {'train': 1361062, 'val': 380125, 'test': 849160}
"""Images of version 1.0, human and machine annotations."""

NYU_FIRST_JOINT = (169.221, 199.638, 736.417)
"""Tip of the little finger in the first test frame, pixels and millimetres."""

_MOST = 2000


class Measure(NamedTuple):
    """Something measured, and between what it should lie.

    Attributes:
        what: What it is, with its unit.
        found: Its value; NaN where there was nothing to measure.
        low: Least value.
        high: Greatest value.
    """

    what: str
    found: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether it lies there, or could not be measured."""
        return bool(np.isnan(self.found)) or self.low <= self.found <= self.high


def is_hand_dataset(dataset: BaseDataset) -> bool:
    """Whether the functions here know a dataset."""
    return isinstance(dataset, HandSamples | InterHand3DDataset)


def check_counts(dataset: BaseDataset) -> list[Check]:
    """Compares counts with those of the released files.

    Args:
        dataset: One of this package's, of hands.

    Returns:
        The counts, in the order to print them.
    """
    samples = len(dataset)
    if isinstance(dataset, FreiHAND3DDataset):
        return _count_freihand(dataset)
    if isinstance(dataset, DexYCBDataset):
        key = (dataset.setup, dataset.split)
        images = dataset.hands.total
        return [
            Check('images', images or 0, dexycb_files.COUNTS.get(key)),
            Check('hands', samples, dexycb_files.HANDS.get(key)),
        ]
    if isinstance(dataset, RHD3DDataset):
        images = dataset.hands.total or 0
        expected = rhd_files.COUNTS[dataset.split]
        return [Check('images', images, expected), Check('hands', samples, None)]
    if isinstance(dataset, NYUHandDataset):
        frames = Check('frames', samples, nyu_files.COUNTS[dataset.split])
        published = dataset.split == 'test' and dataset.view == 1
        return [frames, _first_nyu_joint(dataset)] if published else [frames]
    if isinstance(dataset, HO3DDataset):
        images = dataset.hands.total or 0
        expected = ho3d_files.COUNTS[dataset.version, dataset.split]
        return [Check('images', images, expected), Check('hands', samples, None)]
    if isinstance(dataset, HIntDataset):
        known = hint_files.COUNTS.get((dataset.split, dataset.source))
        return [Check('hands', samples, known)]
    if isinstance(dataset, HandMeshTarDataset):
        name = osp.basename(osp.normpath(dataset.data_root))
        hands = len(dataset.index.tar)
        kept = Check('hands that pass the filters', samples, None)
        return [Check('hands', hands, hamer_files.SETS.get(name)), kept]
    if isinstance(dataset, InterHand3DDataset):
        split = {
            f'InterHand2.6M_{name}_data.json': count
            for name, count in INTERHAND_IMAGES.items()
        }
        known = None if dataset.is_part else split.get(osp.basename(dataset.ann_file))
        return [Check('images', samples, known)]
    return [Check('hands', samples, None)]


def _count_freihand(dataset: FreiHAND3DDataset) -> list[Check]:
    if dataset.metainfo['dataset_name'] != 'freihand3d':
        return [Check('images', len(dataset), None)]
    hands = freihand_files.COUNTS[dataset.split]
    versions = freihand_files.VERSIONS if dataset.split == 'training' else 1
    if dataset.versions is not None:
        versions = len(dataset.versions)
    return [
        Check('hands', len(dataset.hands.keypoints), hands),
        Check('images', len(dataset.hands.image), versions * hands),
    ]


def measure(dataset: BaseDataset) -> list[Measure]:
    """Measures units, orders and cameras on up to 2,000 samples.

    Args:
        dataset: As for :func:`check_counts`.

    Returns:
        The measures, in the order to print them.
    """
    step = max(1, len(dataset) // _MOST)
    samples = [dataset.get_data_info(i) for i in range(0, len(dataset), step)]
    measures = []
    if 'focal' in samples[0]:
        off = _projection_error(samples)
        measures.append(Measure('2D off the projection, px', off, 0, 1))
    if 'keypoints_cam' in samples[0]:
        two_hands = isinstance(dataset, InterHand3DDataset)
        measures += _hand_measures(samples, two_hands)
    model = getattr(dataset, 'hand_model', None)
    if model is not None:
        off = _parameters_error(samples, model)
        measures.append(Measure('joints off parameters, mm', off, 0, 1))
    if isinstance(dataset, AssemblyHandsDataset | InterHand3DDataset):
        share = _share_in_boxes(samples)
        measures.append(Measure('share of joints in boxes', share, 0.95, 1))
    if isinstance(dataset, FreiHAND3DDataset):
        measures += _measure_freihand(dataset)
    if isinstance(dataset, NYUHandDataset):
        measures += _measure_nyu(dataset)
    return measures


def check_images(dataset: BaseDataset, count: int) -> None:
    """Checks some images, evenly spread over the data set.

    Args:
        dataset: As for :func:`check_counts`.
        count: How many.

    Raises:
        ValueError: One is missing or spoiled.
    """
    places = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)
    for place in places:
        info = dataset.get_data_info(int(place))
        if 'img_bytes' in info:
            LoadCheckedImage()(info)
            continue
        try:
            check_image_file(info['img_path'], size=info.get('image_size'))
        except ValueError as error:
            raise ValueError(
                f'image {info["img_path"]} of sample {place}: {error}'
            ) from error


def _projection_error(samples: Sequence[dict]) -> float:
    distances = []
    for info in samples:
        seen = info['keypoints_visible'][0] > 0
        joints = info['keypoints_cam'][0, seen]
        focal, principal = np.ravel(info['focal']), np.ravel(info['principal_pt'])
        pixels = joints[:, :2] / joints[:, 2:] * focal + principal
        off = np.linalg.norm(pixels - info['keypoints'][0, seen, :2], axis=-1)
        distances.append(off)
    return _median(np.concatenate(distances))


def _in_space(info: dict) -> np.ndarray:
    """Which joints are known in space, ``(K,)`` bool."""
    joints = info['keypoints_cam'][0]
    return info.get('keypoints_cam_weights', np.ones((1, len(joints))))[0] > 0


def _parameters_error(samples: Sequence[dict], model: str) -> float:
    """Joints of right hands off those that their parameters give, millimetres.

    Relative to the wrist, and without fingertips, whose vertices data sets disagree
    about.
    """
    known = [
        info
        for info in samples
        if np.all(info.get('has_mano_pose', 0))
        and np.all(info.get('has_betas', 0))
        and info['hand_type'][0, 0]
    ]
    if not known:
        return float('nan')
    hand_model = load_hand_model(free_hand_file() if model == FREE_HAND else model)
    pose, betas, joints = (
        torch.from_numpy(np.concatenate([info[key] for info in known]))
        for key in ('mano_pose', 'mano_betas', 'keypoints_cam')
    )
    turns = axis_angle_to_matrix(pose.unflatten(1, (-1, 3)))
    made = pose_hand(hand_model, turns, betas).joints.numpy()
    stored = hand.reorder(joints.numpy(), 'op21', 'mano')[:, : made.shape[1]]
    off = (made - made[:, :1]) - (stored - stored[:, :1])
    return 1000 * _median(np.linalg.norm(off, axis=-1))


def _hand_measures(samples: Sequence[dict], two_hands: bool) -> list[Measure]:
    """Bone lengths and which hand it is, where there are 21 joints to a hand."""
    found: dict[str, list[np.ndarray]] = {'right': [], 'left': []}
    for info in samples:
        joints, seen = info['keypoints_cam'][0], info['keypoints_visible'][0] > 0
        if two_hands:
            for side, hands in found.items():
                if hand.half(seen, 'interhand', side, axis=0).all():
                    hands.append(hand.half(joints, 'interhand', side) / 1000)
        elif joints.shape[0] == hand.NUM_JOINTS and _in_space(info).all():
            side = 'right' if info['hand_type'][0, 0] else 'left'
            found[side].append(joints)
    every = [*found['right'], *found['left']]
    bones = [1000 * float(np.linalg.norm(one[9] - one[0])) for one in every]
    measures = [Measure('wrist to middle finger, mm', _median(bones), 70, 110)]
    for side, (low, high) in {'right': (0, 1), 'left': (-1, 0)}.items():
        turned = [float(hand.chirality(one)) for one in found[side]]
        measures.append(
            Measure(f'chirality of {side} hands', _median(turned), low, high)
        )
    return measures


def _share_in_boxes(samples: Sequence[dict]) -> float:
    inside = []
    for info in samples:
        points = info['keypoints'][0, info['keypoints_visible'][0] > 0, :2]
        low, high = info['bbox'][0, :2] - 1, info['bbox'][0, 2:] + 1
        inside.append(((points >= low) & (points <= high)).all(-1))
    return float(np.concatenate(inside).mean())


def _measure_freihand(dataset: FreiHAND3DDataset) -> list[Measure]:
    """Against the files of MANO's parameters and of scales, if they are there."""
    hands, measures = dataset.hands, []
    root, split, count = dataset.data_root, dataset.split, len(hands.keypoints)
    if osp.isfile(osp.join(root, f'{split}_mano.json')):
        rows = freihand_files.read_column(root, split, 'mano', (count, 1, 61))
        off = hands.keypoints[:, hand.MIDDLE_BASE] - rows[:, 0, 58:60]
        distance = _median(np.linalg.norm(off, axis=-1))
        measures.append(Measure("joint 9 off mano's root, px", distance, 0, 1))
    if osp.isfile(osp.join(root, f'{split}_scale.json')) and hands.joints is not None:
        scale = freihand_files.read_column(root, split, 'scale', (count,))
        bone = np.linalg.norm(hands.joints[:, 9] - hands.joints[:, 10], axis=-1)
        distance = 1000 * _median(np.abs(bone - scale))
        measures.append(Measure('bone off the scale, mm', distance, 0, 1))
    return measures


def _measure_nyu(dataset: NYUHandDataset) -> list[Measure]:
    """The file's 3D joints against those made from its pixels and depths."""
    uvd, xyz = nyu_files.read_joints(dataset.data_root, dataset.split, dataset.view)
    made = nyu_files.to_camera(uvd, *(np.array(one) for one in dataset.camera))
    distance = 1000 * _median(np.linalg.norm(made - xyz, axis=-1))
    depth = 1000 * _median(dataset.hands.extra['cube_center'][:, 2])
    return [
        Measure('3D off pixels and depth, mm', distance, 0, 5),
        Measure('depth of centres, mm', depth, 300, 1500),
    ]


def _first_nyu_joint(dataset: NYUHandDataset) -> Check:
    """How far the first test joint is from the published one, in whole units."""
    uvd, _ = nyu_files.read_joints(dataset.data_root, dataset.split, dataset.view)
    off = np.abs(uvd[0, 0] - NYU_FIRST_JOINT).max()
    return Check('first joint off A2J, px or mm', round(float(off)), 0)


def _median(values: Sequence[float] | np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float('nan')
