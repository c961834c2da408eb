"""Videos that are whole or not there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import FileNotWrittenError, path_atomically

CODECS = {
    '.mp4': 'mp4v',
    '.mov': 'mp4v',
    '.mkv': 'mp4v',
    '.avi': 'MJPG',
    '.webm': 'VP80',
}
"""Codec of each kind of file: those that OpenCV's own packages can write.

They have no encoder for H.264, for reasons of licences. MPEG-4 Part 2 (``mp4v``) plays
in every video player, but in no browser; VP8 (``.webm``) plays in both and takes ten
times as long to write; Motion JPEG (``.avi``) is large, and needs no FFmpeg.
"""


@contextmanager
def open_video(
    path: str | Path, fps: float
) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Opens a video for writing, frame by frame; memory does not grow.

    The file has its name once it is whole: after the last frame it is read back, for
    OpenCV does not tell when the disk is full.

    Args:
        path: The file; the suffix decides the codec (:data:`CODECS`).
        fps: Frames per second.

    Yields:
        A function that takes the next frame, ``(H, W, 3)`` BGR; all have the size of
        the first one, with an even number of rows and columns.

    Raises:
        UserError: There is no codec for the suffix, or OpenCV cannot write it here.
        ValueError: There was no frame.
        FileNotWrittenError: Not all frames are in the file.
    """
    path = Path(path)
    codec = CODECS.get(path.suffix.lower())
    if codec is None:
        raise UserError(
            f'{path}: videos are written as {", ".join(CODECS)}, not as '
            f'{path.suffix or "a file without suffix"}'
        )
    with path_atomically(path) as partial:
        writer = cv2.VideoWriter()
        written = 0

        def write(frame: NDArray[np.uint8]) -> None:
            nonlocal written
            if not written:
                height, width = frame.shape[:2]
                fourcc = cv2.VideoWriter.fourcc(*codec)
                if not writer.open(str(partial), fourcc, fps, (width, height)):
                    raise UserError(
                        f'OpenCV cannot write {codec} videos here ({path}); take .avi, '
                        'which it writes without FFmpeg'
                    )
            writer.write(frame)
            written += 1

        try:
            yield write
        finally:
            writer.release()
        if not written:
            raise ValueError(f'no frames to write to {path}')
        _check_whole(partial, path, written)


def _check_whole(partial: Path, path: Path, written: int) -> None:
    reader = cv2.VideoCapture(str(partial))
    found = 0
    while found < written and reader.grab():
        found += 1
    reader.release()
    if found < written:
        raise FileNotWrittenError(
            None,
            f'{path} was not written: of {written} frames {found} could be read back. '
            'Is the disk full? Make room and run the command again',
        )
