"""Draws what a lifter makes of the validation or test videos."""

import os.path as osp
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmpose.structures import PoseDataSample

from mmssm.registry import HOOKS
from mmssm.visualization import Pose3dVisualizer, PoseSequence


class Frame(NamedTuple):
    """One frame of a video: metres relative to the root, and pixels."""

    predicted: np.ndarray
    target: np.ndarray
    keypoints: np.ndarray | None


@HOOKS.register_module()
class Pose3dVisualizationHook(Hook):
    """Draws videos of the validation and test loops as pictures and clips.

    MMPose's ``PoseVisualizationHook`` opens the image of each sample, which
    lifters do not have, and draws sample by sample; a lifter's sample is a
    window of a video, or one frame. This hook puts the frames of each video
    together again, in whatever order they come, and draws at the end of the
    loop. The arguments that both have mean the same, save that ``interval``
    counts videos. Frames without ground truth are left out.

    The video and the frame come from ``target_img_path`` (``..._<frame>.jpg``);
    the 2D input is drawn if ``PackPoseInputs`` keeps ``keypoints`` among its
    ``meta_keys``. The visualizer must be ``mmssm.Pose3dVisualizer``.

    Args:
        enable: Whether to draw at all.
        interval: Draw every so many videos, beginning with the first.
        kpt_thr: 2D joints of the input seen less surely than this are left out.
        show: Show the pictures in windows and store nothing.
        wait_time: Seconds until a window closes; 0 waits for a key.
        out_dir: In testing, the folder for a PNG and a GIF per video; a
            relative one lies in the run's folder. Default: the PNG goes to the
            visualizer's backends.
        num_frames: Frames in a PNG.
        max_clip_frames: Longest GIF, in pictures.
        clip_step: Every so many frames of the video are drawn in the GIF.
        fps: Frames per second of a GIF.

    Raises:
        ValueError: If ``interval`` is not positive.
    """

    def __init__(
        self,
        enable: bool = False,
        interval: int = 50,
        kpt_thr: float = 0.3,
        show: bool = False,
        wait_time: float = 0.0,
        out_dir: str | None = None,
        num_frames: int = 5,
        max_clip_frames: int = 150,
        clip_step: int = 1,
        fps: float = 25.0,
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval counts videos and must be >= 1, got {interval}')
        self.enable = enable
        self.interval = interval
        self.kpt_thr = kpt_thr
        self.show = show
        self.wait_time = wait_time
        self.out_dir = out_dir
        self.num_frames = num_frames
        self.max_clip_frames = max_clip_frames
        self.clip_step = clip_step
        self.fps = fps
        self._begin(None, None)

    def before_val_epoch(self, runner: Runner) -> None:
        """Forgets the videos of an earlier loop."""
        self._begin(runner.val_evaluator.dataset_meta, folder=None)

    def before_test_epoch(self, runner: Runner) -> None:
        """Forgets the videos of an earlier loop."""
        folder = self.out_dir and osp.join(
            runner.work_dir, runner.timestamp, self.out_dir
        )
        self._begin(runner.test_evaluator.dataset_meta, folder)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
    ) -> None:
        """Takes the samples of a validation batch."""
        self._take(outputs)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
    ) -> None:
        """Takes the samples of a test batch."""
        self._take(outputs)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draws the videos of a validation loop."""
        self._draw(runner.iter)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draws the videos of a test loop."""
        self._draw(runner.iter)

    def _begin(self, dataset_meta: dict | None, folder: str | None) -> None:
        self._meta = dataset_meta
        self._folder = folder
        self._videos: dict[str, dict[str, Frame]] = {}

    def _take(self, outputs: Sequence[PoseDataSample]) -> None:
        if not self.enable:
            return
        for sample in outputs:
            paths = [str(path) for path in np.ravel(sample.get('target_img_path'))]
            frames = self._videos.setdefault(_video_name(paths[0]), {})
            if list(self._videos).index(_video_name(paths[0])) % self.interval == 0:
                for path, frame in zip(paths, self._split(sample), strict=True):
                    if frame is not None:
                        frames.setdefault(path, frame)

    def _split(self, sample: PoseDataSample) -> list[Frame | None]:
        """The frames of a sample; None where nothing is known to be true."""
        predicted = _root_relative(sample.pred_instances.keypoints)
        gt = sample.gt_instances
        target = _root_relative(gt.lifting_target)
        keypoints = self._input(sample, len(target))
        known = np.asarray(
            gt.get('lifting_target_visible', np.ones(target.shape[:2]))
        ).reshape(len(target), -1)
        return [
            Frame(*parts) if valid else None
            for *parts, valid in zip(
                predicted, target, keypoints, map(np.any, known), strict=True
            )
        ]

    def _input(
        self, sample: PoseDataSample, num_targets: int
    ) -> list[np.ndarray | None]:
        """The 2D input of each predicted frame, NaN where unsure."""
        if sample.get('keypoints') is None:
            return [None] * num_targets
        keypoints = np.array(sample.get('keypoints'), dtype=np.float32)[..., :2]
        seen = sample.get('keypoints_visible', np.ones(keypoints.shape[:-1]))
        keypoints[np.reshape(seen, keypoints.shape[:-1]) < self.kpt_thr] = np.nan
        # A lifter of single frames sees a window around the one it predicts.
        surplus = (len(keypoints) - num_targets) // 2
        return list(keypoints[surplus : len(keypoints) - surplus])

    def _draw(self, step: int) -> None:
        """Draws what was taken, and forgets it."""
        videos, self._videos = self._videos, {}
        for name, frames in videos.items():
            if not frames:
                continue
            ordered = [frames[path] for path in sorted(frames)]
            inputs = [f.keypoints for f in ordered if f.keypoints is not None]
            self._visualizer().add_sequence(
                PoseSequence(
                    name,
                    np.stack([frame.predicted for frame in ordered]),
                    np.stack([frame.target for frame in ordered]),
                    np.stack(inputs) if inputs else None,
                ),
                out_dir=self._folder,
                num_frames=self.num_frames,
                max_clip_frames=self.max_clip_frames,
                clip_step=self.clip_step,
                fps=self.fps,
                show=self.show,
                wait_time=self.wait_time,
                step=step,
            )

    def _visualizer(self) -> Pose3dVisualizer:
        visualizer = Visualizer.get_current_instance()
        if not isinstance(visualizer, Pose3dVisualizer):
            raise TypeError(
                'Pose3dVisualizationHook draws with mmssm.Pose3dVisualizer, but the '
                f'visualizer is {type(visualizer).__name__}; set '
                "visualizer=dict(type='mmssm.Pose3dVisualizer', ...) in the config"
            )
        visualizer.set_dataset_meta(self._meta)
        return visualizer


def _video_name(path: str) -> str:
    """``S9_Walk.60457274`` of ``.../S9_Walk.60457274_000001.jpg``."""
    return osp.splitext(osp.basename(path))[0].rpartition('_')[0] or path


def _root_relative(joints: np.ndarray | torch.Tensor) -> np.ndarray:
    """Joints ``(F, K, 3)`` relative to the first, in metres."""
    joints = np.asarray(joints, dtype=np.float32)
    joints = joints.reshape(-1, *joints.shape[-2:])
    return joints - joints[:, :1]
