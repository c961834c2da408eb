"""MMPose's InterHand2.6M, with checks and cures."""

from collections.abc import Callable, Sequence
from logging import WARNING
from os import path as osp
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.datasets.datasets import InterHand3DDataset as StockInterHand3DDataset

from mmssm.registry import DATASETS
from mmssm.structures.hand import NUM_JOINTS
from mmssm.utils.annotation_files import (
    as_array,
    check_shape,
    read_json,
    require,
    require_keys,
    require_list,
    require_types,
)

PREPARATION = 'docs/datasets/interhand.md says where the files come from'

IMAGE_TYPES = {
    'id': int,
    'file_name': str,
    'width': int,
    'height': int,
    'capture': int | str,
    'camera': str,
    'frame_idx': int | str,
}
ANNOTATION_TYPES = {
    'id': int,
    'image_id': int,
    'bbox': list,
    'joint_valid': list,
    'hand_type': str,
    'hand_type_valid': int | float,
}
CAMERA_SHAPES = {'campos': (3,), 'camrot': (3, 3), 'focal': (2,), 'princpt': (2,)}
KEPT = np.dtype(
    [
        ('id', np.int64),
        ('img_id', np.int64),
        ('image_size', np.int32, 2),
        ('keypoints', np.float32, (1, 2 * NUM_JOINTS, 3)),
        ('keypoints_cam', np.float32, (1, 2 * NUM_JOINTS, 3)),
        ('keypoints_visible', np.float32, (1, 2 * NUM_JOINTS)),
        ('hand_type', np.float32, (1, 2)),
        ('hand_type_valid', np.float32, 1),
        ('rel_root_depth', np.float32),
        ('rel_root_valid', np.float32),
        ('abs_depth', np.float32, 2),
        ('focal', np.float32, 2),
        ('principal_pt', np.float32, 2),
        ('bbox', np.float32, (1, 4)),
        ('bbox_score', np.float32, 1),
    ]
)
"""What differs between samples, but for the names of their images."""


