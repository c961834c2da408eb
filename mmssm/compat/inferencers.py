"""MMPose's inferencer for 3D poses cannot lift clips."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

DRAWN_NOISE = ('mmssm.DetectorNoise', 'DetectorNoise')
"""Steps of our validation pipelines that make exact keypoints look detected."""


def lift_clips_in_inferencers() -> None:
    """Makes ``Pose3DInferencer`` lift clips with lifters that predict all frames.

    ``Pose3DInferencer`` (and ``MMPoseInferencer(pose3d=...)``) has three defects that
    together leave a lifter one frame to look at:

    - It never keeps the people of the frame before, so that everybody has a new number
      in every frame, and a clip is the newest frame over and over.
    - It reads the length of a clip from ``test_dataloader.dataset.seq_len``. Of a
      lifter that predicts all frames of a clip this is 1 where the dataset gathers
      clips by ``multiple_target``. Where it is greater, the call fails, for its target
      has one frame and its factor that many; and if it did not, all frames of the clip
      would come out as so many people.
    - It keeps the 2D poses of all frames that it has ever seen.

    With the cure people keep their numbers, and a frame of a video or camera is lifted
    with the frames before it, as many as the lifter takes; the last frame of the
    prediction is given out. The frames after it have not been seen then: for results
    that use them too see :class:`mmssm.apis.PoseLifterInferencer`. Where there are not
    so many, as of an image, the first one is repeated. The clips of lifters that
    predict one frame of a clip are left as they are, and MotionBERT's, whose config
    asks for one frame.

    Link: https://github.com/open-mmlab/mmpose/issues/2592,
    https://github.com/open-mmlab/mmpose/issues/2648
    Delete when: ``Pose3DInferencer`` keeps ``results_pose2d_last`` and knows how many
    frames a lifter takes and gives out.
    """
    from mmpose.apis.inferencers import Pose3DInferencer

    stock = Pose3DInferencer.__init__
    if hasattr(stock, '__wrapped__'):
        return

    @functools.wraps(stock)
    def __init__(self: Pose3DInferencer, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        self.pose2d_model = RememberPeople(self.pose2d_model, self._buffer)
        length = clip_length(self)
        if length > 1:
            _lift_clips(self, length)

    Pose3DInferencer.__init__ = __init__


class RememberPeople:
    """A 2D inferencer that leaves the people of the frame before to be followed.

    Args:
        inferencer: The inferencer, which it is in all else.
        buffer: What the 3D inferencer remembers, and empties between videos.
    """

    def __init__(self, inferencer: Any, buffer: dict[str, Any]) -> None:
        self._inferencer, self._buffer = inferencer, buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inferencer, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Iterator[dict]:
        """Yields what the inferencer yields."""
        for result in self._inferencer(*args, **kwargs):
            # numbers are written into these samples before the next frame comes
            before = self._buffer.get('people_before', [])
            self._buffer['results_pose2d_last'] = list(before)
            self._buffer['people_before'] = result['predictions']
            yield result


def clip_length(inferencer: Any) -> int:
    """Frames that the lifter of an inferencer takes and gives out; else 1."""
    from mmpose.codecs import MotionBERTLabel

    model = inferencer.model
    if not isinstance(getattr(model.head, 'decoder', None), MotionBERTLabel):
        return 1
    dataset = inferencer.cfg.test_dataloader.dataset
    return int(getattr(model.backbone, 'num_frames', dataset.get('seq_len', 1)))


def _lift_clips(inferencer: Any, length: int) -> None:
    inferencer._pose_seq_extractor = functools.partial(last_frames, length=length)
    # the frame that is asked for is the last one
    inferencer.cfg.test_dataloader.dataset['causal'] = True
    steps = [
        step
        for step in inferencer.cfg.test_dataloader.dataset.pipeline
        if step['type'] not in DRAWN_NOISE
    ]
    config = inferencer.cfg.copy()
    config.test_dataloader.dataset.pipeline = steps
    pipeline = inferencer._init_pipeline(config)
    inferencer.pipeline = functools.partial(with_targets_of_all_frames, pipeline)
    test_step = inferencer.model.test_step
    inferencer.model.test_step = functools.partial(predict_last_frame, test_step)


def last_frames(pose_results: list, frame_idx: int, length: int) -> Sequence:
    """The newest frames; replaces ``extract_pose_sequence``.

    Args:
        pose_results: What was found in each frame. Older frames are taken out.
        frame_idx: Number of the newest frame, which is the last one.
        length: Frames to return. The first one stands for those before it, as in the
            host.
    """
    del pose_results[:-length]
    return pose_results[:1] * (length - len(pose_results)) + pose_results


def with_targets_of_all_frames(pipeline: Callable, data: dict) -> dict:
    """Runs a pipeline on as many frames of (empty) target as there are of input."""
    frames, joints = data['keypoints'].shape[:2]
    data['lifting_target'] = np.zeros((frames, joints, 3), np.float32)
    data['lifting_target_visible'] = np.ones((frames, joints, 1), np.float32)
    return pipeline(data)


def predict_last_frame(test_step: Callable, data: Any) -> list:
    """Samples with the last frame of what was predicted."""
    samples = test_step(data)
    for sample in samples:
        found = sample.pred_instances
        for name in ('keypoints', 'keypoint_scores'):  # (1, T, K, ...)
            found.set_field(found[name][:, -1:], name)
    return samples
