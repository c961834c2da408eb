"""HaMeR's files: ``.npz`` of evaluation hands, tars of training hands.

Nothing is unpacked: images and annotations are read out of the tars where they lie,
and what the pickles among them ask for is refused unless it is plain data.
"""

import os
import tarfile
from collections.abc import Iterator, Mapping
from os import path as osp
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from mmengine.utils import ProgressBar

from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.utils import safe_pickle
from mmssm.utils.annotation_files import (
    DAMAGED,
    check_inside,
    check_shape,
    damaged,
    read_arrays,
    read_npz,
    require_keys,
    require_list,
    texts,
)

PREPARATION = 'docs/datasets/hamer.md says where the files come from'

SETS = {
    'freihand-train': 130240,
    'interhand26m-train': 1424632,
    'mtc-train': 363947,
    'cocow-train': 78666,
    'rhd-train': 61705,
    'halpe-train': 34289,
    'mpiinzsl-train': 15184,
    'ho3d-train': 83325,
    'h2o3d-train': 121996,
    'dex-train': 406888,
}
"""Hands of each folder of tars, as the authors count them."""

BOX_UNIT = 200.0
"""Pixels of a box that the tars' ``scale`` counts as 1."""

MAX_IMAGE_BYTES = 2**26
MAX_DATA_BYTES = 2**24
"""Sizes of members above which a tar is refused: 64 MiB and 16 MiB."""

MAX_HANDS = 1000
"""Hands of one image above which a tar is refused."""

IMAGES = ('jpg', 'jpeg', 'png')
DATA = 'data.pyd'


def read_npz_hands(path: str, images: str) -> HandAnnotations:
    """Reads a file of evaluation hands.

    Args:
        path: The ``.npz`` file.
        images: Folder of the images.

    Returns:
        The hands. Cameras are not known; joints in space are as the file has them,
        with ``keypoints_cam_weights (N, 21)``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold what it should.
    """
    needed = ('imgname', 'center', 'scale', 'hand_keypoints_2d', 'hand_keypoints_3d')
    optional = ('right', 'hand_pose', 'has_hand_pose', 'betas', 'has_betas')
    data = read_arrays(path, (*needed, *optional), 'annotation file', PREPARATION)
    require_keys(path, 'the file', data, needed)
    center = check_shape(path, 'center', data['center'], (None, 2)).astype(np.float64)
    count = len(center)
    wanted = (count, 2) if data['scale'].ndim == 2 else (count,)
    scale = check_shape(path, 'scale', data['scale'], wanted).reshape(count, -1)
    flat = check_shape(
        path, 'hand_keypoints_2d', data['hand_keypoints_2d'], (count, 21, 3)
    )
    space = check_shape(
        path, 'hand_keypoints_3d', data['hand_keypoints_3d'], (count, 21, 4)
    )
    right = np.ones(count)
    if 'right' in data:
        right = check_shape(path, 'right', data['right'], (count,))
    half = np.broadcast_to(scale, (count, 2)) / 2
    return HandAnnotations(
        source=path,
        image=_image_paths(path, data['imgname'], images, count),
        row=np.arange(count),
        img_id=np.arange(count),
        keypoints=flat[..., :2].astype(np.float32),
        visible=flat[..., 2].clip(0, 1).astype(np.float32),
        joints=space[..., :3].astype(np.float32),
        focal=None,
        principal=None,
        right=right > 0.5,
        bbox=np.concatenate([center - half, center + half], 1).astype(np.float32),
        extra={
            'keypoints_cam_weights': space[..., 3].clip(0, 1).astype(np.float32),
            **_npz_parameters(path, data, count),
        },
    )


def _image_paths(path: str, names: np.ndarray, images: str, count: int) -> list[str]:
    if names.dtype == object:
        names = np.array(
            [
                one.decode('utf-8', 'replace') if isinstance(one, bytes) else one
                for one in names.reshape(-1).tolist()
            ],
            dtype=object,
        )
    found = texts(path, 'imgname', names, count)
    return [
        osp.join(images, check_inside(path, f'imgname {number}', str(name)))
        for number, name in enumerate(found)
    ]


