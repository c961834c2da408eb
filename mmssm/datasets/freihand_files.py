"""FreiHAND in the files of its version 2, and sets in its layout."""

from os import path as osp

import numpy as np

from mmssm.datasets.hand_annotations import HandAnnotations, cameras, project
from mmssm.datasets.mano_poses import PoseSpace, add_mean, mesh_columns
from mmssm.utils.annotation_files import check_shape, read_json
from mmssm.utils.image_files import image_size

PREPARATION = (
    'docs/datasets/freihand.md says where the files come from, and synthhand.md how '
    'generated ones are made'
)

COUNTS = {'training': 32560, 'evaluation': 3960}
"""Annotated hands of the released files."""

VERSIONS = 4
"""Backgrounds that each training image was composed with, the original first."""


def read_column(
    root: str, split: str, name: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Reads ``<split>_<name>.json``.

    Args:
        root: Folder of the files.
        split: ``'training'`` or ``'evaluation'``.
        name: ``'K'``, ``'xyz'``, ``'verts'``, ``'mano'`` or ``'scale'``.
        shape: Shape expected; None for any number of hands.

    Returns:
        Its numbers, float32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or of another shape.
    """
    path = osp.join(root, f'{split}_{name}.json')
    data = read_json(path, 'annotation file', PREPARATION)
    return check_shape(path, name, data, shape).astype(np.float32)


def read_hands(
    root: str,
    split: str,
    versions: tuple[int, ...] | None = None,
    with_vertices: bool = False,
    with_mano: bool = False,
    whole_image: bool = False,
    pose_space: PoseSpace | None = None,
) -> HandAnnotations:
    """Reads FreiHAND's annotations.

    Args:
        root: Folder of ``<split>_xyz.json``.
        split: ``'training'`` or ``'evaluation'``.
        versions: Which of the versions of each image; None for those whose first
            image is there.
        with_vertices: Read ``<split>_verts.json`` too: ``vertices (N, V, 3)``.
        with_mano: Read ``<split>_mano.json`` too: ``mano_pose (N, 48)``,
            ``mano_betas (N, 10)``, ``has_mano_pose (N,)``, ``has_betas (N,)``.
        whole_image: Boxes are the image, not that of the keypoints.
        pose_space: Mean pose of the hand model, which the file's poses are relative
            to; without it poses are not known.

    Returns:
        The hands.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file does not hold what it should.
    """
    joints = read_column(root, split, 'xyz', (None, 21, 3))
    matrices = read_column(root, split, 'K', (len(joints), 3, 3))
    focal, principal = cameras(
        osp.join(root, f'{split}_K.json'), 'K', matrices.astype(np.float64)
    )
    extra = {}
    if with_vertices:
        extra['vertices'] = read_column(root, split, 'verts', (len(joints), None, 3))
    if with_mano:
        rows = read_column(root, split, 'mano', (len(joints), 1, 61))[:, 0]
        pose = None if pose_space is None else add_mean(rows[:, :48], pose_space)
        extra.update(mesh_columns(pose, rows[:, 48:58], len(joints)))
    folder = osp.join(root, split, 'rgb')
    if versions is None:
        versions = _versions_there(folder, len(joints))
    numbers = np.concatenate(
        [np.arange(len(joints)) + version * len(joints) for version in versions]
    )
    images = [osp.join(folder, f'{number:08d}.jpg') for number in numbers]
    size, bbox = image_size(images[0]), None
    if whole_image:
        if size is None:
            raise ValueError(
                f'{images[0]} does not say how large the images are: it is missing '
                'or damaged'
            )
        box = np.array([0, 0, *size], np.float32)
        bbox = np.tile(box, (len(joints), 1))
    return HandAnnotations(
        source=osp.join(root, f'{split}_xyz.json'),
        image=images,
        row=numbers % len(joints),
        img_id=numbers,
        keypoints=project(joints.astype(np.float64), focal, principal).astype(
            np.float32
        ),
        visible=np.ones(joints.shape[:2], np.float32),
        joints=joints,
        focal=focal,
        principal=principal,
        right=np.ones(len(joints), bool),
        size=None if size is None else np.tile(size, (len(joints), 1)),
        bbox=bbox,
        extra=extra,
    )


def _versions_there(folder: str, count: int) -> tuple[int, ...]:
    there = [
        version
        for version in range(VERSIONS)
        if osp.isfile(osp.join(folder, f'{version * count:08d}.jpg'))
    ]
    if not there:
        raise FileNotFoundError(
            f'there are no images in {folder}: expected 00000000.jpg and on; '
            f'{PREPARATION}'
        )
    return tuple(there)
