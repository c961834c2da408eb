import json

import numpy as np
import pytest
from helpers import (
    assemblyhands,
    dexycb,
    freihand,
    hamer,
    hint,
    ho3d,
    interhand,
    nyu,
    rhd,
)
from helpers.modules import load_script
from mmpose.registry import DATASETS
from scipy.io import savemat

from mmssm.datasets import freihand_files, hand_checks

KIND = {'type': 'mmssm.NYUHandDataset', 'serialize_data': False}

BASES = 'configs/_base_/datasets'


@pytest.fixture(scope='module')
def tool():
    return load_script('tools/misc/check_dataset.py')


def run(tool, base, root, *flags, **changes):
    changes = {'data_root': root, **changes}
    options = [
        f'train_dataloader.dataset.{key}={value}' for key, value in changes.items()
    ]
    arguments = [f'{BASES}/{base}.py', '--phase', 'train', *flags]
    tool.main([*arguments, '--cfg-options', *options])


LAYOUTS = {
    'freihand3d': (freihand, {}, ('DIFFERS, expected 32,560', "mano's root", 'scale')),
    'rhd3d': (rhd, {}, ('DIFFERS, expected 41,258', 'chirality of left hands')),
    'nyu': (
        nyu,
        {},
        ('DIFFERS, expected 72,757', 'depth of centres', 'nothing to mea'),
    ),
    'dexycb': (
        dexycb,
        {'partial': True, 'setup': 's0', 'index_file': None},
        ('DIFFERS, expected 465,504', 'DIFFERS, expected 406,888'),
    ),
    'assemblyhands': (assemblyhands, {}, ('share of joints in boxes',)),
    'interhand3d': (interhand, {}, ('expected 1,361,062', 'share of joints in box')),
}


@pytest.mark.parametrize('name', LAYOUTS)
def test_parts_of_data_sets_pass_unless_strict(name, tmp_path, tool, capsys):
    helper, changes, lines = LAYOUTS[name]
    if name == 'dexycb':
        helper.write(tmp_path, subjects=range(10), frames=1)
    else:
        helper.write(tmp_path)
    run(tool, name, tmp_path, **changes)
    printed = capsys.readouterr().out
    for line in (*lines, 'wrist to middle finger, mm'):
        assert line in printed
    assert 'WRONG' not in printed
    if name != 'assemblyhands':
        with pytest.raises(SystemExit) as stop:
            run(tool, name, tmp_path, '--strict', **changes)
        assert stop.value.code == 1


MESH_SETS = {
    'ho3d': (ho3d, {'index_file': None}, 'DIFFERS, expected 83,325'),
    'freihand_mesh': (freihand, {'with_mano': False}, 'DIFFERS, expected 32,560'),
    'dexycb_mesh': (
        dexycb,
        {'partial': True, 'index_file': None, 'with_mano': False},
        'DIFFERS, expected 407,088',
    ),
}


@pytest.mark.parametrize('name', MESH_SETS)
def test_sets_of_meshes_pass(name, tmp_path, tool, capsys):
    helper, changes, line = MESH_SETS[name]
    helper.write(tmp_path)
    run(tool, name, tmp_path, **changes)
    printed = capsys.readouterr().out
    assert line in printed and 'wrist to middle finger' in printed
    assert 'WRONG' not in printed


def test_sets_without_joints_in_space_are_counted(tmp_path, tool, capsys):
    hint.write(tmp_path, split='TRAIN')
    run(tool, 'hint', tmp_path)
    printed = capsys.readouterr().out
    assert 'DIFFERS, expected 9,666' in printed and 'wrist to' not in printed


def test_every_part_of_a_mixture_is_checked(tmp_path, tool, capsys):
    parts = []
    for name in ('mtc-train', 'rhd-train'):
        hamer.write_tar(tmp_path / name / '0.tar')
        root = str(tmp_path / name)
        parts.append(f"dict(type='mmssm.HandMeshTarDataset', data_root='{root}')")
    config = tmp_path / 'mixture.py'
    config.write_text(
        'train_dataloader = dict(dataset=dict('
        f"type='mmssm.WeightedCombinedDataset', datasets=[{', '.join(parts)}]))"
    )
    tool.main([str(config), '--phase', 'train'])
    printed = capsys.readouterr().out
    assert 'expected 363,947' in printed and 'expected 61,705' in printed
    assert printed.count('wrist to middle finger') == 2 and 'WRONG' not in printed
    path = tmp_path / 'mtc-train/0.tar'
    contents = hamer.members()
    contents['set/001.jpg'] = contents['set/001.jpg'][:-300]
    hamer.write_tar(path, contents)
    with pytest.raises(SystemExit, match=r'0\.tar/.* cut short'):
        tool.main([str(config), '--phase', 'train'])


