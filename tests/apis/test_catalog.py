"""Models by name."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.modules import ROOT

from mmssm.apis import catalog, find_model, list_models, resolve_model
from mmssm.apis.catalog import (
    CatalogError,
    MissingWeightsError,
    UnknownModelError,
    resolve_config,
)
from mmssm.utils.errors import UserError

SHIPPED = ['posemamba-mocap-27frm', 'hamba-small-synthhand']


def test_every_entry_names_files_that_are_there():
    entries = list_models()
    assert len(entries) > 100
    for entry in entries:
        assert entry.config.is_file()
        assert entry.config.stem == entry.name
        assert entry.task in entry.config.parts
        assert entry.dataset
        assert entry.parameters > 0
        for converter in entry.converters:
            assert (ROOT / converter).is_file()
        assert find_model(entry.alias) is find_model(entry.name) is entry


def test_weights_that_ship_are_found():
    for name in SHIPPED:
        entry = find_model(name)
        assert entry.require_weights().is_file()
        assert entry.metrics['MPJPE'] > 0
        assert resolve_model(name).weights == entry.weights
    found = [entry.alias for entry in list_models(with_weights=True)]
    assert set(SHIPPED) <= set(found)


def test_every_weight_that_ships_has_a_name():
    folder = ROOT / 'mmssm' / 'weights'
    named = {entry.weights for entry in list_models(with_weights=True)}
    assert set(folder.glob('*.safetensors')) == named


def test_what_is_quoted_says_so():
    entry = find_model('posemamba-s-h36m')
    assert entry.metrics == {'MPJPE (paper)': 41.8, 'P-MPJPE (paper)': 35.0}
    assert entry.paper.url == 'https://arxiv.org/abs/2408.03540'
    assert entry.weights is None


def test_patterns_and_tasks():
    def names(**wanted):
        return [entry.alias for entry in list_models(**wanted)]

    assert names(pattern='POSEMAMBA-S-H36M')[0] == 'posemamba-s-h36m'
    assert 'hamba' in names(pattern='hamba*')
    assert 'hamba-small-synthhand' not in names(pattern='hamba')[:0] + names(
        pattern='hamba-f*'
    )
    assert names(task='hand_mesh') == names(task='Hand Mesh')
    assert names(task='hand_mesh')[0] == 'hamba-small-synthhand', 'with weights first'
    assert names(pattern='no such') == []
    assert names(pattern='df_mamba') == names(pattern='*DF-Mamba*') != []
    with pytest.raises(ValueError, match='body_3d_keypoint'):
        list_models(task='body')


@pytest.mark.parametrize(
    ('asked', 'offered'),
    [
        ('posmamba-mocap', 'posemamba-mocap-27frm'),
        ('hamba-small-synthand', 'hamba-small-synthhand'),
        ('SasMamba-H36', 'sasmamba-h36m'),
        ('mocap', 'posemamba-mocap-27frm'),
        ('dfmamba', 'df-mamba-a-synthhand'),
    ],
)
def test_a_name_that_does_not_exist_is_met_with_the_nearest(asked, offered):
    with pytest.raises(UnknownModelError, match='mmssm list') as error:
        find_model(asked)
    assert repr(offered) in str(error.value)
    assert isinstance(error.value, UserError)


def test_a_name_like_no_other_offers_none():
    with pytest.raises(UnknownModelError) as error:
        find_model('§§§§§§§§')
    assert 'did you mean' not in str(error.value)


def test_missing_weights_name_the_commands_that_make_them():
    with pytest.raises(MissingWeightsError) as error:
        resolve_model('posemamba-s-h36m')
    assert 'mmssm train posemamba-s-h36m' in str(error.value)
    assert 'mmssm convert posemamba ' in str(error.value)
    with pytest.raises(MissingWeightsError) as error:
        find_model('df-mamba-a-synthhand').require_weights()
    assert 'mmssm train df-mamba-a-synthhand' in str(error.value)
    assert 'convert' not in str(error.value)


def test_configs_and_weights_by_their_files(tmp_path):
    entry = find_model('posemamba-mocap-27frm')
    assert resolve_model(entry.config) == resolve_model(entry.alias)
    mine = tmp_path / 'mine.py'
    mine.write_text('')
    with pytest.raises(MissingWeightsError, match='a config alone'):
        resolve_model(mine)
    resolved = resolve_model(mine, entry.weights)
    assert (resolved.name, resolved.config) == ('mine', mine)
    with pytest.raises(MissingWeightsError, match=r'no file of weights none\.pth'):
        resolve_model(entry.alias, 'none.pth')
    with pytest.raises(UserError, match=r'no config file none\.py'):
        resolve_config('none.py')


def test_configs_of_the_package_need_no_checkout(tmp_path, monkeypatch):
    """A path as the documentation writes it works from any folder."""
    monkeypatch.chdir(tmp_path)
    config = find_model('posemamba-mocap-27frm').config
    assert resolve_config(config.relative_to(ROOT)) == config


@pytest.fixture
def metafile(tmp_path, monkeypatch):
    """Makes the catalog read a metafile with these models."""
    catalog._entries.cache_clear()
    (tmp_path / 'configs').mkdir()
    monkeypatch.setattr(catalog, 'root', lambda: tmp_path)

    def write(*models):
        index = {'Import': ['configs/metafile.yml']}
        (tmp_path / catalog.INDEX).write_text(yaml.safe_dump(index))
        path = tmp_path / 'configs' / 'metafile.yml'
        path.write_text(yaml.safe_dump({'Models': list(models)}))
        return path

    yield write
    catalog._entries.cache_clear()


def model(**changes):
    return {'Name': 'a', 'Config': 'configs/task/a.py', 'Metadata': {}, **changes}


def test_two_models_of_one_name_are_refused(metafile):
    metafile(model(Alias='x'), model(Name='b', Alias=['y', 'X']))
    with pytest.raises(CatalogError, match="'X' is the name of two models: a and b"):
        list_models()


def test_a_damaged_metafile_is_named(metafile):
    path = metafile({'Name': 'a'})
    with pytest.raises(CatalogError, match=r'metafile\.yml: a model lacks Config'):
        list_models()
    path.write_text('[')
    with pytest.raises(CatalogError, match=r'metafile\.yml cannot be read'):
        list_models()


def test_weights_that_were_taken_away_are_missing(metafile):
    metafile(model(Weights='mmssm/weights/none.safetensors'))
    assert find_model('a').weights is None


def test_nowhere_to_look_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog.mmssm, '__file__', str(tmp_path / 'mmssm/__init__.py'))
    with pytest.raises(CatalogError, match='install mmssm again'):
        catalog.root()


def test_looking_something_up_imports_neither_torch_nor_the_host():
    code = (
        'import sys, mmssm.apis; mmssm.apis.list_models();'
        "print({'torch', 'mmengine', 'mmpose'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, '-c', code],
        cwd=Path(catalog.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert said.stdout.strip() == 'set()', said.stderr


def test_what_is_public_is_there():
    import mmssm.apis

    for name in mmssm.apis.__all__:
        assert getattr(mmssm.apis, name) is not None
    assert set(dir(mmssm.apis)) == set(mmssm.apis.__all__)
    with pytest.raises(AttributeError, match='no_such'):
        mmssm.apis.no_such  # noqa: B018
