"""The command that looks inside."""

import json

import numpy as np
import pytest
from helpers.modules import ROOT, load_script
from PIL import Image

LIFTER = ROOT / (
    'configs/body_3d_keypoint/posemamba/mocap/posemamba_xs-27frm_1xb4_mocap-fold0.py'
)
SMALL = [
    '--cfg-options',
    'model.backbone.embed_dims=8',
    'model.backbone.depth=1',
    'model.backbone.num_frames=4',
    'model.head.in_channels=8',
    'val_dataloader.dataset.seq_len=9',  # is cut to the table's length
]


@pytest.fixture(scope='module')
def tool():
    return load_script('tools/analysis_tools/scan_maps.py')


def test_lifters_are_seen_among_joints_and_frames(tool, tmp_path, capsys):
    tool.main([str(LIFTER), '--out', str(tmp_path), *SMALL])
    said = capsys.readouterr()
    assert 'the weights are random' in said.err
    assert '4 x 17 tokens' in said.out
    names = [f'backbone.{kind}_blocks.0.mixer' for kind in ('spatial', 'temporal')]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f'{name}.{kind}' for name in names for kind in ('npz', 'png')
    )
    with np.load(tmp_path / f'{names[0]}.npz', allow_pickle=False) as numbers:
        assert numbers['size'].tolist() == [4, 17]
        assert numbers['strength'].shape == (68, 68)
        np.testing.assert_allclose(numbers['among_columns'].sum(1), 1)
        np.testing.assert_allclose(numbers['among_rows'].sum(1), 1)
        assert numbers['residual'] < 1e-5
    with Image.open(tmp_path / f'{names[0]}.png') as picture:
        assert picture.size[0] > 900


def test_layers_are_listed(tool, capsys):
    tool.main([str(LIFTER), '--list'])
    assert capsys.readouterr().out.split() == [
        f'backbone.{kind}_blocks.{depth}.mixer'
        for kind in ('spatial', 'temporal')
        for depth in range(2)
    ]


def test_the_last_of_each_kind_is_shown(tool):
    names = ['a.0.m', 'a.1.m', 'b.0.c.0.m', 'b.0.c.1.m', 'b.1.c.0.m']
    assert tool.default_layers(names) == ['a.1.m', 'b.1.c.0.m']


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--layers', 'nowhere'], "'nowhere' is not one of the layers"),
        (['--sample', '10000'], '--sample 10000: the validation data has'),
    ],
)
def test_what_there_is_not_is_said(tool, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit, match=message):
        tool.main([str(LIFTER), '--out', str(tmp_path), *arguments, *SMALL])
    with pytest.raises(SystemExit, match='there is no model'):
        tool.main(['posemamba-nowhere', '--out', str(tmp_path)])
    with pytest.raises(SystemExit):
        tool.main([str(LIFTER)])
    assert '--out DIR' in capsys.readouterr().err


def test_data_that_is_not_here_is_said(tool, tmp_path):
    weights = ROOT / 'mmssm/weights/hamba-small-synthhand.safetensors'
    (config,) = ROOT.glob('configs/hand_mesh/hamba/synthhand/*small*.py')
    nowhere = f'val_dataloader.dataset.data_root={tmp_path}'
    with pytest.raises(SystemExit, match=r'data is not here: .*does not exist'):
        tool.main(
            [
                str(config),
                str(weights),
                '--out',
                str(tmp_path),
                '--cfg-options',
                nowhere,
            ]
        )


def test_a_sweep_from_the_command_line(tmp_path, capsys):
    tool = load_script('tools/analysis_tools/robustness.py')
    weights = ROOT / 'mmssm/weights/posemamba-mocap-27frm.safetensors'
    tool.main(
        [
            *(str(LIFTER), str(weights), '--out', str(tmp_path)),
            *('--sweeps', 'noise', '--levels', '0', '30'),
            *('--cfg-options', 'val_dataloader.dataset.indices=2'),
            'model.test_cfg.flip_test=False',
        ]
    )
    numbers = json.loads((tmp_path / 'robustness.json').read_text())
    errors = numbers['sweeps']['noise']['metrics']['MPJPE']
    assert errors[0] < errors[1]
    table = (tmp_path / 'robustness.md').read_text()
    assert table in capsys.readouterr().out
    assert f'| 30 | {errors[1]:.1f} |' in table
    with Image.open(tmp_path / 'robustness.png') as picture:
        assert picture.size[0] > picture.size[1] > 100
    with pytest.raises(SystemExit):
        tool.parse_args([str(LIFTER), '--out', '.', '--levels', '1'])
    assert '--levels are of one sweep' in capsys.readouterr().err
