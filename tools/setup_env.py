"""Make the environment that the Makefile's commands run in.

Creates a virtual environment, installs MMPose and what it needs in versions
that work together (``requirements/constraints.txt``), and mmssm itself,
editable, with its native operators. Safe to run again: a finished environment
is left alone, one whose requirements changed is brought up to date, one that
was interrupted is made anew.

Two stacks:

* ``light`` (default, about a minute): mmcv-lite, no mmdet. Every model of
  mmssm trains and runs.
* ``full`` (ten minutes and more): mmcv compiled, and mmdet, for detectors and
  the rest of OpenMMLab.

Uses the standard library alone.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
STATE_FILE = 'mmssm-environment.json'
OLDEST_PYTHON = (3, 11)
CUDA_PACKAGE = re.compile(r'(nvidia|cuda)[-_]', re.IGNORECASE)


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


# --- what must be there first ----------------------------------------------


def missing_system_parts() -> list[str]:
    """Return Debian's names of the packages that set-up needs and lacks."""
    version = f'python{sys.version_info.major}.{sys.version_info.minor}'
    compiler = os.environ.get('CXX', 'g++')
    headers = Path(sysconfig.get_paths()['include'], 'Python.h')
    needs = {
        f'{version}-venv': importlib.util.find_spec('ensurepip') is not None,
        f'{version}-dev': headers.is_file(),
        'g++': shutil.which(compiler) is not None,
    }
    return [name for name, present in needs.items() if not present]


def check_system() -> None:
    """Raise SetupError if this Python or this machine cannot do it."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(
            f'mmssm needs Python 3.11 or newer; {sys.executable} is '
            f'{platform.python_version()}. Name another: make PYTHON=python3.11 ...'
        )
    if missing := missing_system_parts():
        raise SetupError(
            f'{sys.executable} cannot set up the environment: missing '
            f'{", ".join(missing)}.\nOn Debian or Ubuntu: '
            f'sudo apt-get install {" ".join(missing)}'
        )


def has_nvidia_gpu() -> bool:
    """Tell whether an NVIDIA driver answers on this machine."""
    nvidia_smi = shutil.which('nvidia-smi')
    if nvidia_smi is None:
        return False
    answer = subprocess.run([nvidia_smi, '-L'], capture_output=True, text=True)
    return answer.returncode == 0 and 'GPU' in answer.stdout


# --- which build of torch ----------------------------------------------------


def cuda_packages(report: dict) -> list[str]:
    """Return the CUDA packages in pip's installation report, by name."""
    names = [entry['metadata']['name'] for entry in report['install']]
    return [name for name in names if CUDA_PACKAGE.match(name)]


def remote_size(url: str) -> int:
    """Return the size in bytes of a file that pip would fetch; 0 if local."""
    if not url.startswith(('http://', 'https://')):
        return 0
    request = urllib.request.Request(url, method='HEAD')
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.headers['Content-Length'])


def check_torch_build(
    report: dict,
    has_gpu: bool,
    accepted: bool,
    size_of: Callable[[str], int] = remote_size,
) -> None:
    """Refuse a CUDA build of torch on a machine that cannot use it.

    Args:
        report: ``pip install --dry-run --report`` for torch.
        has_gpu: whether this machine has an NVIDIA GPU.
        accepted: whether the user asked for the CUDA build all the same.
        size_of: gives the size in bytes of the file at a URL.

    Raises:
        SetupError: if the report holds CUDA packages that nobody asked for.
    """
    if has_gpu or accepted or not cuda_packages(report):
        return
    urls = [entry['download_info']['url'] for entry in report['install']]
    try:
        size = f'{sum(map(size_of, urls)) / 1e9:.1f} GB'
    except (OSError, TypeError):
        size = 'several GB (the index does not tell exactly)'
    raise SetupError(
        f'pip would fetch a CUDA build of torch, {size} in '
        f'{len(urls)} files, and this machine has no NVIDIA GPU. '
        'Nothing of it was downloaded. Run the same command with one of\n'
        '  TORCH_INDEX_URL=URL   the index of a CPU build, as named on '
        "PyTorch's installation page\n"
        '  MMSSM_TORCH=cuda      to take the CUDA build all the same'
    )


