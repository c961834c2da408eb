"""The files of a whole data set, written by several processes."""

import io
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
import scipy.io
import torch
from mmengine.utils import ProgressBar

from mmssm.datasets.synthhand.depth_maps import nyu_joints
from mmssm.datasets.synthhand.samples import SAMPLERS, Sample, Sampler

NAME = 'synthhand.json'
"""File that says how the data set was made."""

_CHUNK = 4

_NYU_FOLDERS = {'training': 'train', 'evaluation': 'test'}
_NYU_CAMERAS = 3

_MAT_HEADER = b'MATLAB 5.0 MAT-file, written by synthhand'


def write_synthhand(
    out: str | Path,
    num_training: int,
    num_evaluation: int,
    seed: int = 0,
    variant: str = 'rgb',
    workers: int = 1,
    max_turn: float = 180.0,
) -> None:
    """Writes a data set, with a progress bar.

    The folder appears under its name when it is whole; what was begun is taken
    away when something goes wrong. Its bytes depend on the arguments but not on
    ``workers``; the first samples of a longer set are those of a shorter one.

    Args:
        out: Folder to write, must not exist.
        num_training: Training images, at least 1.
        num_evaluation: Evaluation images, at least 1.
        seed: Seed of all that is drawn, not negative.
        variant: ``'rgb'`` (FreiHAND's layout) or ``'depth'`` (NYU's).
        workers: Processes that draw and render.
        max_turn: Degrees that hands are turned, at most, from an open palm before
            the camera, fingers up; 180 for any direction alike.

    Raises:
        FileExistsError: ``out`` exists.
        ValueError: An argument is out of its range.
    """
    out = Path(out)
    if variant not in SAMPLERS:
        raise ValueError(f"variant must be one of {list(SAMPLERS)}, got '{variant}'")
    least = {'num_training': 1, 'num_evaluation': 1, 'seed': 0, 'workers': 1}
    given = (num_training, num_evaluation, seed, workers)
    for (name, low), value in zip(least.items(), given, strict=True):
        if value < low:
            raise ValueError(f'{name} must be at least {low}, got {value}')
    # less would be drawn, and thrown away, too often
    if not 10 <= max_turn <= 180:
        raise ValueError(f'max_turn must be 10 to 180 degrees, got {max_turn}')
    if out.exists() or out.is_symlink():
        raise FileExistsError(
            f'{out} exists; remove it, or give the name of a folder that does not'
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    # on the same file system, so that it can be renamed
    folder = Path(tempfile.mkdtemp(prefix=f'.{out.name}-', dir=out.parent))
    try:
        counts = {'training': num_training, 'evaluation': num_evaluation}
        make = partial(SAMPLERS[variant], seed, max_turn)
        _fill(folder, counts, variant, make, workers)
        facts = {
            'variant': variant,
            'seed': seed,
            'max_turn': max_turn,
            'images': counts,
            'hand': 'free',
        }
        (folder / NAME).write_text(json.dumps(facts, indent=1) + '\n')
        folder.chmod(0o755 & ~_umask())
        os.rename(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _fill(
    folder: Path,
    counts: dict[str, int],
    variant: str,
    make: Callable[[], Sampler],
    workers: int,
) -> None:
    progress = ProgressBar(sum(counts.values()))
    write = {'rgb': _write_freihand, 'depth': _write_nyu}[variant]
    tasks = [
        (split, index) for split, count in counts.items() for index in range(count)
    ]
    samples = _samples(tasks, make, workers)
    for split, count in counts.items():
        write(folder, split, _watched(islice(samples, count), progress))
    print()


def _samples(
    tasks: list[tuple[str, int]], make: Callable[[], Sampler], workers: int
) -> Iterator[Sample]:
    """Samples in the order of the tasks."""
    if workers == 1:
        sampler = make()
        yield from (sampler(*task) for task in tasks)
        return
    pool = ProcessPoolExecutor(workers, _context(), _start, (make,))
    try:
        yield from pool.map(_make, tasks, chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _context() -> multiprocessing.context.BaseContext:
    """Processes that are not forked off this one, whose threads may hold locks."""
    if 'forkserver' not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context('spawn')
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    return context


def _watched(samples: Iterator[Sample], progress: ProgressBar) -> Iterator[Sample]:
    for sample in samples:
        yield sample
        progress.update()


_sampler: Sampler
"""Of this worker process."""


def _start(make: Callable[[], Sampler]) -> None:
    global _sampler
    # an interrupt is the parent's to handle
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # workers share the cores among them
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _sampler = make()


def _make(task: tuple[str, int]) -> Sample:
    return _sampler(*task)


def _write_freihand(folder: Path, split: str, samples: Iterator[Sample]) -> None:
    """``<split>/{rgb,mask}/%08d.jpg`` and ``<split>_{K,xyz,verts,mano,scale}.json``."""
    columns: dict[str, TextIO] = {}
    with ExitStack() as stack:
        for index, sample in enumerate(samples):
            for kind, data in sample.files.items():
                path = folder / split / kind / f'{index:08d}.jpg'
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            for name, row in sample.rows.items():
                if name not in columns:
                    path = folder / f'{split}_{name}.json'
                    columns[name] = stack.enter_context(path.open('w'))
                columns[name].write(f'{", " if index else "["}{row}')
        for file in columns.values():
            file.write(']')


def _write_nyu(folder: Path, split: str, samples: Iterator[Sample]) -> None:
    """``{train,test}/depth_1_%07d.png`` from 1 on, and ``joint_data.mat``.

    NYU's arrays have three cameras; the second and third see nothing here and
    hold zeros.
    """
    place = folder / _NYU_FOLDERS[split]
    place.mkdir()
    rows: dict[str, list[Any]] = {'joint_uvd': [], 'joint_xyz': []}
    for index, sample in enumerate(samples):
        (place / f'depth_1_{index + 1:07d}.png').write_bytes(sample.files['depth_1'])
        for name, values in rows.items():
            values.append(sample.rows[name])
    arrays = {}
    for name, values in rows.items():
        arrays[name] = np.zeros((_NYU_CAMERAS, *np.shape(values)))
        arrays[name][0] = values
    _, names = nyu_joints(np.eye(21, 3))
    arrays['joint_names'] = np.array(names, dtype=object)
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays, do_compression=True)
    data = bytearray(buffer.getvalue())
    # scipy writes the time into the 116 bytes of text that begin the file
    data[:116] = _MAT_HEADER.ljust(116)
    (place / 'joint_data.mat').write_bytes(data)
