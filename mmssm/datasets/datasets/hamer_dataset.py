"""Hands in HaMeR's files."""

import os
from logging import INFO, WARNING
from os import path as osp
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log

from mmssm.datasets import hamer_files
from mmssm.datasets.datasets.hand_dataset import HandDataset, HandSamples
from mmssm.datasets.hand_annotations import HandAnnotations, check_invalid
from mmssm.datasets.metainfo import hand_metainfo
from mmssm.registry import DATASETS


@DATASETS.register_module()
class HandMeshNpzDataset(HandDataset):
    """Evaluation hands in HaMeR's ``.npz`` files.

    MMPose has no class for them. Samples have the keys of :class:`HandDataset` but
    no camera, and ``keypoints_cam_weights (1, 21)``, ``mano_pose (1, 48)``
    (axis-angle, radians, mean pose included), ``mano_betas (1, 10)``,
    ``has_mano_pose (1,)``, ``has_betas (1,)``. ``bbox`` is the file's box.

    Args:
        ann_file: The file, relative to ``data_root``.
        img_dir: Folder that the file's image names are relative to, relative to
            ``data_root``.
        **kwargs: As in :class:`HandDataset`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold what it should.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('hamer')

    def __init__(self, ann_file: str, img_dir: str = '', **kwargs: Any) -> None:
        self.npz_file = ann_file
        self.img_dir = img_dir
        super().__init__(**kwargs)

    def read(self) -> HandAnnotations:
        """Reads and checks the annotations."""
        return hamer_files.read_npz_hands(
            osp.join(self.data_root, self.npz_file),
            osp.join(self.data_root, self.img_dir),
        )


@DATASETS.register_module()
class HandMeshTarDataset(HandSamples):
    """Training hands in HaMeR's tars, read where they lie.

    MMPose has no class for them. Any hand can be asked for, in any order and by any
    number of workers: each opens the tar and reads the bytes of one image and its
    annotation. Nothing is unpacked to disk; members are checked when the tars are
    looked through, and their pickles can run nothing.

    Samples have the keys of :class:`HandDataset` but no camera, the image as
    ``img_bytes`` (for ``mmssm.LoadCheckedImage``; ``img_path`` is the tar and the
    image's first byte), and ``keypoints_cam_weights (1, 21)``, ``mano_pose (1, 48)``
    (axis-angle, radians, mean pose included), ``mano_betas (1, 10)``,
    ``has_mano_pose (1,)``, ``has_betas (1,)``. ``bbox`` is the file's box, which
    its authors enlarged already.

    Args:
        index_file: Where the hands lie, relative to ``data_root``, made by
            ``tools/dataset_converters/hamer_index.py``. Without it, the tars are
            looked through when the dataset is built: hours for hundreds of
            gigabytes.
        min_confidence: Joints in the plane below it do not count as known.
        min_joints: Hands with fewer joints known in the plane are left out.
        max_fitting_loss: Hands whose parameters fit the image worse are left out;
            those without the number stay.
        max_beta: Hands with a shape coefficient beyond it have no parameters.
        invalid: What to do with hands whose numbers are NaN or whose box has no size:
            ``'raise'``, or ``'skip'`` them with a warning that counts them.
        **kwargs: As in :class:`HandSamples`.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file does not hold what it should, or no hand is left.
    """

    METAINFO: ClassVar[dict] = hand_metainfo('hamer')

    def __init__(
        self,
        index_file: str | None = None,
        min_confidence: float = 0.3,
        min_joints: int = 5,
        max_fitting_loss: float = 31000.0,
        max_beta: float = 3.0,
        invalid: str = 'raise',
        **kwargs: Any,
    ) -> None:
        check_invalid(invalid)
        self.invalid = invalid
        self.index_file = index_file
        self.min_confidence = min_confidence
        self.min_joints = min_joints
        self.max_fitting_loss = max_fitting_loss
        self.max_beta = max_beta
        self.index: hamer_files.TarIndex
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """One entry per hand that passes the filters."""
        if self.index_file is None:
            tars = hamer_files.list_tars(self.data_root)
            self.index = hamer_files.scan_tars(tars)
        else:
            path = osp.join(self.data_root, self.index_file)
            self.index = hamer_files.read_index(path, self.data_root)
        sure = (self.index.confidence >= self.min_confidence).sum(1)
        bad_fit = self.index.loss >= self.max_fitting_loss
        kept = np.flatnonzero((sure >= self.min_joints) & ~bad_fit & ~self._faulty())
        print_log(
            f'{self.data_root}: {len(kept):,} of {len(sure):,} hands; left out '
            f'{(sure < self.min_joints).sum():,} with fewer than {self.min_joints} '
            f'joints and {bad_fit.sum():,} with a bad fit',
            'current',
            INFO,
        )
        if not len(kept):
            raise ValueError(f'{self.data_root} holds no hand that can be used')
        return [{'hand': int(row)} for row in kept]

    def _faulty(self) -> np.ndarray:
        faulty = self.index.faulty.astype(bool)
        if faulty.any():
            message = (
                f'{self.index.where(int(faulty.argmax()))}: NaN, or a box of no '
                f'size; the same holds for {faulty.sum() - 1:,} more of '
                f'{len(faulty):,} hands'
            )
            if self.invalid == 'raise':
                raise ValueError(f"{message} (invalid='skip' leaves them out)")
            print_log(f'{message}; left out', 'current', WARNING)
        return faulty

    def gather(self, sample: int) -> dict:
        """Reads a sample out of its tar, without the skeleton.

        Raises:
            ValueError: The tar is not what it was, or numbers are NaN.
        """
        index, where = self.index, self.index.where(sample)
        path = index.tars[index.tar[sample]]
        with open(path, 'rb') as file:
            data = hamer_files.read_span(file, index.data[sample], where)
            image = hamer_files.read_span(file, index.image[sample], where)
        entries = hamer_files.parse_entries(where, data)
        if index.number[sample] >= len(entries):
            raise ValueError(f'{where}: there are {len(entries)} hands')
        entry = entries[index.number[sample]]
        fault = hamer_files.fault_of(entry)
        if fault is not None:
            raise ValueError(f'{where}: {fault}')
        half = entry.size / 2
        return {
            'img_path': os.path.join(path, f'{index.image[sample, 0]}.jpg'),
            'img_bytes': image,
            'img_id': sample,
            'id': sample,
            'bbox': np.concatenate([entry.center - half, entry.center + half])[None],
            'bbox_score': np.ones(1, np.float32),
            'keypoints': entry.keypoints_2d[None, :, :2],
            'keypoints_visible': entry.keypoints_2d[None, :, 2].clip(0, 1),
            'keypoints_cam': entry.keypoints_3d[None, :, :3],
            'keypoints_cam_weights': entry.keypoints_3d[None, :, 3].clip(0, 1),
            'hand_type': np.array([[entry.right, not entry.right]], np.float32),
            'hand_type_valid': np.ones(1, np.float32),
            **self._parameters(entry),
        }

    def _parameters(self, entry: hamer_files.Entry) -> dict[str, np.ndarray]:
        """Pose and shape, which count together or not at all."""
        pose, betas = entry.pose, entry.betas
        if pose is None or betas is None or np.abs(betas).max() > self.max_beta:
            none = np.zeros(1, np.float32)
            return {'has_mano_pose': none, 'has_betas': none}
        one = np.ones(1, np.float32)
        return {
            'mano_pose': pose[None],
            'mano_betas': betas[None],
            'has_mano_pose': one,
            'has_betas': one,
        }
