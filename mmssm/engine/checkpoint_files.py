"""Checkpoint files that are whole or not there at all."""

import logging
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log

from mmssm.utils import safe_pickle
from mmssm.utils.whole_files import FileNotWrittenError, write_atomically

ATOMIC_BACKEND = 'mmssm_atomic_local'


class AtomicLocalBackend(LocalBackend):
    """Local files, written atomically.

    MMEngine's ``LocalBackend`` opens the final name for writing, so that a
    kill or a full disk leaves half a file where a whole one may have been.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes ``obj`` to ``filepath``; see :func:`write_atomically`."""
        try:
            write_atomically(filepath, obj)
        except FileNotWrittenError as error:
            told = f'{error.strerror}: training goes on with --resume'
            raise FileNotWrittenError(error.errno, told) from error


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)


def find_resumable(work_dir: str | os.PathLike) -> tuple[Path, dict[str, Any]] | None:
    """Finds the newest checkpoint of a run that is whole.

    The one that ``last_checkpoint`` names comes first, then the other ``.pth``
    files of the folder, newest first. Files that are damaged, or hold no
    optimizer (the best weights, published ones), are passed over, damaged ones
    with a warning.

    Args:
        work_dir: Working directory of the run.

    Returns:
        The path and what it holds, or None if there is nothing to resume.
    """
    for path in _candidates(Path(work_dir)):
        try:
            checkpoint = safe_pickle.load_checkpoint(path)
        except (ValueError, pickle.UnpicklingError) as error:
            print_log(f'Passed over: {error}', logger='current', level=logging.WARNING)
            continue
        if isinstance(checkpoint, dict) and {'meta', 'optimizer'} <= checkpoint.keys():
            return path, checkpoint
    return None


def _candidates(work_dir: Path) -> Iterator[Path]:
    pointer = work_dir / 'last_checkpoint'
    named = None
    if pointer.is_file():
        # The folder may have moved since the path was written.
        named = work_dir / Path(pointer.read_text().strip()).name
        if named.is_file():
            yield named
    others = [path for path in work_dir.glob('[!.]*.pth') if path != named]
    yield from sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)
