"""Clips of filmed people, cut from arrays that hold every frame once."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import path as osp
from typing import ClassVar

import numpy as np
from mmengine.dataset import BaseDataset
from mmpose.datasets.datasets import BaseMocapDataset

from mmssm.datasets.datasets.epoch_seeded import EpochSeededMixin

SKELETON_KEYS = (
    'upper_body_ids',
    'lower_body_ids',
    'flip_pairs',
    'dataset_keypoint_weights',
    'flip_indices',
    'skeleton_links',
)
"""Metainfo that MMPose's datasets put into every sample."""


@dataclass(frozen=True)
class Film:
    """One video of one camera.

    Attributes:
        name: Frames are named ``<name>_<number>.jpg``, six digits.
        width: Of the images, pixels.
        height: Of the images, pixels.
    """

    name: str
    width: int
    height: int


@dataclass(frozen=True)
class Footage:
    """Every frame of a data set, once.

    Attributes:
        films: The videos.
        film: ``(F,)`` which video a frame belongs to.
        number: ``(F,)`` number of the frame in its video, from 1.
        keypoints: ``(F, K, 2)`` pixels, float32.
        confidence: ``(F, K)``, float32.
        joints: ``(F, K, 3)`` the target, float32; ``joints * factor`` relative
            to the root is metres.
        factor: ``(F,)`` float32.
        target: ``(F, K, 3)`` what the evaluation compares with, in the unit of
            ``joints``. Default: ``joints``.
    """

    films: Sequence[Film]
    film: np.ndarray
    number: np.ndarray
    keypoints: np.ndarray
    confidence: np.ndarray
    joints: np.ndarray
    factor: np.ndarray
    target: np.ndarray | None = None


@dataclass(frozen=True)
class Clip:
    """A sample: which frames, and which of them count.

    Attributes:
        frames: ``(T,)`` indices into the footage.
        counted: ``(T,)`` bool; the others have ``lifting_target_visible`` 0.
    """

    frames: np.ndarray
    counted: np.ndarray


class ClipDataset(EpochSeededMixin, BaseMocapDataset):
    """Base of data sets whose samples are clips of long videos.

    What MMPose's ``BaseMocapDataset`` cannot do: it copies every clip out of
    the annotations when it is built, overlaps included, which is gigabytes for
    Human3.6M, and pickles them; it knows one target type and reads ``.npz``
    alone. Here frames stand in arrays once, workers share them, and a clip is
    gathered when it is asked for. A sample has the keys of MMPose's
    ``Human36mDataset`` with ``multiple_target``, so its codecs and transforms
    work unchanged. The camera has ``w`` and ``h`` alone: then
    ``MotionBERTLabel`` takes the target as it is, in image coordinates of
    thousands of pixels, and does not project it.

    Random transforms repeat exactly; see :class:`EpochSeededMixin`.

    Args:
        ann_file: The annotations.
        seq_len: Frames of a clip, T.
        stride: Frames from one clip to the next.
        data_root: Folder that relative paths start from.
        seed: Seed of the pipeline's random transforms and of all that is drawn
            while clips are cut.
        metainfo, indices, serialize_data, pipeline, test_mode, lazy_init: As in
            MMPose's ``BaseMocapDataset``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: An argument out of its range, or a file does not hold what
            it should.
    """

    METAINFO: ClassVar[dict] = {'from_file': 'configs/_base_/datasets/h36m.py'}

    def __init__(
        self,
        ann_file: str,
        seq_len: int,
        stride: int,
        data_root: str | None = None,
        seed: int = 0,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
    ) -> None:
        for name, value in {'seq_len': seq_len, 'stride': stride}.items():
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        self.stride = stride
        self.seed = seed
        # the parent class cuts clips before it stores these
        self.seq_len = seq_len
        self.test_mode = test_mode
        self.num_keypoints = self._load_metainfo(metainfo)['num_keypoints']
        self.footage = self.read(osp.join(data_root or '', ann_file))
        super().__init__(
            ann_file=ann_file,
            seq_len=seq_len,
            causal=False,
            data_root=data_root or '',
            metainfo=metainfo,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    @abstractmethod
    def read(self, path: str) -> Footage:
        """Reads and checks the annotations."""

    @abstractmethod
    def cut(self) -> list[Clip]:
        """Cuts the footage into clips."""

    def _load_ann_file(self, ann_file: str) -> None:
        """The annotations are there already."""

    def get_sequence_indices(self) -> list[Clip]:
        """The clips."""
        clips = self.cut()
        if not clips:
            raise ValueError(
                f'no clip of {self.seq_len} frames fits {len(self.footage.film)} '
                f'frames in {len(self.footage.films)} videos; use a shorter seq_len'
            )
        return clips

    def load_data_list(self) -> list[dict]:
        """One entry per clip; its frames are gathered when they are asked for."""
        return [{'clip': clip} for clip in range(len(self.sequence_indices))]

    def get_data_info(self, idx: int) -> dict:
        """Gathers a sample.

        Args:
            idx: Index, plus the number of the epoch times ``len(self)``.

        Returns:
            The keys of MMPose's ``Human36mDataset``.
        """
        _, index = self.split_index(idx)
        # BaseMocapDataset's own lookup deep-copies the skeleton for each sample
        info = BaseDataset.get_data_info(self, index)
        info.update({key: self._metainfo[key] for key in SKELETON_KEYS})
        clip = self.sequence_indices[info.pop('clip')]
        frames, footage = clip.frames, self.footage
        film = footage.films[footage.film[frames[0]]]
        numbers = footage.number[frames]
        names = [f'{film.name}_{number:06d}.jpg' for number in numbers]
        keypoints, joints = footage.keypoints[frames], footage.joints[frames]
        target = joints if footage.target is None else footage.target[frames]
        confidence = footage.confidence[frames]
        low, high = keypoints[0].min(0), keypoints[0].max(0)
        visible = np.repeat(
            clip.counted[:, None].astype(np.float32), self.num_keypoints, 1
        )
        info.update(
            num_keypoints=self.num_keypoints,
            keypoints=keypoints,
            keypoints_visible=confidence,
            keypoints_3d=joints,
            keypoints_3d_visible=visible,
            lifting_target=target.copy(),
            lifting_target_visible=visible.copy(),
            factor=footage.factor[frames],
            camera_param={'w': film.width, 'h': film.height},
            center=((low + high) / 2)[None],
            scale=np.float32(1.2 * (high - low).max() / 200),
            category_id=1,
            iscrowd=0,
            img_paths=names,
            img_ids=frames.tolist(),
            target_img_path=names,
            id=index,
        )
        return info
