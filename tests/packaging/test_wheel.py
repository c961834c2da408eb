"""The wheel: what is in it, how it is tagged, and that it works once installed."""

import importlib.util
import re
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers.environments import Environment, run

import mmssm
from mmssm.ops import _build

ROOT = Path(__file__).resolve().parents[2]
PURE_TAG = 'py3-none-any'
NATIVE_TAG = 'py3-none-' + sysconfig.get_platform().replace('-', '_').replace('.', '_')
LIBRARY = f'mmssm/ops/{_build.LIBRARY}'
DATA = ('.npz', '.safetensors')

SCAN = """
import sys
import torch
import mmssm
import mmssm.ops as ops

assert not {'numpy', 'mmengine', 'mmcv', 'mmpose'} & set(sys.modules)
torch.manual_seed(0)
u, delta = torch.randn(3, 5, 4), torch.rand(3, 5, 4)
A, B, C = -torch.rand(5, 2), torch.randn(3, 2, 4), torch.randn(3, 2, 4)
y = ops.selective_scan(u, delta, A, B, C)
with ops.backend('reference'):
    torch.testing.assert_close(y, ops.selective_scan(u, delta, A, B, C))
print('SCANNED', mmssm.__file__)
"""

HAND = """
import numpy as np
from mmssm.apis import HandMeshInferencer, list_models, read_hand_mesh_result

infer = HandMeshInferencer('hamba-small-synthhand', device='cpu')
result = infer(np.zeros((120, 160, 3), np.uint8), bboxes=[40, 20, 120, 100])
result.to_json('hands.json')
(hand,) = read_hand_mesh_result('hands.json').frames[0]
print('MESH', hand.vertices.shape, len(list_models()) > 100)
"""


def tag(wheel: Path) -> str:
    return wheel.stem.split('-', 2)[2]


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def is_pure(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith('.dist-info/WHEEL')]
        return 'Root-Is-Purelib: true' in archive.read(name).decode()


@pytest.mark.slow
class TestNativeWheel:
    def test_is_tagged_for_the_platform_and_any_python(
        self, native_wheel: Path
    ) -> None:
        assert tag(native_wheel) == NATIVE_TAG
        assert not is_pure(native_wheel)
        assert LIBRARY in names(native_wheel)

    def test_is_small(self, native_wheel: Path) -> None:
        with zipfile.ZipFile(native_wheel) as archive:
            code = [
                info.compress_size
                for info in archive.infolist()
                if not info.filename.endswith(DATA)
            ]
        assert sum(code) < 2_000_000

    def test_scans_with_torch_alone(self, native_wheel: Path, torch_alone) -> None:
        torch_alone.install(native_wheel)
        said = torch_alone.run('-c', SCAN, MMSSM_REQUIRE_NATIVE='1')
        assert f'SCANNED {torch_alone.folder}' in said


