"""Embedded motion data as a 2D-to-3D lifting dataset."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from mmengine.dataset import BaseDataset
from mmpose.datasets.datasets import BaseMocapDataset

from mmssm.datasets.datasets.clip_dataset import SKELETON_KEYS
from mmssm.datasets.datasets.epoch_seeded import EpochSeededMixin
from mmssm.datasets.mocap_clips import (
    MocapClip,
    fold_clips,
    load_mocap_clips,
    mocap_file,
    on_stage,
    resize_body,
)
from mmssm.datasets.virtual_cameras import (
    FIXED,
    FIXED_ROOM,
    ROOM,
    clearance,
    draw_camera,
    fixed_camera,
)
from mmssm.geometry.cameras import project, world_to_camera
from mmssm.registry import DATASETS
from mmssm.structures import h36m

STATURE = (0.95, 1.2)
PROPORTION = (0.94, 1.06)
"""Ranges of a drawn body: one factor for all of it, one each for legs, trunk
and arms. The actor of the clips is 1.58 m tall."""

VALIDATION_BODIES = (
    (1.0, 1.0, 1.0),
    (1.1, 1.06, 1.08),
    (1.04, 1.08, 1.0),
    (1.16, 1.12, 1.16),
)
"""Legs, trunk and arms of the body that each validation camera sees."""


@DATASETS.register_module()
class MocapDataset(EpochSeededMixin, BaseMocapDataset):
    """Fifteen real motion clips seen by virtual cameras; nothing to download.

    MMPose's datasets read frames that were filmed once. This one makes them:
    a body and a camera are drawn for every training window in every epoch. Under
    :class:`mmssm.EpochSampler` they are a function of (seed, epoch, index), so
    that a resumed run sees what an uninterrupted one would have seen. Validation
    shows each clip left out to four fixed cameras, with a body for each, and
    predicts every frame exactly once per camera.

    A sample has the keys and units of MMPose's ``Human36mDataset`` with
    ``multiple_target=seq_len``, so its codecs and transforms work unchanged:

    - ``keypoints (T, 17, 2)`` pixels (exact projections; noise is
      :class:`mmssm.DetectorNoise`'s part), ``keypoints_visible (T, 17)``
    - ``keypoints_3d``, ``lifting_target (T, 17, 3)`` metres in the camera's
      frame (x right, y down, z forward), ``lifting_target_visible (T, 17)``
    - ``camera_param`` (:mod:`mmssm.datasets.virtual_cameras`), ``factor (T,)``
      zeros, for which the codec puts its own
    - ``target_img_path`` such as ``B0_Walk.cam0_000001.jpg``: subject (the
      body), action (the clip), camera and frame as Human3.6M writes them

    A clip that is shorter than the window goes on in a loop where its source
    says that it loops, else it stands still; such frames, and frames of an
    earlier validation window, have ``lifting_target_visible`` 0.

    Args:
        fold: Which third of the clips is left out for validation, 0 to 2
            (:data:`mmssm.datasets.mocap_clips.FOLDS`).
        seq_len: Frames in a window, T.
        stride: Frames between training windows. Default: ``seq_len // 9``,
            at least 1.
        views: Drawn cameras per training window and epoch.
        center_target: Only the middle frame is the target ``(1, 17, 3)``, as
            sequence-to-frame lifters want it; then every frame has its own
            window, in which clips stand still before their start and after
            their end.
        seed: Seed of everything drawn.
        ann_file: Clips, as ``tools/dataset_converters/mocap.py`` writes them.
            Default: the embedded ones.
        test_mode: Validation clips of the fold instead of its training clips.
        metainfo, indices, serialize_data, pipeline, lazy_init: As in MMPose's
            ``BaseMocapDataset``.

    Raises:
        FileNotFoundError: There is no such ``ann_file``.
        ValueError: An argument out of its range, or a damaged file.
    """

    METAINFO: ClassVar[dict] = {'from_file': 'configs/_base_/datasets/h36m.py'}

    def __init__(
        self,
        fold: int = 0,
        seq_len: int = 27,
        stride: int | None = None,
        views: int = 4,
        center_target: bool = False,
        seed: int = 0,
        ann_file: str | None = None,
        test_mode: bool = False,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        lazy_init: bool = False,
    ) -> None:
        stride = max(1, seq_len // 9) if stride is None else stride
        checked = {'seq_len': seq_len, 'stride': stride, 'views': views}
        for name, value in checked.items():
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        self.fold = fold
        self.stride = stride
        self.views = views
        self.center_target = center_target
        self.seed = seed
        # the parent class computes its samples before it stores this
        self.test_mode = test_mode
        ann_file = mocap_file() if ann_file is None else ann_file
        # before the parent class, which asserts that the file exists
        self.clips = fold_clips(load_mocap_clips(ann_file), fold, test_mode)
        self._bodies = [
            [on_stage(clip, size) for size in VALIDATION_BODIES] for clip in self.clips
        ]
        super().__init__(
            ann_file=ann_file,
            seq_len=seq_len,
            causal=False,
            data_root='',
            metainfo=metainfo,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    def _load_ann_file(self, ann_file: str) -> None:
        """The clips are there already."""

    def get_sequence_indices(self) -> list[tuple[int, int, int]]:
        """Windows as (clip, first frame, view)."""
        views = len(FIXED) if self.test_mode else self.views
        return [
            (number, start, view)
            for number, clip in enumerate(self.clips)
            for start in self._starts(len(clip.joints))
            for view in range(views)
        ]

    def _starts(self, size: int) -> list[int]:
        """First frames of the windows of a clip of ``size`` frames."""
        if self.center_target:
            half = self.seq_len // 2
            step = 1 if self.test_mode else self.stride
            return list(range(-half, size - half, step))
        last = max(0, size - self.seq_len)
        step = self.seq_len if self.test_mode else self.stride
        return sorted({*range(0, last, step), last})

    def load_data_list(self) -> list[dict]:
        """One entry per window; the frames are made when they are asked for."""
        return [
            {'clip': clip, 'start': start, 'view': view}
            for clip, start, view in self.sequence_indices
        ]

    def get_data_info(self, idx: int) -> dict:
        """Makes the sample ``index`` of epoch ``epoch``.

        Args:
            idx: ``epoch * len(self) + index``; validation ignores the epoch.

        Returns:
            The keys listed in the class's description, and the skeleton's
            metainfo that MMPose's datasets add.
        """
        _, index = self.split_index(idx)
        # BaseMocapDataset's own lookup deep-copies the skeleton for each sample,
        # which would take a quarter of the time
        info = BaseDataset.get_data_info(self, index)
        info.update({key: self._metainfo[key] for key in SKELETON_KEYS})
        number, start, view = (info.pop(key) for key in ('clip', 'start', 'view'))
        clip = self.clips[number]
        if self.test_mode:
            joints, frames = self._window(self._bodies[number][view], start)
            camera = fixed_camera(view, clearance(joints, np.zeros(3), FIXED_ROOM))
            film = f'B{view}_{clip.action}.cam{view}'
        else:
            rng = np.random.default_rng(self.sample_seed(idx))
            joints, frames = self._window(clip, start)
            joints = resize_body(joints, self._draw_body(rng))
            center = joints[:, h36m.ROOT].mean(0)
            camera = draw_camera(rng, center, clearance(joints, center, ROOM))
            film = f'B_{clip.action}.virtual'
        targets = self._targets()
        visible = np.ones(joints.shape[:2], np.float32)
        visible *= self._counted(start, len(clip.joints))[:, None]
        info.update(
            film_frames(joints, camera),
            keypoints_3d_visible=visible,
            lifting_target_visible=visible[targets],
            factor=np.zeros(len(targets), np.float32),
            img_paths=[f'{film}_{frame + 1:06d}.jpg' for frame in frames],
            img_ids=frames.tolist(),
            id=index,
        )
        info['lifting_target'] = info['keypoints_3d'][targets]
        info['target_img_path'] = [info['img_paths'][target] for target in targets]
        return info

    def _window(self, clip: MocapClip, start: int) -> tuple[np.ndarray, np.ndarray]:
        if self.center_target:
            frames = np.arange(start, start + self.seq_len)
            frames = frames.clip(0, len(clip.joints) - 1)
            return clip.joints[frames], frames
        return clip.frames(start, self.seq_len)

    def _counted(self, start: int, size: int) -> np.ndarray:
        """Which frames of a window are the clip's, and new to validation."""
        frames = np.arange(start, start + self.seq_len)
        if self.center_target:
            return np.ones(self.seq_len, bool)
        first = -(-start // self.seq_len) * self.seq_len if self.test_mode else 0
        return (frames >= first) & (frames < size)

    def _targets(self) -> list[int]:
        if self.center_target:
            return [self.seq_len // 2]
        return list(range(self.seq_len))

    @staticmethod
    def _draw_body(rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(*STATURE) * rng.uniform(*PROPORTION, 3)


def film_frames(joints: np.ndarray, camera: dict) -> dict:
    """What a camera sees, under the names MMPose's datasets use.

    Args:
        joints: ``(T, 17, 3)`` world positions, metres.
        camera: MMPose's ``camera_param``.

    Returns:
        ``keypoints (T, 17, 2)`` pixels, ``keypoints_visible (T, 17)``,
        ``keypoints_3d (T, 17, 3)`` metres in the camera's frame, the box of
        the first frame as ``center (1, 2)`` and ``scale`` (in 200 px), and
        the camera.
    """
    keypoints_3d = world_to_camera(joints, camera['R'], camera['T']).astype(np.float32)
    keypoints = project(keypoints_3d, camera['f'], camera['c'])
    low, high = keypoints[0].min(0), keypoints[0].max(0)
    return {
        'num_keypoints': h36m.NUM_JOINTS,
        'keypoints': keypoints,
        'keypoints_visible': np.ones(keypoints.shape[:2], np.float32),
        'keypoints_3d': keypoints_3d,
        'camera_param': camera,
        'center': ((low + high) / 2)[None],
        'scale': np.float32(1.2 * (high - low).max() / 200),
        'category_id': 1,
        'iscrowd': 0,
    }
