"""Parameters of real hands without images."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmssm.registry import DATASETS
from mmssm.utils.annotation_files import (
    check_finite,
    check_shape,
    read_npz,
    require_keys,
)

PREPARATION = (
    "expected HaMeR's freihand_mocap.npz, or an .npz with hand_pose (N, 48) and "
    'betas (N, 10)'
)


@DATASETS.register_module()
class HandPoseDataset(Dataset):
    """Poses and shapes of a hand model, for a prior to learn what hands can do.

    Not a data set of MMPose's: its samples have no image and no annotations, and go
    to :class:`mmssm.HandPosePrior`.

    Args:
        ann_file: ``.npz`` with ``hand_pose (N, 48)``, axis-angle, radians, wrist
            first, the mean pose added (0 is the flat hand), and ``betas (N, 10)``:
            ``freihand_mocap.npz`` of HaMeR's training data.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, holds objects, or is of another kind; the message
            names key and row.
    """

    def __init__(self, ann_file: str) -> None:
        what = 'file of hand poses'
        arrays = read_npz(ann_file, what, PREPARATION)
        require_keys(ann_file, what, arrays, ['hand_pose', 'betas'])
        pose = check_shape(ann_file, 'hand_pose', arrays['hand_pose'], (None, None))
        betas = check_shape(ann_file, 'betas', arrays['betas'], (len(pose), None))
        if not len(pose) or pose.shape[1] % 3:
            raise ValueError(
                f'{ann_file}: expected hand_pose to be rows of three numbers a joint, '
                f'found {pose.shape}'
            )
        check_finite(ann_file, 'hand_pose', pose)
        check_finite(ann_file, 'betas', betas)
        self.hand_pose = torch.from_numpy(pose.astype(np.float32))
        self.betas = torch.from_numpy(betas.astype(np.float32))

    def __len__(self) -> int:
        """N."""
        return len(self.betas)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One hand: ``hand_pose (48)`` and ``betas (10)``."""
        return {'hand_pose': self.hand_pose[index], 'betas': self.betas[index]}

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Hands drawn at random, with replacement.

        Args:
            count: How many.

        Returns:
            ``hand_pose (count, 48)`` and ``betas (count, 10)``, float32, on the CPU.
        """
        chosen = torch.randint(len(self), (count,))
        return self.hand_pose[chosen], self.betas[chosen]