class TestPureWheel:
    def test_without_compiler(self, build_wheel: Callable, tmp_path: Path) -> None:
        wheel, said = build_wheel(Path(sys.executable), PATH=str(tmp_path))
        assert tag(wheel) == PURE_TAG
        assert 'no C++ compiler found' in said

    def test_without_torch_as_under_isolation(
        self, build_wheel: Callable, isolated
    ) -> None:
        wheel, said = build_wheel(isolated.python)
        assert tag(wheel) == PURE_TAG
        assert '--no-build-isolation' in said
        assert 'python -m mmssm.ops build' in said

    def test_a_broken_compiler_never_fails_the_build(
        self, build_wheel: Callable
    ) -> None:
        wheel, said = build_wheel(Path(sys.executable), CXX=shutil.which('false'))
        assert tag(wheel) == PURE_TAG
        assert 'the native operators are not built' in said

    def test_carries_all_but_the_library(self, pure_wheel: Path) -> None:
        assert tag(pure_wheel) == PURE_TAG
        assert is_pure(pure_wheel)
        found = names(pure_wheel)
        assert LIBRARY not in found
        assert pure_wheel.name.split('-')[1] == mmssm.__version__
        package = ROOT / 'mmssm'
        wanted = {
            path.relative_to(ROOT).as_posix()
            for path in package.rglob('*')
            if path.is_file()
            and path.suffix not in {'.pyc', '.so'}
            and '.mim' not in path.parts
        }
        assert wanted <= found
        assert not {name for name in found if '__pycache__' in name}

    def test_carries_what_mim_looks_for(self, pure_wheel: Path) -> None:
        found = names(pure_wheel)
        wanted = {
            f'mmssm/.mim/{path.relative_to(ROOT).as_posix()}'
            for folder in ('configs', 'tools', 'demo')
            for path in (ROOT / folder).rglob('*')
            if path.is_file() and path.suffix != '.pyc'
        }
        assert len(wanted) > 10
        assert wanted | {'mmssm/.mim/model-index.yml'} <= found

    def test_asks_for_little(self, pure_wheel: Path) -> None:
        with zipfile.ZipFile(pure_wheel) as archive:
            (name,) = [n for n in archive.namelist() if n.endswith('METADATA')]
            lines = archive.read(name).decode().splitlines()
        asked = [line.split()[1] for line in lines if line.startswith('Requires-Dist')]
        plain = {name.split('>')[0] for name in asked[:3]}
        assert plain == {'numpy', 'safetensors', 'torch'}
        assert 'mmpose' not in ' '.join(asked)
        assert 'Requires-Python: >=3.11' in lines

    def test_with_torch_alone_scans_and_says_how_to_build(
        self, pure_beside_torch
    ) -> None:
        said = pure_beside_torch.run('-c', SCAN)
        assert f'SCANNED {pure_beside_torch.folder}' in said
        assert 'python -m mmssm.ops build' in said

    def test_without_the_host_reports_and_names_the_cure(
        self, pure_beside_torch
    ) -> None:
        report = pure_beside_torch.run('-m', 'mmssm.utils.collect_env')
        assert 'stack: none: without mmpose, mmengine, mmcv' in report
        ask = 'try:\n import mmssm.models\nexcept ImportError as e: print(e)'
        said = pure_beside_torch.run('-c', ask)
        assert 'mmpose' in said
        assert 'pip install' in said

    @pytest.mark.slow
    def test_bases_resolve_from_the_installed_wheel(
        self, pure_wheel: Path, whole_stack
    ) -> None:
        whole_stack.install(pure_wheel)
        base = next((ROOT / 'configs' / 'body_3d_keypoint').rglob('posemamba_s-*.py'))
        base = base.relative_to(ROOT / 'configs').as_posix()
        config = whole_stack.folder / 'mine.py'
        config.write_text(f"_base_ = ['mmssm::{base}']\n")
        said = whole_stack.run(
            '-c',
            'import mmssm.registry\n'
            'from mmengine import Config\n'
            'from mmengine.registry import init_default_scope\n'
            'from mmpose.registry import MODELS\n'
            "init_default_scope('mmpose')\n"
            "model = MODELS.build(Config.fromfile('mine.py').model)\n"
            "print('BUILT', mmssm.__file__, type(model.backbone).__name__)",
        )
        assert f'BUILT {whole_stack.folder}' in said
        assert '__init__.py PoseMamba' in said


def test_editable_install_links_what_mim_looks_for(build_wheel: Callable) -> None:
    wheel, _ = build_wheel(Path(sys.executable), 'editable', MMSSM_BUILD='0')
    assert tag(wheel).startswith('0.editable-') or 'editable' in wheel.name
    mim = wheel.parent / 'sources' / 'mmssm' / '.mim'
    for name in ('configs', 'tools', 'demo', 'model-index.yml'):
        assert (mim / name).is_symlink()
        assert (mim / name).resolve() == (wheel.parent / 'sources' / name).resolve()


