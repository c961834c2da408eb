"""Hands in the plane, out of data sets that MMPose reads."""

import re
from collections.abc import Iterator, Mapping
from logging import WARNING
from os import path as osp
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log
from mmpose.registry import DATASETS as MMPOSE_DATASETS

from mmssm.datasets.datasets.hand_dataset import HandDataset
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.registry import DATASETS
from mmssm.structures.hand import NUM_JOINTS
from mmssm.utils.annotation_files import DAMAGED

BY_FILE_NAME = 'file_name'


@DATASETS.register_module()
class Hand2DDataset(HandDataset):
    """Single hands out of one of MMPose's data sets of 2D joints.

    MMPose's classes read the annotations; this one makes of each hand a sample like
    those of the other hand sets, so that they stand in one mixture. What MMPose's
    own ``CocoWholeBodyHandDataset`` cannot do: it does not say which hand a sample
    is, and MMPose has no class of Halpe's hands.

    Samples have the keys of :class:`HandDataset` without those in space. Hands with
    few joints known are left out. Boxes are those of the joints known.

    Args:
        dataset: Config of MMPose's dataset; its joints of a hand are in the order
            ``'op21'``, one after another.
        hands: First joint of each hand, ``dict(left=91, right=112)`` for
            COCO-WholeBody's 133, ``dict(left=94, right=115)`` for Halpe's 136,
            ``dict(right=0)`` where all are right hands; or ``'file_name'`` where the
            image's name ends in ``_l`` or ``_r`` (hands of other images are left
            out, with a warning that counts them).
        min_joints: Least number of joints known.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: There is no annotation file.
        ValueError: An argument is out of its range, or MMPose cannot read the file.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('hand2d')

    def __init__(
        self,
        dataset: dict,
        hands: Mapping[str, int] | str,
        min_joints: int = 5,
        **kwargs: Any,
    ) -> None:
        if isinstance(hands, str):
            if hands != BY_FILE_NAME:
                raise ValueError(
                    f"hands must be '{BY_FILE_NAME}' or the first joint of each hand, "
                    f"got '{hands}'"
                )
        elif (
            not hands or not set(hands) <= {'left', 'right'} or min(hands.values()) < 0
        ):
            raise ValueError(
                'hands must be the first joint of each hand, such as dict(right=0), '
                f'got {dict(hands)}'
            )
        if min_joints < 1:
            raise ValueError(f'min_joints must be at least 1, got {min_joints}')
        self.settings = dict(dataset)
        self.first = hands
        self.min_joints = min_joints
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        path = osp.join(
            self.settings.get('data_root') or '', self.settings.get('ann_file') or ''
        )
        if not osp.isfile(path):
            raise FileNotFoundError(f'annotation file {path} does not exist')
        found = list(self._hands(path, self._instances(path)))
        if not found:
            raise ValueError(
                f'{path} holds no hand of {self.min_joints} joints or more'
            )
        images, sides, points = zip(*found, strict=True)
        joints = np.stack(points).astype(np.float32)
        seen = joints[..., 2:] > 0
        return HandAnnotations(
            source=path,
            image=images,
            row=np.arange(len(found)),
            img_id=np.arange(len(found)),
            keypoints=joints[..., :2],
            visible=joints[..., 2].clip(0, 1),
            joints=None,
            focal=None,
            principal=None,
            right=np.array(sides) == 'right',
            bbox=np.concatenate(
                [
                    np.where(seen, joints[..., :2], np.inf).min(1),
                    np.where(seen, joints[..., :2], -np.inf).max(1),
                ],
                1,
            ),
        )

    def _instances(self, path: str) -> list[dict]:
        settings = {**self.settings, 'pipeline': [], 'lazy_init': True}
        inner = MMPOSE_DATASETS.build(settings)
        try:
            return inner.load_data_list()
        except (*DAMAGED, AttributeError, AssertionError) as error:
            raise ValueError(
                f'{path} cannot be read by {type(inner).__name__} '
                f'({type(error).__name__}: {error})'
            ) from error

    def _hands(
        self, path: str, instances: list[dict]
    ) -> Iterator[tuple[str, str, np.ndarray]]:
        """Image, side, and ``(21, 3)`` pixels and confidence of each hand."""
        nameless = 0
        for info in instances:
            visible = np.reshape(info['keypoints_visible'], (1, -1))
            joints = np.concatenate(
                [info['keypoints'][0][:, :2], visible[0, :, None]], 1
            )
            places = self._places(info['img_path'])
            nameless += not places
            for side, first in places.items():
                hand = joints[first : first + NUM_JOINTS]
                if len(hand) != NUM_JOINTS:
                    raise ValueError(
                        f'{path}: expected the {side} hand from joint {first} on, '
                        f'found {len(joints)} joints'
                    )
                if (hand[:, 2] > 0).sum() >= self.min_joints:
                    yield info['img_path'], side, hand
        if nameless:
            print_log(
                f'{path}: the names of {nameless:,} images do not say which hand they '
                'show; left out',
                'current',
                WARNING,
            )

    def _places(self, image: str) -> Mapping[str, int]:
        if not isinstance(self.first, str):
            return self.first
        found = re.search(r'_([lr])$', osp.splitext(image)[0])
        return {} if found is None else {{'l': 'left', 'r': 'right'}[found[1]]: 0}
