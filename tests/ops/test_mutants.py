"""The mutants of ``make mutants`` fit the kernels as they are."""

import shutil

import pytest
from helpers.modules import ROOT, load_script


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'tests' / 'proof')
    return load_script('tests/proof/mutants.py')


def test_every_mutant_changes_one_place(mutants, tmp_path):
    class Package:
        sources = tmp_path

    original = ROOT / 'mmssm' / 'ops' / 'csrc'
    for mutant in mutants.MUTANTS:
        shutil.copytree(original, tmp_path, dirs_exist_ok=True)
        mutant.apply(Package)
        changed = (tmp_path / mutant.file).read_text()
        assert changed != (original / mutant.file).read_text(), mutant.name


def test_a_mutant_that_fits_nowhere_is_an_error(mutants, tmp_path):
    (tmp_path / 'a.h').write_text('x x')

    class Package:
        sources = tmp_path

    for old, count in (('y', 0), ('x', 2)):
        with pytest.raises(ValueError, match=f'{count} times, expected once'):
            mutants.Mutant('m', 'a.h', old, 'z').apply(Package)
