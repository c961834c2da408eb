"""MPI-INF-3DHP for 2D-to-3D lifters."""

from collections.abc import Callable, Sequence
from logging import WARNING

import numpy as np
from mmengine.logging import print_log

from mmssm.datasets import clips, mpi_inf_3dhp_files
from mmssm.datasets.datasets.clip_dataset import Clip, ClipDataset, Film, Footage
from mmssm.registry import DATASETS
from mmssm.structures.mpi_inf_3dhp import to_h36m


@DATASETS.register_module()
class MpiInf3dhpDataset(ClipDataset):
    """MPI-INF-3DHP, in clips, with its joints in Human3.6M's order.

    MMPose 1.x describes the skeleton and has a converter, but no dataset class.
    This one reads that converter's output and the files of P-STMO, which
    MotionAGFormer, PoseMamba and SasMamba use; it tells them apart by their
    contents. The two differ: P-STMO's have the universal annotation, scaled to
    one height, which the official evaluation compares with, the converter's the
    metric one. Results on the one cannot be compared with results on the other,
    and a warning says so.

    The input are the annotated 2D joints with confidence 1. The target is
    relative to the pelvis; through MMPose's ``MotionBERTLabel`` a unit of the
    label is 1024 mm.

    Training clips begin every ``stride`` frames, to the end of each video, where
    frames are repeated evenly to fill a clip. Testing is done

    - by centre frames (``center_target=True``, as the papers do): a window
      around each valid frame, with the video's ends repeated, of which only the
      centre counts, or
    - by sequences (``center_target=False``): clips side by side, of which every
      valid frame counts once.

    Args:
        ann_file: ``data_{train,test}_3dhp.npz`` or
            ``mpi_inf_3dhp_{train,test_valid}.npz``.
        seq_len: Frames of a clip.
        stride: Frames from one clip to the next. Default: 9 for training,
            ``seq_len`` in ``test_mode``.
        center_target: In ``test_mode``, whether only the centre counts.
        decode_by_width: Whether predictions for the sequences TS5 and TS6 are
            scaled by their own image width, 1920, as the released evaluations
            do, though models learn with 2048: they come out at 15/16 of their
            size. Published numbers have this in them.
        data_root: This and all that follow are as in ``ClipDataset``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: An argument out of its range, or the file does not hold what
            it should.
    """

    def __init__(
        self,
        ann_file: str,
        seq_len: int = 27,
        stride: int | None = None,
        center_target: bool = True,
        decode_by_width: bool = False,
        data_root: str | None = None,
        seed: int = 0,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
    ) -> None:
        self.center_target = center_target
        self.decode_by_width = decode_by_width
        if stride is None:
            stride = seq_len if test_mode else 9
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
        """Reads and checks the annotations."""
        videos = mpi_inf_3dhp_files.read_videos(path, self.num_keypoints)
        if mpi_inf_3dhp_files.is_converted(path):
            print_log(
                f"{path} holds MMPose's choice of annotation (annot3, metric); papers "
                'train and evaluate with the universal one (univ_annot3): the numbers '
                'cannot be compared',
                'current',
                WARNING,
            )
        films = [
            Film(video.name, *mpi_inf_3dhp_files.image_size(video.name))
            for video in videos
        ]
        sizes = [len(video.number) for video in videos]
        film = np.repeat(np.arange(len(videos)), sizes)
        self._valid = np.concatenate([video.valid for video in videos])
        scale = [
            1 if self.decode_by_width else mpi_inf_3dhp_files.TRAIN_SIZE[0] / one.width
            for one in films
        ]
        factor = np.array(scale, np.float32)[film]
        keypoints = np.concatenate([video.keypoints for video in videos])
        joints = to_h36m(np.concatenate([video.joints for video in videos]))
        return Footage(
            films,
            film,
            np.concatenate([video.number for video in videos]),
            to_h36m(keypoints),
            np.ones(keypoints.shape[:2], np.float32),
            joints / (1000 * factor[:, None, None]),
            factor,
        )

    def cut(self) -> list[Clip]:
        """Cuts every video into clips."""
        videos = clips.runs(self.footage.film)
        if not self.test_mode:
            return [
                Clip(clip, np.ones(self.seq_len, bool))
                for video in videos
                for clip in clips.split_evenly(*video, self.seq_len, self.stride)
            ]
        if not self._valid.any():
            raise ValueError('no frame is marked as valid: there is nothing to test')
        if self.center_target:
            return self._centered(videos)
        return [
            Clip(clip, clips.last_of_repeats(clip) & self._valid[clip])
            for video in videos
            for clip in clips.split_evenly(*video, self.seq_len, self.seq_len)
            if self._valid[clip].any()
        ]

    def _centered(self, videos: list[tuple[int, int]]) -> list[Clip]:
        counted = np.arange(self.seq_len) == (self.seq_len - 1) // 2
        return [
            Clip(clip, counted)
            for start, stop in videos
            for clip in clips.windows(
                start,
                stop,
                self.seq_len,
                start + np.flatnonzero(self._valid[start:stop]),
            )
        ]
