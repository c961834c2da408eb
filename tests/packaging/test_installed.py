"""What an installed wheel does outside of a checkout: names, commands, results."""

import importlib.util
import re
import zipfile
from pathlib import Path

import pytest
import yaml
from helpers.environments import Environment, run

import mmssm

ROOT = Path(__file__).resolve().parents[2]

HAND = """
import numpy as np
from mmssm.apis import HandMeshInferencer, list_models, read_hand_mesh_result

infer = HandMeshInferencer('hamba-small-synthhand', device='cpu')
result = infer(np.zeros((120, 160, 3), np.uint8), bboxes=[40, 20, 120, 100])
result.to_json('hands.json')
(hand,) = read_hand_mesh_result('hands.json').frames[0]
print('MESH', hand.vertices.shape, len(list_models()) > 100)
"""


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