# --- installing ---------------------------------------------------------------


class Installer:
    """Runs pip in one virtual environment, with the pinned versions."""

    def __init__(self, venv: Path) -> None:
        self.python = str(venv / 'bin' / 'python')
        self.start = time.monotonic()

    def pip(self, title: str, *arguments: str, **environment: str) -> None:
        """Run ``pip install``; raise SetupError if it fails."""
        print(f'[{time.monotonic() - self.start:4.0f} s] {title}', flush=True)
        command = [self.python, '-m', 'pip', 'install', '-qq', '--no-input']
        command += ['--disable-pip-version-check', '--no-warn-conflicts']
        # Most of what torch brings is never imported; Python compiles the rest.
        command += ['--no-compile']
        command += ['-c', str(REQUIREMENTS / 'constraints.txt'), *arguments]
        result = subprocess.run(
            command, cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL
        )
        if result.returncode != 0:
            raise SetupError(
                f'"{title}" failed (above is what pip says); the command was\n  '
                + ' '.join(command)
            )

    def install_torch(self) -> None:
        """Install torch, unless it would be a CUDA build of no use here."""
        index = os.environ.get('TORCH_INDEX_URL')
        source = ['--index-url', index] if index else []
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, 'report.json')
            # fast-deps reads metadata out of a remote wheel by range requests:
            # without it an index that does not serve metadata separately would
            # make the dry run download the wheel.
            self.pip(
                'look which build of torch pip finds',
                *('--dry-run', '--use-feature=fast-deps', '--report', str(file)),
                *source,
                'torch',
            )
            report = json.loads(file.read_text(encoding='utf-8'))
        accepted = os.environ.get('MMSSM_TORCH') == 'cuda'
        check_torch_build(report, has_nvidia_gpu(), accepted)
        self.pip('torch', *source, 'torch')
        self.pip('torchvision', '--no-deps', *source, 'torchvision')

    def install_stack(self, stack: str) -> None:
        """Install everything but mmssm, in the order that works."""
        self.pip('pip', 'pip')
        self.pip('build tools', 'setuptools', 'cython')
        self.install_torch()
        lists = ('runtime.txt', 'optional.txt', 'tests.txt')
        files = [part for name in lists for part in ('-r', str(REQUIREMENTS / name))]
        self.pip('libraries', *files)
        # The wheel on the index is for NumPy 1.
        self.compile('xtcocotools', 'xtcocotools')
        HOSTS[stack](self)

    def compile(self, title: str, name: str, **environment: str) -> None:
        """Install a package from source, against what is installed here.

        Past pip's cache, which would not tell a build against another NumPy or
        torch from this one.
        """
        options = ('--no-deps', '--no-build-isolation', '--no-cache-dir')
        self.pip(title, *options, '--no-binary', name, name, **environment)

    def install_light_host(self) -> None:
        self.pip('MMPose', '--no-deps', 'mmengine', 'mmcv-lite', 'mmpose')

    def install_full_host(self) -> None:
        detection = ('pycocotools', 'shapely', 'terminaltables', 'tqdm')
        self.pip('libraries of mmdet', *detection)
        self.pip('build tools of mmcv', 'wheel', 'ninja', 'psutil')
        self.pip('MMPose, mmdet', '--no-deps', 'mmengine', 'mmdet', 'mmpose')
        flags = {'MAX_JOBS': str(os.cpu_count()), 'CFLAGS': '-g0 -O2'} | os.environ
        self.compile('mmcv (takes ten minutes)', 'mmcv', **flags)

    def install_project(self) -> None:
        """Install mmssm, editable, with its native operators."""
        title = 'mmssm and its native operators'
        options = ('--no-deps', '--no-build-isolation')
        self.pip(title, *options, '-e', str(ROOT))
        if os.environ.get('MMSSM_BUILD') == '0':
            return
        # The build falls back to pure Python by design; here that is an error.
        ask = (
            'import sys, mmssm.ops; from mmssm.ops import _library; '
            "sys.exit(_library.obstacle('cpu'))"
        )
        if subprocess.run([self.python, '-c', ask], cwd=ROOT).returncode != 0:
            raise SetupError(
                'the native operators are not in use (above is why). '
                'MMSSM_BUILD=0 sets up without them; scans are then slow'
            )


