"""Human3.6M in MMPose's files, checked before training begins."""

from collections import defaultdict
from logging import WARNING
from os import path as osp

import numpy as np
from mmengine.logging import print_log
from mmpose.datasets.datasets import Human36mDataset as MMPoseHuman36mDataset

from mmssm.datasets import h36m_files
from mmssm.datasets.datasets.epoch_seeded import EpochSeededMixin
from mmssm.registry import DATASETS


@DATASETS.register_module()
class Human36mDataset(EpochSeededMixin, MMPoseHuman36mDataset):
    """MMPose's Human3.6M dataset with its rough edges off.

    Files, arguments and samples are the stock class's. What that cannot do:

    - It finds a missing array, NaN keypoints, another number of joints or a
      camera that is not there by a bare assertion, deep in a worker, or never.
      Here every file is read whole and checked first, and one error says what
      is wrong.
    - It loads ``cameras.pkl`` with :mod:`pickle`, which may run code. Here only
      plain data are read.
    - With ``multiple_target`` it drops short videos without a word, or cuts
      clips that are too short and fail later. Here a video shorter than
      ``multiple_target`` is stretched to one clip by repeating frames evenly
      (MotionBERT's reader stretches by random choice), with a warning; a frame
      counts once in the metrics (``lifting_target_visible`` is 0 for repeats).
      As in the official evaluation the tail of a longer video that does not
      fill a clip is left out.
    - Its random transforms depend on the number of workers and do not repeat
      in a resumed run; see
      :class:`~mmssm.datasets.datasets.epoch_seeded.EpochSeededMixin`.
    - It reads the compressed annotations anew for each access and shares the
      open file with forked workers. Here they are read once.

    Args:
        ann_file: Annotations, ``.npz``.
        camera_param_file: Cameras, ``.pkl``.
        data_root: Folder that relative paths start from.
        seed: Seed of the pipeline's random transforms.
        lazy_init: As in MMEngine.
        **kwargs: All other arguments of MMPose's ``Human36mDataset``.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file does not hold what it should, or no clip fits.
    """

    def __init__(
        self,
        ann_file: str,
        camera_param_file: str | None = None,
        data_root: str | None = None,
        seed: int = 0,
        lazy_init: bool = False,
        **kwargs,
    ) -> None:
        self.seed = seed
        data_root = data_root or ''
        self._check_arguments(kwargs)
        # before the parent class, which asserts that the file exists
        self._num_keypoints = self._load_metainfo(kwargs.get('metainfo'))[
            'num_keypoints'
        ]
        self._read_files(data_root, ann_file, kwargs)
        self._videos = self._group_videos(self.ann_data['imgname'])
        # the cameras come afterwards: the parent class would unpickle them
        super().__init__(
            ann_file=ann_file, data_root=data_root, lazy_init=True, **kwargs
        )
        if camera_param_file is not None:
            self.camera_param_file = osp.join(data_root, camera_param_file)
            self.camera_param = h36m_files.read_cameras(self.camera_param_file)
            needed = {(subject, camera) for subject, _, camera in self._videos}
            h36m_files.check_cameras(self.camera_param_file, self.camera_param, needed)
        if not lazy_init:
            self.full_init()

    @staticmethod
    def _check_arguments(kwargs: dict) -> None:
        if kwargs.get('multiple_target', 0) and kwargs.get('seq_step', 1) != 1:
            raise ValueError(
                'multiple_target takes successive frames: expected seq_step=1, got '
                f'{kwargs["seq_step"]}'
            )
        detection = kwargs.get('keypoint_2d_src', 'gt') == 'detection'
        if detection and not kwargs.get('keypoint_2d_det_file'):
            raise ValueError(
                "keypoint_2d_src='detection' needs keypoint_2d_det_file, the .npy "
                'with the detections'
            )

    def _read_files(self, data_root: str, ann_file: str, kwargs: dict) -> None:
        self.ann_data = h36m_files.read_annotations(
            osp.join(data_root, ann_file), self._num_keypoints
        )
        imgnames = self.ann_data['imgname']
        if kwargs.get('keypoint_2d_src', 'gt') == 'detection':
            h36m_files.check_detections(
                osp.join(data_root, kwargs['keypoint_2d_det_file']),
                imgnames,
                self._num_keypoints,
            )
        if kwargs.get('factor_file'):
            h36m_files.check_factors(
                osp.join(data_root, kwargs['factor_file']), imgnames
            )

    def _load_ann_file(self, ann_file: str) -> None:
        """The annotations are there already."""

    @classmethod
    def _group_videos(cls, imgnames: np.ndarray) -> dict[tuple[str, ...], list[int]]:
        """Frames of each (subject, action, camera)."""
        videos = defaultdict(list)
        for index, imgname in enumerate(imgnames):
            try:
                video = cls._parse_h36m_imgname(imgname)
            except (TypeError, ValueError):
                raise ValueError(
                    f'frame {index}: expected a name like '
                    f"S1_Directions_1.54138969_000001.jpg, found '{imgname}'"
                ) from None
            videos[video].append(index)
        return videos

    def get_sequence_indices(self) -> list[list[int]]:
        """Frames of each sample: the stock ones, and one for each short video.

        Raises:
            ValueError: No video is long enough for a sample.
        """
        videos = self._videos
        needed = self.multiple_target or (self.seq_len - 1) * self.seq_step + 1
        short = {
            video: frames for video, frames in videos.items() if len(frames) < needed
        }
        if self.pad_video_seq and not self.multiple_target:
            return super().get_sequence_indices()
        if len(short) == len(videos):
            raise ValueError(
                f'no video is long enough for a sample of {needed} frames, the '
                f'longest has {max(map(len, videos.values()))}; use a shorter '
                'seq_len or multiple_target'
            )
        sequences = super().get_sequence_indices()
        if not self.multiple_target:
            self._warn(short, needed, 'left out; pad_video_seq=True would use it')
            return sequences
        self._warn(short, needed, 'stretched to one clip by repeating frames')
        whole = [sequence for sequence in sequences if len(sequence) == needed]
        return whole + [_stretch(frames, needed) for frames in short.values()]

    @staticmethod
    def _warn(short: dict, needed: int, fate: str) -> None:
        if short:
            shortest = min(short, key=lambda video: len(short[video]))
            print_log(
                f'{len(short)} videos are shorter than {needed} frames (shortest: '
                f'{"_".join(shortest)} with {len(short[shortest])}); each is {fate}',
                'current',
                WARNING,
            )

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        instances, images = super()._load_annotations()
        if self.multiple_target:
            for instance in instances:
                frames = np.asarray(instance['img_ids'])
                repeated = np.append(False, frames[1:] == frames[:-1])
                # indexing with a list has made this array the sample's own
                instance['lifting_target_visible'][repeated] = 0
        return instances, images

    def full_init(self) -> None:
        """Makes the samples and lets go of the annotations they were made of."""
        super().full_init()
        self.ann_data, self._videos = {}, {}


def _stretch(frames: list[int], length: int) -> list[int]:
    """Repeats frames evenly to fill a clip."""
    return [frames[i * len(frames) // length] for i in range(length)]
