"""Poses of MANO's files, brought into one convention.

Data sets store a hand's pose in three ways: as axis-angle, as axis-angle less the
mean pose of the model, or as coefficients of the model's principal components. Here
they become axis-angle with the mean pose included. The mean and the components stand
in the model's file, which its licence keeps out of this package.
"""

from typing import NamedTuple

import numpy as np

from mmssm.geometry.hand_model import free_hand_file, load_hand_model

FREE_HAND = 'free_hand'
"""Stands for the hand that ships with the package, where a path is expected."""

PREPARATION = (
    'docs/mano.md says where MANO comes from; tools/model_converters/mano.py makes '
    'an .npz of it'
)


class PoseSpace(NamedTuple):
    """What stored poses of a hand model are relative to.

    Attributes:
        source: The model's file.
        mean: ``(3 (J - 1),)`` mean pose, axis-angle, radians.
        components: ``(C, 3 (J - 1))`` principal components in rows; C is 0 where
            the file has none.
    """

    source: str
    mean: np.ndarray
    components: np.ndarray


def read_pose_space(model: str, fingers: int = 45) -> PoseSpace:
    """Reads mean pose and components of a hand model.

    Args:
        model: Its file, or ``'free_hand'``.
        fingers: Numbers of a pose without the wrist.

    Returns:
        What poses are relative to.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or a model of another hand.
        pickle.UnpicklingError: A ``.pkl`` asks for what is not data.
    """
    path = free_hand_file() if model == FREE_HAND else model
    hand = load_hand_model(path)
    mean = hand.hands_mean.double().numpy().reshape(-1)
    if len(mean) != fingers:
        raise ValueError(
            f'{path}: expected hands_mean of {fingers} numbers, as the poses of the '
            f'data set have, found {len(mean)}; {PREPARATION}'
        )
    return PoseSpace(path, mean, hand.hands_components.double().numpy())


def add_mean(pose: np.ndarray, space: PoseSpace) -> np.ndarray:
    """Adds the mean pose.

    Args:
        pose: ``(N, 3 J)`` axis-angle relative to the mean, the wrist first.
        space: Of the model that the poses are of.

    Returns:
        ``(N, 3 J)`` float32, the mean included.
    """
    wrist, fingers = pose[:, :3], pose[:, 3:]
    return np.concatenate([wrist, fingers + space.mean], 1).astype(np.float32)


def from_components(pose: np.ndarray, space: PoseSpace) -> np.ndarray:
    """Turns coefficients of principal components into axis-angle.

    Args:
        pose: ``(N, 3 + C)``: axis-angle of the wrist, C coefficients.
        space: Of the model that the poses are of.

    Returns:
        ``(N, 3 J)`` float32 axis-angle, the mean included.

    Raises:
        ValueError: The model has no components, or fewer.
    """
    count = pose.shape[1] - 3
    if len(space.components) < count:
        raise ValueError(
            f'{space.source}: expected hands_components with {count} rows, found '
            f'{len(space.components)}; {PREPARATION}'
        )
    fingers = pose[:, 3:].astype(np.float64) @ space.components[:count]
    return add_mean(np.concatenate([pose[:, :3], fingers], 1), space)


def mesh_columns(
    pose: np.ndarray | None, betas: np.ndarray | None, count: int
) -> dict[str, np.ndarray]:
    """Columns of a set's samples: parameters, and whether they are known.

    Args:
        pose: ``(N, 3 J)`` with the mean pose, NaN in rows that are not known; or
            None, where no row is.
        betas: ``(N, S)`` likewise.
        count: N.

    Returns:
        ``mano_pose``, ``mano_betas`` (where given), ``has_mano_pose (N,)`` and
        ``has_betas (N,)``; rows that are not known hold zeros.
    """
    columns = {}
    given = {'mano_pose': ('has_mano_pose', pose), 'mano_betas': ('has_betas', betas)}
    for name, (flag, values) in given.items():
        columns[flag] = np.zeros(count, np.float32)
        if values is not None:
            known = ~np.isnan(values).all(1)
            columns[flag] = known.astype(np.float32)
            filled = np.where(known[:, None], values, 0)
            columns[name] = filled.astype(np.float32)
    return columns
