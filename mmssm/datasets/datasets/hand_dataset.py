"""Base of data sets whose samples are single hands seen by one camera."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from logging import WARNING
from typing import Any, ClassVar

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmpose.datasets.datasets import BaseCocoStyleDataset

from mmssm.datasets.datasets.clip_dataset import SKELETON_KEYS
from mmssm.datasets.hand_annotations import HandAnnotations, check_invalid, faults
from mmssm.datasets.metainfo import hand_metainfo


class HandSamples(BaseCocoStyleDataset):
    """Base of data sets of single hands, however they keep their annotations.

    What MMPose's ``BaseCocoStyleDataset`` cannot do: it takes its skeleton from a
    file of MMPose's, copies it for each sample, and keeps every annotation as a dict
    of lists. A subclass lists its samples as ``{'hand': number}`` in
    ``load_data_list`` and gathers one in :meth:`gather` when it is asked for.

    Args:
        data_root, metainfo, indices, serialize_data, pipeline, test_mode,
            lazy_init, max_refetch: As in MMPose's ``BaseCocoStyleDataset``; a
            metainfo that is no whole skeleton changes single entries, such as
            ``dict(root_joint='middle_finger1')``.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('hand')

    def __init__(
        self,
        data_root: str | None = None,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        super().__init__(
            metainfo=metainfo,
            data_root=data_root or '',
            data_prefix={},
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=True,
            max_refetch=max_refetch,
        )
        if not lazy_init:
            self.full_init()

    @abstractmethod
    def gather(self, sample: int) -> dict:
        """What is known of a sample, without the skeleton."""

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        whole = dict(metainfo or {})
        if 'from_file' not in whole:
            whole = {**cls.METAINFO, **whole}
        parsed = super()._load_metainfo(whole)
        root = whole.get('root_joint', cls.METAINFO['root_joint'])
        if root not in parsed['keypoint_name2id']:
            raise ValueError(
                f"there is no root_joint '{root}' among the joints "
                f'{list(parsed["keypoint_name2id"])}'
            )
        return {
            **parsed,
            'root_joint': root,
            'root_index': parsed['keypoint_name2id'][root],
        }

    def get_data_info(self, idx: int) -> dict:
        """Gathers a sample.

        Args:
            idx: Index of the sample.

        Returns:
            The keys that the class names.
        """
        # BaseCocoStyleDataset's own lookup deep-copies the skeleton each time
        info = BaseDataset.get_data_info(self, idx)
        info.update({key: self._metainfo[key] for key in SKELETON_KEYS})
        info['dataset_name'] = self._metainfo['dataset_name']
        info['root_index'] = self._metainfo['root_index']
        info.update(self.gather(info.pop('hand')))
        return info

    def prepare_data(self, idx: int) -> Any:
        """A sample after the pipeline.

        Raises:
            ValueError: In ``test_mode``, a transform dropped it: there is no
                other sample that could take its place.
        """
        data = super().prepare_data(idx)
        if data is None and self.test_mode:
            raise ValueError(
                f'the pipeline dropped sample {idx} '
                f'({self.get_data_info(idx)["img_path"]}); only training may replace '
                'a sample by another'
            )
        return data


class HandDataset(HandSamples):
    """Base of data sets of single hands with joints in the plane and in space.

    What MMPose's ``BaseCocoStyleDataset`` cannot do: it reads COCO's json with
    2D joints and no camera, and drops what it takes for invalid without a word.
    Here the official files are read into arrays that workers share, everything is
    checked once, and a sample is gathered when it is asked for:

    - ``img_path``, ``img_id``, ``id``, ``image_size`` (width, height, if known);
    - ``bbox (1, 4)`` corners in pixels, ``bbox_score (1,)``;
    - ``keypoints (1, K, 2)`` pixels, ``keypoints_visible (1, K)``
      confidence, 0 to 1;
    - ``keypoints_cam (1, K, 3)`` metres in the camera's frame (x right, y down, z
      forward), ``focal (1, 2)`` and ``principal_pt (1, 2)`` pixels, where the set
      knows them;
    - ``hand_type (1, 2)``, ``[1, 0]`` for right and ``[0, 1]`` for left, as
      MMPose's ``InterHand3DDataset``;
    - ``root_index``, also in ``metainfo``: the joint whose depth is given to a
      method and which errors are relative to.

    Args:
        invalid: What to do with annotations that do not hold (NaN, behind the
            camera, boxes of no size): ``'raise'``, or ``'skip'`` them with a
            warning that counts them.
        **kwargs: As in :class:`HandSamples`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: An argument out of its range, or a file does not hold what it
            should.
    """

    def __init__(self, invalid: str = 'raise', **kwargs: Any) -> None:
        check_invalid(invalid)
        self.invalid = invalid
        self.hands: HandAnnotations
        super().__init__(**kwargs)

    @abstractmethod
    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""

    def load_data_list(self) -> list[dict]:
        """One entry per hand; it is gathered when it is asked for.

        Raises:
            ValueError: Annotations do not hold, or there are none.
        """
        self.hands = hands = self.read()
        self._check_columns(hands)
        bad = np.zeros(len(hands.keypoints), bool)
        for rows, what in faults(hands):
            concerned = np.flatnonzero(rows[hands.row])
            if not len(concerned):
                continue
            message = (
                f'{hands.where(concerned[0])}: {what}; the same holds for '
                f'{len(concerned) - 1:,} more of {len(hands.row):,} samples'
            )
            if self.invalid == 'raise':
                raise ValueError(f"{message} (invalid='skip' leaves them out)")
            print_log(f'{message}; left out', 'current', WARNING)
            bad |= rows
        kept = np.flatnonzero(~bad[hands.row])
        if not len(kept):
            raise ValueError(f'{hands.source} holds no hand that can be used')
        return [{'hand': int(sample)} for sample in kept]

    def _check_columns(self, hands: HandAnnotations) -> None:
        wanted, found = self.metainfo['num_keypoints'], hands.keypoints.shape[1]
        if wanted != found:
            raise ValueError(
                f'{hands.source} has {found} joints to a hand, the metainfo '
                f'{wanted}: give the metainfo of these joints'
            )

    def gather(self, sample: int) -> dict:
        """What is known of a sample, without the skeleton."""
        hands = self.hands
        row = int(hands.row[sample])
        right = bool(hands.right[row])
        info = {
            'img_path': hands.image[sample],
            'img_id': int(hands.img_id[sample]),
            'id': sample,
            'bbox': self._bbox(row)[None],
            'bbox_score': np.ones(1, np.float32),
            'keypoints': hands.keypoints[None, row].astype(np.float32),
            'keypoints_visible': hands.visible[None, row].astype(np.float32),
            'hand_type': np.array([[right, not right]], np.float32),
            'hand_type_valid': np.ones(1, np.float32),
        }
        columns = {
            'keypoints_cam': hands.joints,
            'focal': hands.focal,
            'principal_pt': hands.principal,
        }
        for name, known in columns.items():
            if known is not None:
                info[name] = known[None, row].astype(np.float32)
        for name, column in hands.extra.items():
            info[name] = column[None, row]
        if hands.size is not None:
            info['image_size'] = tuple(hands.size[row].tolist())
        return info

    def _bbox(self, row: int) -> np.ndarray:
        if self.hands.bbox is not None:
            return self.hands.bbox[row].astype(np.float32)
        keypoints = self.hands.keypoints[row]
        return np.concatenate([keypoints.min(0), keypoints.max(0)]).astype(np.float32)
