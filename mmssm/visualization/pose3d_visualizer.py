"""The visualizer of 3D poses that MMPose's configs and hooks talk to."""

from pathlib import Path
from typing import cast

import numpy as np
from matplotlib.figure import Figure
from mmengine.dist import master_only
from mmpose.structures import PoseDataSample
from mmpose.visualization import Pose3dLocalVisualizer
from mpl_toolkits.mplot3d.axes3d import Axes3D
from numpy.typing import NDArray
from PIL import Image

from mmssm.registry import VISUALIZERS

from .scene import (
    Skeleton,
    cube_around,
    draw_skeletons_3d,
    prepare_axes_3d,
    render,
)
from .sequence import PoseSequence, SequencePainter, save_clip


@VISUALIZERS.register_module()
class Pose3dVisualizer(Pose3dLocalVisualizer):
    """Draws 3D poses over their ground truth, still and moving.

    MMPose's ``Pose3dLocalVisualizer`` puts prediction and ground truth into two
    panels of unequal scale without units, loses people beside the first, needs
    an image under every pose and a matplotlib before 3.10. Here all people of
    a sample, and their ground truth under them, stand in one scene of equal
    axes in metres; :meth:`add_sequence` draws what a lifter made of a video,
    which has no image. No display is needed.

    Constructor arguments and :meth:`add_datasample` are those of the base
    class; give ``dataset_meta`` before drawing.
    """

    @property
    def body(self) -> Skeleton:
        """The links and their colours, of the dataset description."""
        return Skeleton.from_dataset_meta(self.dataset_meta or {})

    @master_only
    def add_sequence(
        self,
        sequence: PoseSequence,
        out_dir: str | Path | None = None,
        num_frames: int = 5,
        max_clip_frames: int = 150,
        clip_step: int = 1,
        fps: float = 25.0,
        show: bool = False,
        wait_time: float = 0.0,
        step: int = 0,
    ) -> None:
        """Draws some frames as one picture, and all frames as a clip.

        Args:
            sequence: The motion and what was made of it.
            out_dir: Folder for ``<name>.png`` and ``<name>.gif``. Default:
                the picture goes to the visualizer's backends; no clip.
            num_frames: Frames of the picture.
            max_clip_frames: Longest clip that is written.
            clip_step: Draw every so many frames in the clip.
            fps: Frames per second of the clip.
            show: Show the picture in a window and store nothing.
            wait_time: Seconds until the window closes; 0 waits for a key.
            step: Step that the backends record.
        """
        painter = SequencePainter(self.body)
        picture = painter.sheet(sequence, num_frames)
        if show:
            self.show(picture, win_name=sequence.name, wait_time=wait_time)
        elif out_dir is None:
            self.add_image(sequence.name, picture, step)
        else:
            stem = Path(out_dir) / sequence.name
            stem.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(stem.with_name(f'{stem.name}.png'))
            save_clip(
                painter.clip(sequence, max_clip_frames, clip_step),
                stem.with_name(f'{stem.name}.gif'),
                fps,
            )

    def _draw_3d_data_samples(
        self,
        image: NDArray,
        pose_samples: PoseDataSample,
        draw_gt: bool = True,
        kpt_thr: float = 0.3,
        num_instances: int = -1,
        axis_azimuth: float = 70,
        axis_limit: float = 1.7,
        axis_dist: float = 10.0,
        axis_elev: float = 15.0,
        show_kpt_idx: bool = False,
        scores_2d: NDArray | None = None,
    ) -> NDArray[np.uint8]:
        """Draws all people of a sample and their ground truth in one scene.

        Called by :meth:`add_datasample`. Coordinates are drawn as they are,
        with the third axis up, as MMPose's ``Pose3DInferencer`` gives them.
        ``axis_limit`` is the least edge of the cube shown; ``axis_dist`` has
        had no meaning since matplotlib 3.6.
        """
        predicted = _people(pose_samples, 'pred_instances', ('keypoints',))
        if num_instances >= 0:
            predicted = predicted[:num_instances]
        predicted = _hide_unsure(predicted, pose_samples, kpt_thr, scores_2d)
        target = (
            _people(pose_samples, 'gt_instances', ('lifting_target', 'keypoints_gt'))
            if draw_gt
            else predicted[:0]
        )
        edge = max(image.shape[:2]) / 100
        figure = Figure(figsize=(edge, edge), dpi=100)
        everyone = [people for people in (predicted, target) if people.size]
        if not everyone:
            return render(figure)
        limits = cube_around(np.concatenate(everyone))
        half = max(axis_limit, float(np.ptp(limits[0]))) / 2
        limits = limits.mean(axis=1, keepdims=True) + np.array([-half, half])
        axes = cast(Axes3D, figure.add_subplot(projection='3d'))
        prepare_axes_3d(
            axes, limits, axis_azimuth, axis_elev, ('x (m)', 'y (m)', 'height (m)')
        )
        draw_skeletons_3d(axes, self.body, target, truth=True)
        draw_skeletons_3d(axes, self.body, predicted)
        if show_kpt_idx:
            for person in predicted:
                for index, joint in enumerate(person):
                    axes.text(*joint, str(index), fontsize=6)
        axes.set_title(
            'prediction over ground truth (grey)' if len(target) else 'prediction',
            fontsize=9,
        )
        return render(figure)


def _people(
    sample: PoseDataSample, group: str, fields: tuple[str, ...]
) -> NDArray[np.float64]:
    """Joints ``(people, K, 3)`` of the first of the fields that the group has."""
    instances = sample.get(group)
    for field in fields:
        if instances is not None and field in instances:
            joints = np.asarray(instances[field], dtype=float)
            return joints.reshape(-1, *joints.shape[-2:])[..., :3]
    return np.empty((0, 1, 3))


def _hide_unsure(
    people: NDArray,
    sample: PoseDataSample,
    kpt_thr: float,
    scores_2d: NDArray | None,
) -> NDArray:
    """Puts NaN where a joint's score, in space or in the image, is too low."""
    people = people.copy()
    scores = sample.pred_instances.get('keypoint_scores') if len(people) else None
    for score in (scores, scores_2d):
        if score is not None and len(people):
            score = np.asarray(score).reshape(-1, people.shape[1])[: len(people)]
            people[: len(score)][score < kpt_thr] = np.nan
    return people