def _npz_parameters(
    path: str, data: Mapping[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    extra = {}
    names = {
        'hand_pose': ('mano_pose', 'has_hand_pose', 'has_mano_pose', 48),
        'betas': ('mano_betas', 'has_betas', 'has_betas', 10),
    }
    for key, (name, flag, has, size) in names.items():
        extra[has] = np.zeros(count, np.float32)
        if key in data and flag in data:
            values = check_shape(path, key, data[key], (count, size))
            known = check_shape(path, flag, data[flag].reshape(-1), (count,)) > 0.5
            extra[has] = known.astype(np.float32)
            extra[name] = np.where(known[:, None], values, 0).astype(np.float32)
    return extra


class Entry(NamedTuple):
    """One hand of a tar.

    Attributes:
        keypoints_2d: ``(21, 3)`` pixels of the image and confidence, ``'op21'``.
        keypoints_3d: ``(21, 4)`` metres and confidence.
        center: ``(2,)`` of the box, pixels.
        size: ``(2,)`` of the box, pixels.
        pose: ``(48,)`` axis-angle, radians, mean pose included; None where not known.
        betas: ``(10,)``; None where not known.
        right: Whether it is a right hand.
        fitting_loss: Of the parameters in the image; NaN where there is none.
    """

    keypoints_2d: np.ndarray
    keypoints_3d: np.ndarray
    center: np.ndarray
    size: np.ndarray
    pose: np.ndarray | None
    betas: np.ndarray | None
    right: bool
    fitting_loss: float


def fault_of(entry: Entry) -> str | None:
    """What is wrong with a hand's numbers; None where nothing is."""
    for name in ('keypoints_2d', 'keypoints_3d', 'center', 'size', 'pose', 'betas'):
        values = getattr(entry, name)
        if values is not None and not np.isfinite(values).all():
            return f'{name} is NaN or infinite'
    return None if (entry.size > 0).all() else 'its box has no size'


def parse_entries(where: str, data: bytes) -> list[Entry]:
    """Reads a ``data.pyd``, a pickled list of hands, without running anything.

    Args:
        where: Tar and member, for messages.
        data: Its bytes.

    Returns:
        The hands.

    Raises:
        ValueError: It asks for code, is damaged, or does not hold what it should.
    """
    try:
        found = safe_pickle.loads(data, encoding='latin1', objects=True)
    except DAMAGED as error:
        raise ValueError(
            f'{where} was not read ({type(error).__name__}: {error})'
        ) from error
    entries = require_list(where, 'the member', found)
    if len(entries) > MAX_HANDS:
        raise ValueError(
            f'{where}: expected at most {MAX_HANDS} hands, found {len(entries)}'
        )
    return [
        _parse(f'{where}, hand {number}', one) for number, one in enumerate(entries)
    ]


def _parse(where: str, found: Any) -> Entry:
    shapes: dict[str, tuple[int | None, ...]] = {
        'keypoints_2d': (21, 3),
        'keypoints_3d': (21, 4),
        'center': (2,),
        'scale': (2,),
    }
    require_keys(where, 'the hand', found, (*shapes, 'right'))
    arrays = {
        key: check_shape(where, key, found[key], shape).astype(np.float32)
        for key, shape in shapes.items()
    }
    return Entry(
        arrays['keypoints_2d'],
        arrays['keypoints_3d'],
        arrays['center'],
        arrays['scale'] * np.float32(BOX_UNIT),
        _if_known(where, found, 'hand_pose', 'has_hand_pose', 48),
        _if_known(where, found, 'betas', 'has_betas', 10),
        _number(where, 'right', found['right']) > 0.5,
        _fitting_loss(where, found.get('extra_info')),
    )


def _if_known(
    where: str, found: Mapping, key: str, flag: str, size: int
) -> np.ndarray | None:
    if key not in found or not _number(where, flag, found.get(flag, 0)) > 0.5:
        return None
    return check_shape(where, key, found[key], (size,)).astype(np.float32)


def _number(where: str, key: str, value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in 'iufb':
        raise ValueError(f'{where}: expected {key} to be one number, found {value!r}')
    return float(array.reshape(-1)[0])


def _fitting_loss(where: str, info: Any) -> float:
    """The loss in ``extra_info``; NaN where there is none, which counts as good."""
    loss = info.get('fitting_loss') if isinstance(info, Mapping) else None
    if isinstance(loss, np.ndarray) and loss.shape == ():
        loss = loss.item()
    value = loss.get('reprojection_loss') if isinstance(loss, Mapping) else None
    return float('nan') if value is None else _number(where, 'reprojection_loss', value)


class TarIndex(NamedTuple):
    """Where each hand of some tars lies.

    Attributes:
        tars: Paths of the tars.
        tar: ``(N,)`` number of the hand's tar.
        image: ``(N, 2)`` first byte and length of its image.
        data: ``(N, 2)`` first byte and length of its annotation.
        number: ``(N,)`` place in the annotation's list.
        confidence: ``(N, 21)`` of the joints in the plane.
        loss: ``(N,)`` fitting loss, NaN where there is none.
        faulty: ``(N,)`` bool, whether its numbers cannot be used.
    """

    tars: list[str]
    tar: np.ndarray
    image: np.ndarray
    data: np.ndarray
    number: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray
    faulty: np.ndarray

    def where(self, row: int) -> str:
        """Names a hand, for messages."""
        name = self.tars[self.tar[row]]
        return f'{name}, byte {self.data[row, 0]}, hand {self.number[row]}'


def list_tars(root: str) -> list[str]:
    """The tars of a folder, by name.

    Raises:
        FileNotFoundError: There are none.
    """
    found = sorted(str(path) for path in Path(root).glob('*.tar'))
    if not found:
        raise FileNotFoundError(f'there are no .tar files in {root}; {PREPARATION}')
    return found


def scan_tars(paths: list[str]) -> TarIndex:
    """Looks through tars for hands, with a progress bar. Nothing is unpacked.

    Args:
        paths: The tars.

    Returns:
        Their hands.

    Raises:
        ValueError: A tar is damaged; has members with absolute names or with ``..``,
            links or devices, or of absurd sizes; or does not hold what it should.
    """
    rows: list[tuple] = []
    progress = ProgressBar(len(paths))
    for number, path in enumerate(paths):
        rows += [(number, *row) for row in _scan(path)]
        progress.update()
    if not rows:
        raise ValueError(f'{osp.dirname(paths[0])} holds no hands; {PREPARATION}')
    tar, image, data, place, confidence, loss, faulty = zip(*rows, strict=True)
    return TarIndex(
        paths,
        np.array(tar, np.int32),
        np.array(image, np.int64),
        np.array(data, np.int64),
        np.array(place, np.int32),
        np.array(confidence, np.float16),
        np.array(loss, np.float32),
        np.array(faulty, bool),
    )


def _scan(path: str) -> Iterator[tuple]:
    try:
        with open(path, 'rb') as file, tarfile.open(fileobj=file, mode='r:') as tar:
            groups = _members(path, tar)
            for name, members in groups.items():
                image = [members[kind] for kind in IMAGES if kind in members]
                if DATA not in members or len(image) != 1:
                    raise ValueError(
                        f'{path}: expected an image and a {DATA} named {name}, found '
                        f'{sorted(members)}'
                    )
                where = f'{path}, {name}.{DATA}'
                data = read_span(file, members[DATA], where)
                for number, entry in enumerate(parse_entries(where, data)):
                    yield (
                        image[0],
                        members[DATA],
                        number,
                        entry.keypoints_2d[:, 2],
                        entry.fitting_loss,
                        fault_of(entry) is not None,
                    )
    except tarfile.TarError as error:
        raise damaged(path, 'tar', error) from error


def _members(path: str, tar: tarfile.TarFile) -> dict[str, dict[str, tuple[int, int]]]:
    """First byte and length of what each name has, by its ending."""
    groups: dict[str, dict[str, tuple[int, int]]] = {}
    for member in tar:
        check_inside(path, 'a member', member.name)
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            raise ValueError(
                f'{path}: {member.name} is a link, a device or the like; expected '
                'files alone; do not use this file'
            )
        folder, base = osp.split(member.name)
        stem, _, ending = base.partition('.')
        if ending in (*IMAGES, DATA):
            most = MAX_DATA_BYTES if ending == DATA else MAX_IMAGE_BYTES
            if not 0 < member.size <= most:
                raise ValueError(
                    f'{path}: {member.name} has {member.size:,} bytes, expected 1 to '
                    f'{most:,}'
                )
            group = groups.setdefault(osp.join(folder, stem), {})
            group[ending] = (member.offset_data, member.size)
    return groups


def read_span(file: IO[bytes], span: tuple[int, int] | np.ndarray, where: str) -> bytes:
    """Reads a part of a file.

    Args:
        file: The file.
        span: First byte and length.
        where: What is read, for the message.

    Returns:
        The bytes.

    Raises:
        ValueError: The file ends before.
    """
    start, length = (int(one) for one in span)
    file.seek(start)
    data = file.read(length)
    if len(data) != length:
        raise ValueError(
            f'{where}: expected {length:,} bytes, the file ends after {len(data):,}'
        )
    return data


def write_index(path: str, index: TarIndex) -> None:
    """Writes what :func:`scan_tars` found, next to the sizes of the tars.

    Args:
        path: The ``.npz`` file to write.
        index: What was found.
    """
    columns = index._asdict()
    columns['tars'] = np.array([osp.basename(one) for one in index.tars])
    sizes = np.array([os.path.getsize(one) for one in index.tars])
    np.savez(path, sizes=sizes, **columns)


def read_index(path: str, root: str) -> TarIndex:
    """Reads what :func:`write_index` wrote.

    Args:
        path: The ``.npz`` file.
        root: Folder of the tars.

    Returns:
        The hands.

    Raises:
        FileNotFoundError: The file, or a tar, does not exist.
        ValueError: It does not hold what it should, or is of other tars.
    """
    preparation = 'tools/dataset_converters/hamer_index.py makes it'
    data = read_npz(path, 'index', preparation)
    require_keys(path, 'the file', data, (*TarIndex._fields, 'sizes'))
    rows = len(check_shape(path, 'tar', data['tar'], (None,)))
    count = len(check_shape(path, 'sizes', data['sizes'], (None,)))
    for key, shape in (
        ('image', (rows, 2)),
        ('data', (rows, 2)),
        ('number', (rows,)),
        ('confidence', (rows, 21)),
        ('loss', (rows,)),
        ('faulty', (rows,)),
    ):
        check_shape(path, key, data[key], shape)
    for key, stop in {'tar': count, 'number': MAX_HANDS}.items():
        column = data[key]
        whole = column.dtype.kind in 'iu'
        if rows and not (whole and column.min() >= 0 and column.max() < stop):
            raise ValueError(f'{path}: {key} must be whole numbers in [0, {stop})')
    for key, most in {'image': MAX_IMAGE_BYTES, 'data': MAX_DATA_BYTES}.items():
        span = data[key]
        whole = span.dtype.kind in 'iu'
        if rows and not (whole and span.min() >= 0 and span[:, 1].max() <= most):
            raise ValueError(f'{path}: {key} must be places, and sizes to {most}')
    names = texts(path, 'tars', data['tars'], count)
    tars = [osp.join(root, check_inside(path, 'tars', str(name))) for name in names]
    for tar, size in zip(tars, data['sizes'].tolist(), strict=True):
        if not osp.isfile(tar):
            raise FileNotFoundError(f'tar {tar} of {path} does not exist')
        if os.path.getsize(tar) != size:
            raise ValueError(
                f'{path} was made for a {tar} of {size:,} bytes, not of '
                f'{os.path.getsize(tar):,}; {preparation}'
            )
    return TarIndex(tars, *(data[key] for key in TarIndex._fields[1:]))
