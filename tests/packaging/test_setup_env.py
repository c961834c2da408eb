"""``tools/setup_env.py``: what it refuses, and what it does again or not."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPORTS = Path(__file__).parent / 'data'
WHEEL_SIZE = 100_000_000


@pytest.fixture
def setup_env() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        'setup_env', ROOT / 'tools' / 'setup_env.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(name: str) -> dict:
    """What pip reported for torch; servers' names are replaced."""
    return json.loads((REPORTS / f'{name}.json').read_text())


class TestTorchBuild:
    def test_cpu_build_is_taken_without_asking(self, setup_env: ModuleType) -> None:
        report = recorded('torch_cpu')
        assert setup_env.cuda_packages(report) == []
        setup_env.check_torch_build(report, has_gpu=False, accepted=False)

    def test_cuda_build_is_refused_without_gpu(self, setup_env: ModuleType) -> None:
        report = recorded('torch_cuda')
        sizes = []

        def size_of(url: str) -> int:
            sizes.append(url)
            return WHEEL_SIZE

        with pytest.raises(setup_env.SetupError) as caught:
            setup_env.check_torch_build(report, False, False, size_of)
        assert len(sizes) == len(report['install']) == 29
        message = str(caught.value)
        assert '2.9 GB in 29 files' in message
        assert 'TORCH_INDEX_URL' in message
        assert 'MMSSM_TORCH=cuda' in message

    def test_size_may_be_unknown(self, setup_env: ModuleType) -> None:
        def no_answer(url: str) -> int:
            raise OSError(url)

        with pytest.raises(setup_env.SetupError, match='several GB'):
            setup_env.check_torch_build(recorded('torch_cuda'), False, False, no_answer)

    @pytest.mark.parametrize(
        'answers', [{'has_gpu': True}, {'accepted': True}], ids=str
    )
    def test_cuda_build_is_taken(self, setup_env: ModuleType, answers: dict) -> None:
        answers = {'has_gpu': False, 'accepted': False} | answers
        setup_env.check_torch_build(recorded('torch_cuda'), **answers)

    def test_size_of_a_local_file_is_no_download(self, setup_env: ModuleType) -> None:
        assert setup_env.remote_size('file:///wheels/torch.whl') == 0

    @pytest.mark.parametrize(
        ('text', 'status', 'found'),
        [('GPU 0: NVIDIA H200 (UUID: GPU-1)', 0, True), ('no devices', 9, False)],
    )
    def test_gpu_is_what_the_driver_lists(
        self,
        setup_env: ModuleType,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        text: str,
        status: int,
        found: bool,
    ) -> None:
        command = tmp_path / 'nvidia-smi'
        command.write_text(f'#!/bin/sh\necho "{text}"\nexit {status}\n')
        command.chmod(0o755)
        monkeypatch.setenv('PATH', str(tmp_path))
        assert setup_env.has_nvidia_gpu() is found

    def test_no_driver_no_gpu(
        self, setup_env: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv('PATH', str(tmp_path))
        assert not setup_env.has_nvidia_gpu()


class TestSystem:
    def test_names_the_package_of_a_missing_compiler(
        self, setup_env: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv('CXX', raising=False)
        monkeypatch.setenv('PATH', str(tmp_path))
        with pytest.raises(setup_env.SetupError, match=r'apt-get install .*g\+\+'):
            setup_env.check_system()

    def test_names_the_package_of_missing_venv(
        self, setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(setup_env.importlib.util, 'find_spec', lambda name: None)
        version = f'python{sys.version_info.major}.{sys.version_info.minor}'
        assert f'{version}-venv' in setup_env.missing_system_parts()

    def test_old_python_is_refused(
        self, setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(setup_env, 'OLDEST_PYTHON', (99, 0))
        with pytest.raises(setup_env.SetupError, match='make PYTHON='):
            setup_env.check_system()


@pytest.fixture
def house(
    setup_env: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of what the environment's keys are made of."""
    root = tmp_path / 'house'
    for name in ('requirements', 'mmssm/ops'):
        shutil.copytree(ROOT / name, root / name)
    for name in ('pyproject.toml', 'setup.py', 'mmssm/__init__.py'):
        shutil.copy(ROOT / name, root / name)
    (root / 'tools').mkdir()
    script = shutil.copy(ROOT / 'tools' / 'setup_env.py', root / 'tools')
    monkeypatch.setattr(setup_env, 'ROOT', root)
    monkeypatch.setattr(setup_env, 'REQUIREMENTS', root / 'requirements')
    monkeypatch.setattr(setup_env, '__file__', str(script))
    return root


@pytest.fixture
def steps(setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that a run would take; nothing is installed."""
    done: list[str] = []

    def step(name: str) -> Callable[..., None]:
        return lambda *_: done.append(name)

    monkeypatch.setattr(setup_env.Installer, 'install_stack', step('stack'))
    monkeypatch.setattr(setup_env.Installer, 'install_project', step('project'))
    monkeypatch.setattr(setup_env, 'check_system', step('check'))
    original = setup_env.create

    def create(venv: Path) -> None:
        done.append('create')
        original(venv)

    monkeypatch.setattr(setup_env, 'create', create)
    real_run = subprocess.run

    def run(command: list[str], **kwargs: object) -> object:
        if command[1:3] == ['-m', 'venv']:
            command = [*command, '--without-pip']
        return real_run(command, **kwargs)

    monkeypatch.setattr(setup_env.subprocess, 'run', run)
    return done


class TestRunAgain:
    def run(self, setup_env: ModuleType, house: Path, steps: list[str]) -> list[str]:
        steps.clear()
        setup_env.set_up(house / '.venv', 'light')
        return list(steps)

    def test_does_nothing_when_all_is_there(
        self, setup_env: ModuleType, house: Path, steps: list[str]
    ) -> None:
        first = self.run(setup_env, house, steps)
        assert first == ['check', 'create', 'stack', 'project']
        assert self.run(setup_env, house, steps) == []

    def test_changed_requirements_update_the_stack(
        self, setup_env: ModuleType, house: Path, steps: list[str]
    ) -> None:
        self.run(setup_env, house, steps)
        with (house / 'requirements' / 'tests.txt').open('a') as file:
            file.write('another\n')
        assert self.run(setup_env, house, steps) == ['check', 'stack', 'project']
        assert self.run(setup_env, house, steps) == []

    def test_changed_kernel_builds_the_project(
        self, setup_env: ModuleType, house: Path, steps: list[str]
    ) -> None:
        self.run(setup_env, house, steps)
        (house / 'mmssm' / 'ops' / 'csrc' / 'new.cpp').write_text('int one;\n')
        assert self.run(setup_env, house, steps) == ['check', 'project']

    def test_interrupted_environment_is_made_anew(
        self,
        setup_env: ModuleType,
        house: Path,
        steps: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as context:
            context.setattr(setup_env.Installer, 'install_stack', interrupt)
            with pytest.raises(KeyboardInterrupt):
                setup_env.set_up(house / '.venv', 'light')
        half = house / '.venv' / 'half-installed'
        half.touch()
        again = self.run(setup_env, house, steps)
        assert again == ['check', 'create', 'stack', 'project']
        assert not half.exists()

    def test_another_stack_does_not_mix(
        self, setup_env: ModuleType, house: Path, steps: list[str]
    ) -> None:
        self.run(setup_env, house, steps)
        steps.clear()
        setup_env.set_up(house / '.venv', 'full')
        assert steps == ['check', 'create', 'stack', 'project']

    def test_foreign_folder_is_left_alone(
        self, setup_env: ModuleType, house: Path, steps: list[str]
    ) -> None:
        treasure = house / '.venv' / 'treasure'
        treasure.parent.mkdir()
        treasure.touch()
        with pytest.raises(setup_env.SetupError, match='not made by this script'):
            self.run(setup_env, house, steps)
        assert treasure.exists()
        assert steps == []

    def test_failing_pip_names_the_step(
        self, setup_env: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture
    ) -> None:
        installer = setup_env.Installer(tmp_path)
        installer.python = shutil.which('false')
        with pytest.raises(setup_env.SetupError, match='"libraries" failed'):
            installer.pip('libraries', 'numpy')
        assert 'libraries' in capfd.readouterr().out


def test_every_requirement_is_pinned() -> None:
    def names(file: Path) -> set[str]:
        lines = (line.split('#')[0].strip() for line in file.open())
        return {
            line.split('=')[0].split('<')[0].split('>')[0].lower()
            for line in lines
            if line
        }

    folder = ROOT / 'requirements'
    pinned = names(folder / 'constraints.txt')
    for name in ('runtime', 'optional', 'tests', 'docs'):
        assert names(folder / f'{name}.txt') <= pinned, name
