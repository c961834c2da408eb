"""The figures of the docs: they show what the models hold."""

import importlib.util
from types import ModuleType

import pytest
import torch
from helpers.modules import ROOT
from PIL import Image

import mmssm.registry  # noqa: F401
from mmssm.models.layers.local_mix import H36M_LOCAL_ORDER

LARGEST = 100_000
"""Bytes of a figure in the repository."""


@pytest.fixture(scope='module')
def paths() -> ModuleType:
    script = ROOT / 'docs' / 'figures' / 'paths.py'
    spec = importlib.util.spec_from_file_location('figure_of_paths', script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_paths_of_clips(paths):
    found = paths.clip_visits()
    tokens = torch.arange(paths.FRAMES * paths.JOINTS)
    by_joint = tokens.view(paths.FRAMES, paths.JOINTS).t()
    assert found['frame by frame'] == [tokens.tolist()]
    assert found['joint by joint'] == [by_joint.flatten().tolist()]
    assert found['frame by frame, back'] == [tokens.flip(0).tolist()]
    assert found['joint by joint, back'] == [by_joint.flatten().flip(0).tolist()]
    assert found['causal: a restart at every joint'] == by_joint.tolist()


def test_sweep(paths):
    assert paths.image_visits() == [list(range(paths.FRAMES * paths.JOINTS))]


def test_what_lifters_read(paths):
    posemamba, sasmamba = paths.read_joints().values()
    expected = torch.eye(17)
    for place, joint in enumerate(H36M_LOCAL_ORDER):
        expected[place, joint] += 1
    assert torch.equal(posemamba, expected)
    assert sasmamba[11].nonzero().flatten().tolist() == [9, 10, 11]
    assert sasmamba[12, 12] == 3


def test_order_of_hands(paths):
    order, joints = paths.hand_visits()
    assert order == list(range(22))
    assert joints.shape == (21, 2)
    # the view shows the hand's length, in metres
    assert 0.15 < (joints.max(0).values - joints.min(0).values).max() < 0.25


def test_a_part_that_is_not_there(paths):
    with pytest.raises(ValueError, match='Linear has no SS2D'):
        paths.part(torch.nn.Linear(1, 1), paths.SS2D)


def test_script_makes_the_figures_of_the_docs(paths, tmp_path):
    paths.main(['--out', str(tmp_path)])
    made = {path.name: path for path in tmp_path.iterdir()}
    assert set(made) == set(paths.FIGURES)
    concepts = (ROOT / 'docs' / 'concepts.md').read_text()
    for name, path in made.items():
        assert f'(images/{name})' in concepts
        kept = ROOT / 'docs' / 'images' / name
        assert kept.stat().st_size < LARGEST
        with Image.open(path) as new, Image.open(kept) as old:
            # fonts differ between machines by pixels, layouts do not
            assert new.size == old.size
