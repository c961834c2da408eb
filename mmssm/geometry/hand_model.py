"""The file of a hand model: template, skeleton, skinning weights, blend shapes.

A model is one ``.npz`` with MANO's names and conventions, or MANO's own ``.pkl``, so
that MANO and the free hand that ships with this package serve alike. No joint,
vertex or shape count is fixed.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROOT_PARENT = 2**32 - 1
"""How MANO's ``kintree_table`` (unsigned) marks a joint without parent."""

_ROW_SUM_TOLERANCE = 1e-3
"""Rounding of single-precision files that were written by others."""

_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class HandModel:
    """A skinned hand with V vertices, F faces, J joints and S shapes.

    Lengths are metres. Every joint's rotation at rest is the identity.

    Attributes:
        v_template: ``(V, 3)`` vertices at rest.
        faces: ``(F, 3)`` int64 vertex numbers, counter-clockwise from outside.
        shapedirs: ``(V, 3, S)`` displacement by each shape coefficient.
        posedirs: ``(V, 3, 9 (J - 1))`` displacement by each element of R_j - I,
            row by row, of the joints after the root.
        joints: ``(J, 3)`` joints at rest.
        joint_shapedirs: ``(J, 3, S)`` displacement of the joints by each shape.
        weights: ``(V, J)`` skinning weights; rows sum to 1.
        parents: Parent of each joint, -1 for the root, which comes first.
        hands_mean: ``(J - 1, 3)`` pose that stored axis-angle poses are
            relative to where a data set says so, radians.
        hands_components: ``(C, 3 (J - 1))`` principal components of poses, one a
            row, radians; C is 0 where the file has none. A pose of c coefficients
            is ``coefficients @ hands_components[:c]``, less ``hands_mean``.
        tips: Vertex numbers of the fingertips, thumb to little finger; empty
            where the file names none (MANO's does not).
        joint_frames: ``(J, 3, 3)`` anatomical axes of each joint at rest, as
            columns: flexion axis, abduction axis, the bone's direction. None
            where the file has none (MANO's does not).
    """

    v_template: Tensor
    faces: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    joints: Tensor
    joint_shapedirs: Tensor
    weights: Tensor
    parents: tuple[int, ...]
    hands_mean: Tensor
    hands_components: Tensor
    tips: tuple[int, ...] = ()
    joint_frames: Tensor | None = None

    @property
    def num_vertices(self) -> int:
        """V."""
        return len(self.v_template)

    @property
    def num_joints(self) -> int:
        """J, fingertips not among them."""
        return len(self.joints)

    @property
    def num_shapes(self) -> int:
        """S."""
        return self.shapedirs.shape[-1]

    def to(
        self,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> 'HandModel':
        """A copy on another device, or with other floating-point numbers."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                kind = dtype if value.is_floating_point() else None
                moved[field.name] = value.to(device=device, dtype=kind)
        return replace(self, **moved)


def free_hand_file() -> str:
    """Path of the free right hand that ships with the package."""
    return str(resources.files('mmssm.geometry') / 'free_hand' / 'right.npz')


def load_hand_model(path: str | Path, dtype: torch.dtype = torch.float32) -> HandModel:
    """Reads a hand model. The file cannot run code.

    Keys are MANO's. ``v_template (V, 3)``, ``f (F, 3)``, ``weights (V, J)``,
    one of ``J_regressor (J, V)`` and ``J (J, 3)`` (joints that no shape moves),
    and one of ``kintree_table (2, J)`` and ``parents (J)`` are needed.
    ``shapedirs (V, 3, S)``, ``posedirs (V, 3, 9 (J - 1))``, ``hands_mean
    (3 (J - 1))``, ``hands_components (C, 3 (J - 1))``, ``tips`` and ``joint_frames
    (J, 3, 3)`` may be absent; other keys are left alone.

    Args:
        path: An ``.npz`` file of plain arrays, or MANO's ``.pkl``.
        dtype: Floating-point numbers of the model.

    Returns:
        The model, on the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, holds objects, or is no hand model; the
            message names file and key.
        pickle.UnpicklingError: A ``.pkl`` is damaged, or asks for what is not data;
            the message names it.
    """
    path = str(path)
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'hand model {path} does not exist (working directory: {Path.cwd()}); '
            "expected MANO's own .pkl or an .npz made of it, which every user has to "
            'fetch: docs/mano.md says how'
        )
    if Path(path).suffix != '.pkl':
        return _Reader(path, _read_npz(path), dtype).model()
    # reading pickles takes MMEngine, which nothing else here needs
    from mmssm.geometry.mano_pickle import read_mano_pickle

    return _Reader(path, read_mano_pickle(path), dtype).model()


def _read_npz(path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _UNREADABLE as error:
        raise ValueError(
            f'hand model {path} cannot be read ({type(error).__name__}: {error}); '
            'expected an .npz of plain arrays, not a pickle'
        ) from error


def save_hand_arrays(
    path: str | Path,
    arrays: Mapping[str, np.ndarray],
    dtype: torch.dtype = torch.float32,
) -> HandModel:
    """Writes a hand model's arrays, checked as :func:`load_hand_model` does.

    Args:
        path: File to write, ``.npz``.
        arrays: Arrays under MANO's keys.
        dtype: Floating-point numbers of the model returned.

    Returns:
        The model that the file holds.

    Raises:
        ValueError: The arrays are no hand model.
    """
    model = _Reader(str(path), dict(arrays), dtype).model()
    contents: dict[str, Any] = dict(arrays)
    np.savez_compressed(path, **contents)
    return model


class _Reader:
    """Checks arrays and names file and key in every complaint."""

    def __init__(self, path: str, arrays: dict[str, Any], dtype: torch.dtype) -> None:
        self.path = path
        self.arrays = arrays
        self.dtype = dtype

    def model(self) -> HandModel:
        template = self.floats('v_template', (None, 3))
        vertices = len(template)
        weights = self.floats('weights', (vertices, None))
        joints = weights.shape[1]
        self.check_rows('weights', weights)
        if weights.min() < 0:
            raise self.error('weights', 'no negative numbers', weights.min())
        parents = self.parents(joints)
        shapedirs = self.optional('shapedirs', (vertices, 3, None), 0)
        rest, joint_shapedirs = self.joints(template, shapedirs, joints)
        features = 9 * (joints - 1)
        posedirs = self.optional('posedirs', (vertices, 3, features), features)
        mean = self.optional('hands_mean', (3 * (joints - 1),), 3 * (joints - 1))
        components = self.optional(
            'hands_components', (None, 3 * (joints - 1)), 3 * (joints - 1)
        )
        frames = None
        if 'joint_frames' in self.arrays:
            frames = self.floats('joint_frames', (joints, 3, 3))
            self.check_frames(frames)
        return HandModel(
            v_template=self.tensor(template),
            faces=torch.from_numpy(self.vertex_numbers('f', (None, 3), vertices)),
            shapedirs=self.tensor(shapedirs),
            posedirs=self.tensor(posedirs),
            joints=self.tensor(rest),
            joint_shapedirs=self.tensor(joint_shapedirs),
            weights=self.tensor(weights / weights.sum(1, keepdims=True)),
            parents=parents,
            hands_mean=self.tensor(mean.reshape(-1, 3)),
            hands_components=self.tensor(components),
            tips=tuple(self.tips(vertices)),
            joint_frames=None if frames is None else self.tensor(frames),
        )

    def tensor(self, value: np.ndarray) -> Tensor:
        return torch.from_numpy(value).to(self.dtype)

    def error(self, key: str, expected: str, found: object) -> ValueError:
        return ValueError(
            f"hand model {self.path}, '{key}': expected {expected}, found {found}"
        )

    def array(self, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
        if key not in self.arrays:
            raise ValueError(
                f"hand model {self.path} has no '{key}'; found {sorted(self.arrays)}"
            )
        value = np.asarray(self.arrays[key])
        fits = value.ndim == len(shape) and all(
            wanted in (None, size)
            for wanted, size in zip(shape, value.shape, strict=True)
        )
        if not fits or value.size == 0:
            wanted = ', '.join('any' if size is None else str(size) for size in shape)
            raise self.error(key, f'shape ({wanted}), not empty', value.shape)
        return value

    def floats(self, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
        value = self.array(key, shape)
        if value.dtype.kind not in 'fiu':
            raise self.error(key, 'numbers', f'dtype {value.dtype}')
        value = value.astype(np.float64)
        if not np.isfinite(value).all():
            raise self.error(key, 'finite numbers', 'NaN or infinity')
        return value

    def optional(
        self, key: str, shape: tuple[int | None, ...], size: int
    ) -> np.ndarray:
        """The array, or zeros with ``size`` as last dimension."""
        if key in self.arrays and np.size(self.arrays[key]):
            return self.floats(key, shape)
        return np.zeros((*(length or 0 for length in shape[:-1]), size))

    def vertex_numbers(
        self, key: str, shape: tuple[int | None, ...], vertices: int
    ) -> np.ndarray:
        value = self.array(key, shape)
        if value.dtype.kind not in 'iu':
            raise self.error(key, 'whole numbers', f'dtype {value.dtype}')
        value = value.astype(np.int64)
        if value.min() < 0 or value.max() >= vertices:
            raise self.error(
                key,
                f'vertex numbers 0 to {vertices - 1}',
                f'{value.min()} to {value.max()}',
            )
        return value

    def tips(self, vertices: int) -> list[int]:
        if 'tips' not in self.arrays or np.size(self.arrays['tips']) == 0:
            return []
        return self.vertex_numbers('tips', (None,), vertices).tolist()

    def check_rows(self, key: str, value: np.ndarray) -> None:
        off = np.abs(value.sum(1) - 1)
        if off.max() > _ROW_SUM_TOLERANCE:
            row = int(off.argmax())
            raise self.error(
                key, 'rows that sum to 1', f'{value[row].sum():.4f} in row {row}'
            )

    def check_frames(self, frames: np.ndarray) -> None:
        off = np.abs(frames.swapaxes(1, 2) @ frames - np.eye(3)).max((1, 2))
        if off.max() > _ROW_SUM_TOLERANCE or np.linalg.det(frames).min() < 0:
            raise self.error('joint_frames', 'rotations', 'other matrices')

    def parents(self, joints: int) -> tuple[int, ...]:
        key = 'parents' if 'parents' in self.arrays else 'kintree_table'
        shape = (joints,) if key == 'parents' else (2, joints)
        table = self.array(key, shape)
        if table.dtype.kind not in 'iu':
            raise self.error(key, 'whole numbers', f'dtype {table.dtype}')
        row = table if key == 'parents' else table[0]
        parents = tuple(-1 if p == ROOT_PARENT else int(p) for p in row.tolist())
        first, rest = parents[0], parents[1:]
        if first != -1 or any(not 0 <= p < j for j, p in enumerate(rest, start=1)):
            raise self.error(
                key, 'the root first and every parent before its children', parents
            )
        return parents

    def joints(
        self, template: np.ndarray, shapedirs: np.ndarray, joints: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Joints at rest and their displacement by each shape."""
        if 'J_regressor' not in self.arrays:
            rest = self.floats('J', (joints, 3))
            return rest, np.zeros((joints, 3, shapedirs.shape[-1]))
        regressor = self.floats('J_regressor', (joints, len(template)))
        self.check_rows('J_regressor', regressor)
        return regressor @ template, np.einsum('jv,vcs->jcs', regressor, shapedirs)
