"""The converter on checkpoints as the authors' code writes them."""

import sys

import numpy as np
import pytest
import torch
from helpers import official_posemamba
from helpers.official_posemamba import golden, golden_input, shapes
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis import build_from_checkpoint


@pytest.fixture(scope='module')
def converter():
    return official_posemamba.converter('posemamba')


def official(weights, prefix='module.'):
    return {
        'epoch': 90,
        'lr': np.float64(8.1e-5),
        'optimizer': {'state': {}, 'param_groups': [{'lr': np.float64(8.1e-5)}]},
        'model_pos': {prefix + name: value for name, value in weights.items()},
        'min_loss': np.float64(41.8),
    }


def write(path, checkpoint):
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize('prefix', ['module.', ''])
@pytest.mark.parametrize('name', ['ours.pth', 'ours.safetensors'])
def test_golden_model_through_files(converter, tmp_path, prefix, name):
    source = write(tmp_path / 'best_epoch.bin', official(golden(), prefix))
    config = converter.convert(source, tmp_path / name)
    model = build_from_checkpoint(tmp_path / name)
    with torch.no_grad():
        y = model(golden_input(), None, mode='tensor')
    assert y.sum().item() == pytest.approx(-285.325712, abs=1e-3)
    trusted = MODELS.build(config).eval()
    trusted.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(trusted(golden_input(), None, mode='tensor'), y)


def test_plain_loading_reads_the_result(converter, tmp_path):
    source = write(tmp_path / 'x.bin', official(golden()))
    config = converter.convert(source, tmp_path / 'ours.pth')
    content = torch.load(tmp_path / 'ours.pth', weights_only=True)
    assert content['meta'] == {'model': config, 'source': 'x.bin'}


@pytest.mark.parametrize(
    'size',
    [
        dict(embed_dims=64, depth=10, num_frames=243),
        dict(embed_dims=256, depth=20, num_frames=81),
        dict(embed_dims=24, depth=3, num_frames=27, in_channels=3, d_state=8),
    ],
    ids=['small', 'xlarge', 'odd'],
)
def test_sizes_are_read_off_the_shapes(converter, size):
    weights = {
        name: torch.empty(shape, device='meta')
        for name, shape in shapes(**size).items()
    }
    config = converter.model_config(weights)
    for key, value in size.items():
        assert config['backbone'][key] == value
    assert config['backbone']['mlp_ratio'] == 2
    converted = converter.convert_weights(weights, config)
    assert len(converted) == len(weights) == 19 * 2 * size['depth'] + 12


def test_paths_keep_their_place(converter):
    weights = golden()
    converted = converter.convert_weights(weights, converter.model_config(weights))
    name = 'backbone.temporal_blocks.1.mixer.s6'
    official_name = 'TTEblocks.1.op'
    for path, row in [(0, 0), (1, 5), (3, 31)]:
        assert torch.equal(
            converted[f'{name}.A_log'][path, row],
            weights[f'{official_name}.A_logs'][path * 32 + row],
        )
        assert (
            converted[f'{name}.D'][path, row]
            == weights[f'{official_name}.Ds'][path * 32 + row]
        )


def change(weights, **changes):
    changed = dict(weights)
    for name, value in changes.items():
        name = name.replace('__', '.')
        if value is None:
            del changed[name]
        else:
            changed[name] = value
    return changed


@pytest.mark.parametrize(
    'changes, match',
    [
        (dict(TTEblocks__1__op__Ds=None), 'missing backbone.temporal_blocks.1.mixer'),
        (dict(extra__weight=torch.zeros(1)), 'left over extra.weight'),
        (
            dict(STEblocks__0__op__out_proj__weight=torch.zeros(32, 16)),
            r'STEblocks.0.op.out_proj.weight is \(32, 16\), expected \(16, 32\)',
        ),
        (
            dict(STEblocks__0__op__A_logs=torch.zeros(4, 32, 16)),
            r"'STEblocks.0.op.A_logs' with 2 dimensions, found \(4, 32, 16\)",
        ),
        (dict(Spatial_pos_embed=None), "'Spatial_pos_embed'.*found none"),
        (dict(Spatial_pos_embed=torch.zeros(1, 16, 16)), '17 joints.*found 16'),
        (dict(STEblocks__4__norm__weight=torch.zeros(16)), 'not numbered from 0'),
    ],
)
def test_every_weight_is_checked(converter, tmp_path, changes, match):
    source = write(tmp_path / 'x.bin', official(change(golden(), **changes)))
    with pytest.raises(converter.ConversionError, match=match):
        converter.convert(source, tmp_path / 'ours.pth')
    assert not (tmp_path / 'ours.pth').exists()


@pytest.mark.parametrize(
    'checkpoint, match',
    [
        ({'state_dict': golden()}, "under 'model_pos', found dict"),
        (torch.zeros(3), "under 'model_pos', found Tensor"),
        ({'model_pos': {'x': 1}}, "a int under 'x'"),
        ({'model_pos': {'x': torch.zeros(1), 'module.x': torch.zeros(1)}}, 'with and'),
    ],
)
def test_other_files_are_refused(converter, tmp_path, checkpoint, match):
    source = write(tmp_path / 'x.bin', checkpoint)
    with pytest.raises(converter.ConversionError, match=match):
        converter.convert(source, tmp_path / 'ours.pth')


def test_command_line_says_what_went_wrong(converter, tmp_path, monkeypatch, capsys):
    def run(source):
        arguments = ['posemamba.py', str(source), str(tmp_path / 'ours.pth')]
        monkeypatch.setattr(sys, 'argv', arguments)
        converter.main()

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / 'ran'), 'w'))

    with pytest.raises(SystemExit, match=r'error: .*could run code'):
        run(write(tmp_path / 'evil.bin', {'model_pos': Evil()}))
    assert not (tmp_path / 'ran').exists()
    run(write(tmp_path / 'good.bin', official(golden())))
    printed = capsys.readouterr().out
    assert 'width 16, 2 pairs of blocks, 9 frames, 17 joints' in printed