def test_parameters_must_give_the_stored_joints(tmp_path, tool, capsys):
    freihand.write(tmp_path)  # with parameters of no meaning
    with pytest.raises(SystemExit, match='units, the order'):
        run(tool, 'synthhand_mesh', tmp_path)
    assert 'joints off parameters, mm' in capsys.readouterr().out


def test_a_wrong_unit_is_an_error(tmp_path, tool, capsys):
    contents = freihand.data()
    contents['xyz'] = (1000 * np.array(contents['xyz'])).tolist()
    freihand.write(tmp_path, contents)
    with pytest.raises(SystemExit, match='units, the order of joints or cameras'):
        run(tool, 'freihand3d', tmp_path)
    assert 'WRONG, expected 70 to 110' in capsys.readouterr().out


def test_a_mirrored_frame_is_an_error(tmp_path, tool, capsys):
    contents = rhd.data()
    for entry in contents.values():
        entry['xyz'] = entry['xyz'] * np.array([1, -1, 1], np.float32)
    rhd.write(tmp_path, contents)
    with pytest.raises(SystemExit, match='units, the order of joints or cameras'):
        run(tool, 'rhd3d', tmp_path)
    printed = capsys.readouterr().out
    assert printed.count('WRONG') == 3  # projection and both chiralities


def test_an_image_that_is_missing_or_spoiled_is_an_error(tmp_path, tool):
    freihand.write(tmp_path)
    path = tmp_path / 'training/rgb/00000011.jpg'
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        SystemExit, match=r'00000011\.jpg of sample 11: it is cut short'
    ):
        run(tool, 'freihand3d', tmp_path)
    run(tool, 'freihand3d', tmp_path, '--images', '2', versions='[0]')


def test_nyus_files_must_agree_with_each_other(tmp_path, tool, capsys):
    nyu.write(tmp_path)
    arrays = nyu.data()
    savemat(
        tmp_path / 'train/joint_data.mat',
        {**arrays, 'joint_xyz': arrays['joint_xyz'] * [1, -1, 1]},
    )
    with pytest.raises(SystemExit, match='units, the order'):
        run(tool, 'nyu', tmp_path)
    assert '3D off pixels and depth, mm' in capsys.readouterr().out


def test_nyus_first_frame_is_the_published_one(tmp_path):
    arrays = nyu.data()
    arrays['joint_uvd'][0, 0, 0] = 169.2, 199.6, 736.4
    arguments = nyu.write(tmp_path, arrays, 'test')
    dataset = DATASETS.build({**KIND, **arguments})
    frames, first = hand_checks.check_counts(dataset)
    assert not frames.passed and first.passed


def test_released_counts_pass(tmp_path, monkeypatch, tool, capsys):
    """Small files under the counts of large ones."""
    monkeypatch.setitem(freihand_files.COUNTS, 'training', 3)
    freihand.write(tmp_path)
    run(tool, 'freihand3d', tmp_path, '--strict')
    run(tool, 'freihand3d', tmp_path, '--strict', versions='[1,2]')
    assert 'nothing differs from the released files' in capsys.readouterr().out
    monkeypatch.setitem(hand_checks.INTERHAND_IMAGES, 'train', 4)
    interhand.write(tmp_path)
    run(tool, 'interhand3d', tmp_path, '--strict')


def test_generated_hands_have_no_released_counts(tmp_path, tool, capsys):
    freihand.write(tmp_path)
    run(tool, 'synthhand', tmp_path, '--strict')
    assert 'DIFFERS' not in capsys.readouterr().out


def test_a_part_of_interhand_is_not_counted(tmp_path, tool, capsys):
    interhand.write(tmp_path)
    (tmp_path / 'ids.txt').write_text('3\n')
    run(tool, 'interhand3d', tmp_path, '--strict', annotation_ids_file='ids.txt')
    assert 'DIFFERS' not in capsys.readouterr().out


def test_the_scale_file_is_compared(tmp_path, tool, capsys):
    contents = freihand.data()
    contents['scale'] = [10 * scale for scale in contents['scale']]
    freihand.write(tmp_path, contents)
    with pytest.raises(SystemExit, match='units'):
        run(tool, 'freihand3d', tmp_path)
    (tmp_path / 'training_scale.json').write_text(json.dumps([1, 2]))
    with pytest.raises(
        SystemExit, match=r'training_scale\.json: expected scale of shap'
    ):
        run(tool, 'freihand3d', tmp_path)