HOSTS = {'light': Installer.install_light_host, 'full': Installer.install_full_host}


# --- the state of an environment ----------------------------------------------


def digest(files: Iterable[Path], *words: str) -> str:
    """Return a hash over files' names and contents, and some words."""
    total = hashlib.sha256('\0'.join(words).encode())
    for file in sorted(files):
        total.update(f'\0{file.relative_to(ROOT)}\0'.encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def stack_key(stack: str) -> str:
    files = [*REQUIREMENTS.glob('*.txt'), Path(__file__).resolve()]
    return digest(files, stack)


def project_key() -> str:
    sources = (ROOT / 'mmssm' / 'ops' / 'csrc').rglob('*')
    files = [path for path in sources if path.is_file()]
    files += [ROOT / 'pyproject.toml', ROOT / 'setup.py']
    files += [ROOT / 'mmssm' / 'ops' / '_build.py', ROOT / 'mmssm' / '__init__.py']
    return digest(files, str(ROOT), os.environ.get('MMSSM_BUILD', ''))


def read_state(venv: Path) -> dict:
    """Return what an earlier run noted in the environment.

    Raises:
        SetupError: if the folder is not an environment that this script made.
    """
    if not venv.exists() or not any(venv.iterdir()):
        return {}
    try:
        return json.loads((venv / STATE_FILE).read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise SetupError(
            f'{venv} was not made by this script, and is left alone. '
            'Move it away, or name another folder: '
            'python3 tools/setup_env.py --venv FOLDER'
        ) from None
    except ValueError:
        return {}


def write_state(venv: Path, **state: str) -> None:
    """Note the state so that a kill leaves the old note or the new one."""
    part = venv / f'{STATE_FILE}.part'
    part.write_text(json.dumps(state), encoding='utf-8')
    part.replace(venv / STATE_FILE)


def create(venv: Path) -> None:
    """Make an empty environment in place of what is there."""
    if venv.exists():
        shutil.rmtree(venv)
    venv.mkdir(parents=True)
    write_state(venv)
    print(f'new environment {venv}', flush=True)
    subprocess.run([sys.executable, '-m', 'venv', str(venv)], check=True)


def set_up(venv: Path, stack: str) -> None:
    """Bring ``venv`` to the wanted state, doing only what is left to do."""
    state = read_state(venv)
    base = f'{stack} stack, Python {sys.version}'
    wanted = {'base': base, 'stack': stack_key(stack), 'project': project_key()}
    if state == wanted:
        return
    check_system()
    installer = Installer(venv)
    # Interrupted, or for another Python: what is half there cannot be trusted.
    if state.get('base') != base:
        create(venv)
    if state.get('stack') != wanted['stack']:
        write_state(venv)
        installer.install_stack(stack)
        write_state(venv, base=base, stack=wanted['stack'])
    installer.install_project()
    write_state(venv, **wanted)
    seconds = time.monotonic() - installer.start
    print(f'[{seconds:4.0f} s] {venv} is ready: {stack} stack', flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--stack', choices=sorted(HOSTS), default='light')
    parser.add_argument(
        '--venv', type=Path, help='folder (default: .venv; full stack: .venv-full)'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    names = {'light': '.venv', 'full': '.venv-full'}
    venv = (args.venv or ROOT / names[args.stack]).resolve()
    lock = venv.with_name(f'{venv.name}.lock')
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open('w') as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            set_up(venv, args.stack)
        except SetupError as error:
            sys.exit(f'set-up stopped: {error}')


if __name__ == '__main__':
    main()