def test_sources_hold_what_a_checkout_holds(sources: Path) -> None:
    for name in ('Makefile', 'NOTICE', 'LICENSE', 'model-index.yml'):
        assert (sources / name).is_file()
    for name in ('requirements', 'tests', 'configs', 'tools'):
        wanted = {
            path.relative_to(ROOT)
            for path in (ROOT / name).rglob('*')
            if path.is_file() and '__pycache__' not in path.parts
        }
        assert {path for path in wanted if not (sources / path).is_file()} == set()


def test_model_index_names_files_that_are_there() -> None:
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    metafiles = [yaml.safe_load((ROOT / name).read_text()) for name in index['Import']]
    collections = {
        collection['Name']: collection
        for metafile in metafiles
        for collection in metafile.get('Collections', [])
    }
    for model in (model for metafile in metafiles for model in metafile['Models']):
        assert (ROOT / model['Config']).is_file(), model['Name']
        # mim looks it up without asking whether it is there
        assert model['In Collection'] in collections, model['Name']
    for collection in collections.values():
        assert (ROOT / collection['README']).is_file(), collection['Name']


@pytest.fixture(scope='module')
def installed(pure_wheel: Path, tmp_path_factory: pytest.TempPathFactory):
    """The pure wheel in an environment that sees all that the running one has."""
    environment = Environment(tmp_path_factory.mktemp('installed') / 'env')
    environment.see(Path(importlib.util.find_spec('mmengine').origin).parents[1])
    environment.install(pure_wheel)
    return environment


def command(environment: Environment, *arguments: str) -> str:
    """Runs the console script outside of the checkout; returns what it prints."""
    script = environment.folder / 'bin' / 'mmssm'
    return run([script, *arguments], environment.folder).stdout


def test_the_console_script_is_in_the_wheel(pure_wheel: Path) -> None:
    with zipfile.ZipFile(pure_wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith('entry_points.txt')]
        assert 'mmssm = mmssm.cli:main' in archive.read(name).decode()


def test_commands_know_models_and_tools(installed: Environment) -> None:
    assert command(installed, '--version').strip() == f'mmssm {mmssm.__version__}'
    listed = command(installed, 'list', '--weights')
    assert '* posemamba-mocap-27frm' in listed
    assert '* hamba-small-synthhand' in listed
    long = command(installed, 'list', 'posemamba-s-h36m', '--long')
    assert f'{installed.folder}' in long and 'mmssm/.mim/configs' in long
    assert 'posemamba' in command(installed, 'convert')


def test_without_the_host_the_frame_works_and_names_the_cure(
    pure_beside_torch: Environment,
) -> None:
    assert 'commands:' in command(pure_beside_torch, '--help')
    assert 'stack: none' in command(pure_beside_torch, 'env')
    script = (
        'import sys; from mmssm.cli import main; '
        "sys.exit(main(sys.argv[1:]) != 1 and 'no error')"
    )
    said = pure_beside_torch.run('-c', script, 'list')
    assert 'pip install pyyaml' in said
    said = pure_beside_torch.run('-c', script, 'train', 'config.py')
    assert 'pip install' in said


@pytest.mark.slow
def test_shipped_weights_work_from_any_folder(installed: Environment) -> None:
    said = installed.run('-c', HAND)
    assert 'MESH (' in said and ', 3) True' in said
    assert (installed.folder / 'hands.json').is_file()


def test_the_version_stands_in_one_place() -> None:
    """And says what Semantic Versioning wants; who cites it has the same."""
    assert re.fullmatch(r'\d+\.\d+\.\d+([-.]?(a|b|rc|dev)\d+)?', mmssm.__version__)
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == mmssm.__version__
    text = (ROOT / 'pyproject.toml').read_text()
    assert 'version = { attr = "mmssm.__version__" }' in text
    assert not re.search(r'^version *= *"', text, re.MULTILINE)
    assert f'## {mmssm.__version__}' in (ROOT / 'CHANGELOG.md').read_text() or (
        'Unreleased' in (ROOT / 'CHANGELOG.md').read_text()
    )