@DATASETS.register_module()
class InterHand3DDataset(StockInterHand3DDataset):
    """InterHand2.6M, versions 0.0 and 1.0, through MMPose's class of that name.

    Samples, order of the 42 joints and units (millimetres) are MMPose's, so its
    ``InternetHead`` and ``InterHandMetric`` work unchanged. What the stock class
    cannot do:

    - say which file and which annotation does not hold: it stops at a bare
      ``AssertionError``, ``KeyError`` or shape mismatch, and leaves out boxes of no
      size without a word;
    - read boxes and depths of RootNet: it hands ``json.load`` the path instead of
      the file, for every annotation;
    - take a part of the annotations, such as those made by humans (H) of the
      published tables;
    - keep 1.4 kB of an annotation instead of 10: it holds a dict of small arrays
      for each and a copy of its annotation, and all cameras and joints. Here they
      are rows of one array, which workers share.

    Samples also have ``image_size``, which ``mmssm.LoadCheckedImage`` holds the
    image to. Joints that are not annotated may be anywhere; where they have no
    projection, their ``keypoints`` are 0.

    Args:
        ann_file: ``InterHand2.6M_<split>_data.json``.
        camera_param_file: ``InterHand2.6M_<split>_camera.json``.
        joint_file: ``InterHand2.6M_<split>_joint_3d.json``.
        use_gt_root_depth: Whether boxes and wrist depths are those annotated, or
            those of ``rootnet_result_file``.
        rootnet_result_file: json list of ``annot_id``, ``bbox`` (x, y, width,
            height) and ``abs_depth`` (right, left; millimetres).
        annotation_ids_file: Text with one annotation id a line; others are left
            out. Default: all.
        invalid: As in :class:`mmssm.datasets.HandDataset`: ``'raise'`` or
            ``'skip'`` at boxes of no size.
        data_root: This and all that follow are as in MMPose's class.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    def __init__(
        self,
        ann_file: str,
        camera_param_file: str,
        joint_file: str,
        use_gt_root_depth: bool = True,
        rootnet_result_file: str | None = None,
        annotation_ids_file: str | None = None,
        invalid: str = 'raise',
        data_root: str | None = None,
        data_prefix: dict | None = None,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if invalid not in ('raise', 'skip'):
            raise ValueError(f"invalid must be 'raise' or 'skip', got '{invalid}'")
        if not use_gt_root_depth and rootnet_result_file is None:
            raise ValueError(
                'use_gt_root_depth=False takes boxes and depths from a '
                'rootnet_result_file, and none is given'
            )
        root = data_root or ''
        for name in (ann_file, camera_param_file, joint_file):
            require(osp.join(root, name), 'annotation file', PREPARATION)
        self.invalid = invalid
        self._rootnet: dict[int, dict] | None = None
        if not use_gt_root_depth:
            self._rootnet = _read_rootnet(osp.join(root, rootnet_result_file or ''))
        self._chosen: set[int] | None = None
        if annotation_ids_file is not None:
            self._chosen = _read_ids(osp.join(root, annotation_ids_file))
        super().__init__(
            ann_file=ann_file,
            camera_param_file=camera_param_file,
            joint_file=joint_file,
            metainfo=metainfo,
            data_root=root,
            data_prefix=data_prefix or {'img': ''},
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    @property
    def is_part(self) -> bool:
        """Whether a part of the annotations was chosen."""
        return self._chosen is not None

    def load_data_list(self) -> list[dict]:
        """One entry per annotation; it is gathered when it is asked for.

        Raises:
            FileNotFoundError: A file does not exist.
            ValueError: A file does not hold what it should.
        """
        files = (self.ann_file, self.camera_param_file, self.joint_file)
        data, self.cameras, self.joints = (
            read_json(path, 'annotation file', PREPARATION) for path in files
        )
        require_keys(self.ann_file, 'the file', data, ('images', 'annotations'))
        images = {}
        listed = require_list(self.ann_file, 'images', data['images'])
        for number, one in enumerate(listed):
            require_types(self.ann_file, f'image {number}', one, IMAGE_TYPES)
            images[one['id']] = one
        annotations = require_list(self.ann_file, 'annotations', data['annotations'])
        kept = np.zeros(len(annotations), KEPT)
        names: list[bytes] = []
        for number, one in enumerate(annotations):
            where = f'annotation {number}'
            require_types(self.ann_file, where, one, ANNOTATION_TYPES)
            if self._chosen is not None and one['id'] not in self._chosen:
                continue
            if one['image_id'] not in images:
                raise ValueError(
                    f'{self.ann_file}: annotation {number} (id {one["id"]}) is of '
                    f'image {one["image_id"]}, which the file does not list'
                )
            hand = self._parse(one, images[one['image_id']])
            if hand is not None and self._is_valid_instance(hand):
                kept[len(names)] = tuple(hand[key] for key in KEPT.names or ())
                names.append(images[one['image_id']]['file_name'].encode())
        del self.cameras, self.joints
        if not names:
            raise ValueError(f'{self.ann_file} holds no hand that can be used')
        self._kept, self._names = kept[: len(names)], np.array(names)
        return [{'hand': row} for row in range(len(names))]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Gathers a sample.

        Args:
            idx: Index of the sample.

        Returns:
            The keys of MMPose's class, and ``image_size``.
        """
        info = super().get_data_info(idx)
        row = info.pop('hand')
        kept = self._kept[row]
        info.update({key: kept[key].copy() for key in KEPT.names or ()})
        for key in ('id', 'img_id'):
            info[key] = int(info[key])
        info['image_size'] = tuple(info['image_size'].tolist())
        info['abs_depth'] = list(info['abs_depth'])
        info['img_path'] = osp.join(self.data_prefix['img'], self._names[row].decode())
        info.update(rotation=0, iscrowd=False, num_keypoints=2 * NUM_JOINTS)
        info['dataset'] = self.metainfo['dataset_name']
        return info

    def _parse(self, annotation: dict, image: dict) -> dict | None:
        where = f'annotation {annotation["id"]} (image {image["file_name"]})'
        self._check(where, annotation, image)
        info = super().parse_data_info(
            {
                'raw_ann_info': annotation,
                'raw_img_info': {
                    **image,
                    'img_path': osp.join(self.data_prefix['img'], image['file_name']),
                },
            }
        )
        del info['raw_ann_info']
        info['image_size'] = (image['width'], image['height'])
        if self._rootnet is not None:
            self._take_rootnet(where, info)
        seen = info['keypoints_visible'] > 0
        good = np.isfinite(info['keypoints']).all(-1)
        if (seen & ~good).any():
            raise ValueError(
                f'{self.ann_file}: {where}: joints that are marked as valid have no '
                'projection'
            )
        info['keypoints'][~good] = 0
        box = info['bbox'][0]
        if np.isfinite(box).all() and (box[:2] < box[2:]).all():
            return info
        message = f'{self.ann_file}: {where}: its box has no size: {box.tolist()}'
        if self.invalid == 'raise':
            raise ValueError(f"{message} (invalid='skip' leaves it out)")
        print_log(f'{message}; left out', 'current', WARNING)
        return None

    def _check(self, where: str, annotation: dict, image: dict) -> None:
        """Checks what belongs to an annotation in all three files."""
        path = self.ann_file
        name = f'joint_valid of {where}'
        valid = as_array(path, name, annotation['joint_valid'])
        if valid.size != 2 * NUM_JOINTS or valid.dtype.kind not in 'iufb':
            raise ValueError(
                f'{path}: expected {name} to be 42 numbers, found shape {valid.shape}'
            )
        check_shape(path, f'bbox of {where}', annotation['bbox'], (4,))
        if annotation['hand_type'] not in ('right', 'left', 'interacting'):
            raise ValueError(
                f"{path}: expected hand_type of {where} to be 'right', 'left' or "
                f"'interacting', found {annotation['hand_type']!r}"
            )
        path, capture = self.camera_param_file, str(image['capture'])
        camera = require_keys(path, 'the file', self.cameras, [capture])[capture]
        require_keys(path, f'capture {capture}', camera, CAMERA_SHAPES)
        for key, shape in CAMERA_SHAPES.items():
            of = f'{key} of capture {capture}'
            values = require_keys(path, of, camera[key], [image['camera']])
            of = f'{of}, camera {image["camera"]}'
            check_shape(path, of, values[image['camera']], shape)
        path, frame = self.joint_file, str(image['frame_idx'])
        frames = require_keys(path, 'the file', self.joints, [capture])[capture]
        pose = require_keys(path, f'capture {capture}', frames, [frame])[frame]
        of = f'frame {frame} of capture {capture}'
        pose = require_keys(path, of, pose, ['world_coord'])
        check_shape(path, f'world_coord of {of}', pose['world_coord'], (42, 3))

    def _take_rootnet(self, where: str, info: dict) -> None:
        found = (self._rootnet or {}).get(int(info['id']))
        if found is None:
            raise ValueError(
                f'the rootnet_result_file has no box and depth for {where}'
            )
        x, y, width, height = found['bbox']
        info['bbox'] = np.array([[x, y, x + width, y + height]], np.float32)
        info['abs_depth'] = list(found['abs_depth'])


def _read_rootnet(path: str) -> dict[int, dict]:
    found = {}
    entries = read_json(path, 'RootNet result', PREPARATION)
    types = {'annot_id': int | str, 'bbox': list, 'abs_depth': list}
    for number, entry in enumerate(require_list(path, 'the file', entries)):
        require_types(path, f'entry {number}', entry, types)
        check_shape(path, f'bbox of entry {number}', entry['bbox'], (4,))
        check_shape(path, f'abs_depth of entry {number}', entry['abs_depth'], (2,))
        found[int(entry['annot_id'])] = entry
    return found


def _read_ids(path: str) -> set[int]:
    require(path, 'list of annotations', PREPARATION)
    with open(path, encoding='utf-8') as file:
        words = file.read().split()
    if not words or not all(word.isdecimal() for word in words):
        raise ValueError(f'{path}: expected one annotation id, a number, a line')
    return {int(word) for word in words}
