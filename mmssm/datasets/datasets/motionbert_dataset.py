"""Human3.6M in MotionBERT's file."""

from collections.abc import Callable, Sequence
from logging import WARNING

import numpy as np
from mmengine.logging import print_log

from mmssm.datasets import clips, motionbert_files
from mmssm.datasets.datasets.clip_dataset import Clip, ClipDataset, Film, Footage
from mmssm.registry import DATASETS


@DATASETS.register_module()
class Human36mMotionBERTDataset(ClipDataset):
    """Human3.6M with Stacked-Hourglass detections, as MotionBERT released it.

    MMPose reads this data from files of its own, converted (see
    :class:`mmssm.Human36mDataset`); this class reads the released pickle, which
    is what PoseMamba and SasMamba were trained on, without running anything it
    holds, and cuts it into the very clips of MotionBERT's reader.

    The target is that of MotionBERT: image coordinates with a depth in pixels
    ("2.5D"), given in thousands of pixels. MMPose's ``MotionBERTLabel``
    normalises it, and with ``factor`` decodes to metres. In testing it is the
    evaluation's own ground truth divided by its factor, so that the decoded
    target is exact.

    A video shorter than a clip is stretched to one by repeating frames chosen
    at random with ``seed``; of repeated frames the last counts, as in the
    official evaluation.

    Args:
        ann_file: ``h36m_sh_conf_cam_source_final.pkl``.
        seq_len: Frames of a clip.
        stride: Frames from one clip to the next. Default: ``seq_len // 3`` for
            training, ``seq_len`` in ``test_mode``.
        split: Which half of the file, ``'train'`` or ``'test'``. Default: by
            ``test_mode``.
        data_root: This and all that follow are as in ``ClipDataset``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: An argument out of its range, or the file does not hold what
            it should.
    """

    def __init__(
        self,
        ann_file: str,
        seq_len: int = 243,
        stride: int | None = None,
        split: str | None = None,
        data_root: str | None = None,
        seed: int = 0,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
    ) -> None:
        self.split = split or ('test' if test_mode else 'train')
        if self.split not in ('train', 'test'):
            raise ValueError(f"split must be 'train' or 'test', got {split!r}")
        if stride is None:
            stride = seq_len if test_mode else max(1, seq_len // 3)
        super().__init__(
            ann_file=ann_file,
            seq_len=seq_len,
            stride=stride,
            data_root=data_root,
            seed=seed,
            metainfo=metainfo,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=pipeline,
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    def read(self, path: str) -> Footage:
        """Reads and checks one half of the file."""
        data = motionbert_files.read_split(path, self.split, self.num_keypoints)
        self._sources = data.source
        films, film, number = [], np.empty(len(data.source), np.int32), []
        for index, (start, stop) in enumerate(clips.runs(data.source)):
            camera = str(data.camera_name[start])
            name = motionbert_files.video_name(
                path, str(data.source[start]), str(data.action[start]), camera
            )
            films.append(Film(name, *motionbert_files.IMAGE_SIZES[camera]))
            film[start:stop] = index
            number.append(np.arange(1, stop - start + 1))
        target = None
        factor = np.zeros(len(film), np.float32)  # for which the codec puts its own
        if data.factor is not None:
            factor = data.factor
        if self.test_mode and data.joints_mm is not None:
            target = data.joints_mm / (1000 * factor[:, None, None])
        return Footage(
            films,
            film,
            np.concatenate(number),
            data.joint_2d,
            data.confidence,
            data.joint3d_image / np.float32(1000),
            factor,
            target,
        )

    def cut(self) -> list[Clip]:
        """Cuts the frames as MotionBERT's reader does."""
        rng = np.random.RandomState(self.seed)
        found, dropped = clips.split_motionbert(
            self._sources, self.seq_len, self.stride, rng
        )
        if dropped:
            print_log(
                f'{len(dropped)} videos are shorter than {self.seq_len} frames and '
                "left out as by MotionBERT's reader, which stretches a short video "
                'unless it is the last one or one of its name gave a clip before '
                f'(first: {dropped[0]})',
                'current',
                WARNING,
            )
        del self._sources
        return [Clip(clip, clips.last_of_repeats(clip)) for clip in found]
