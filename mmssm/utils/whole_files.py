"""Files that are whole or not there at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mmssm.utils.errors import UserError


class FileNotWrittenError(UserError, OSError):
    """A file could not be written; what was there before is untouched."""


@contextmanager
def open_atomically(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Opens a file for writing so that its name never points at half of it.

    The bytes go to a hidden file beside ``path``, are forced to the disk, and
    only then take the name over. Killed at any moment, out of space, or left by
    an exception, the file of that name is the old one or the new one.

    Args:
        path: The file; its folder is made if need be.

    Yields:
        The hidden file, binary.

    Raises:
        FileNotWrittenError: It could not be written, for want of space perhaps;
            what was there before is untouched.
    """
    path = Path(path)
    partial = path.with_name(f'.{path.name}.partial')
    with _taking_over(partial, path), open(partial, 'wb') as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def path_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """Like :func:`open_atomically`, for writers that take a name.

    Args:
        path: The file; its folder is made if need be.

    Yields:
        Name of the hidden file, with the suffix of ``path``; it has to be there,
        whole, at the end of the block.

    Raises:
        FileNotWrittenError: It could not be written.
    """
    path = Path(path)
    partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
    with _taking_over(partial, path):
        yield partial
        with open(partial, 'rb+') as file:
            os.fsync(file.fileno())


@contextmanager
def _taking_over(partial: Path, path: Path) -> Iterator[None]:
    """Gives a file its name at the end of the block, or deletes it on an error."""
    try:
        if path.exists() and not path.is_file():  # a folder, /dev/stdout
            raise OSError(errno.EEXIST, 'there is something that is no plain file')
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
        os.replace(partial, path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        # one of ours has said what is wrong
        if isinstance(error, UserError) or not isinstance(error, OSError):
            raise
        raise FileNotWrittenError(
            error.errno,
            f'{error.strerror or error}: {path} was not written; earlier files are '
            'untouched. Make room, or choose another place, and run the command again',
        ) from error
    _sync_folder(path.parent)


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file by :func:`open_atomically`.

    Args:
        path: The file; its folder is made if need be.
        data: What it will hold.

    Raises:
        FileNotWrittenError: It could not be written.
    """
    with open_atomically(path) as file:
        file.write(data)


def _sync_folder(folder: Path) -> None:
    """Forces the new name to the disk; a rename is not durable before that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
