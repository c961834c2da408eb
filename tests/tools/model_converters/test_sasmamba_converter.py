"""The converter on checkpoints as the authors' SasMamba code writes them."""

import sys

import numpy as np
import pytest
import torch
from helpers import official_posemamba
from helpers.official_posemamba import golden, golden_input, shapes

import mmssm.registry  # noqa: F401
from mmssm.apis import build_from_checkpoint


@pytest.fixture(scope='module')
def converter():
    return official_posemamba.converter('sasmamba')


def write(path, weights, key='model'):
    checkpoint = {
        'epoch': 90,
        'lr': 8.1e-5,
        'optimizer': {'state': {}, 'param_groups': [{'lr': 8.1e-5}]},
        key: {f'module.{name}': value for name, value in weights.items()},
        'min_mpjpe': np.float64(41.8),
        'wandb_id': None,
    }
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize('name', ['ours.pth', 'ours.safetensors'])
def test_golden_model_through_files(converter, tmp_path, name):
    source = write(tmp_path / 'best_epoch.pth.tr', golden(structure_kernel=3))
    converter.convert(source, tmp_path / name)
    model = build_from_checkpoint(tmp_path / name)
    with torch.no_grad():
        y = model(golden_input(), None, mode='tensor')
    assert y.sum().item() == pytest.approx(81.220029, abs=1e-3)


@pytest.mark.parametrize(
    'size, per_block',
    [
        (dict(embed_dims=64, depth=5, num_frames=243, structure_kernel=3), 21),
        (dict(embed_dims=128, depth=10, num_frames=243, structure_kernel=7), 21),
        (dict(embed_dims=64, depth=5, num_frames=81, structure_kernel=1), 17),
    ],
    ids=['base', 'large-7', 'none'],
)
def test_sizes_are_read_off_the_shapes(converter, size, per_block):
    weights = {
        name: torch.empty(shape, device='meta')
        for name, shape in shapes(**size).items()
    }
    backbone = converter.model_config(weights)['backbone']
    assert backbone['kernel_size'] == size['structure_kernel']
    assert backbone['embed_dims'] == size['embed_dims']
    assert (backbone['stride_mode'], backbone['stride_grad']) == ('sum', 'identity')
    converted = converter.convert_weights(weights, converter.model_config(weights))
    assert len(converted) == len(weights) == per_block * 2 * size['depth'] + 12


def test_names_of_the_convolution(converter):
    weights = golden(structure_kernel=3)
    converted = converter.convert_weights(weights, converter.model_config(weights))
    ours, theirs = 'backbone.temporal_blocks.1.mixer.conv', 'TTEblocks.1.op.conv2d'
    for our_name, their_name in [
        ('offset.weight', 'offset_conv.weight'),
        ('offset.bias', 'offset_conv.bias'),
        ('bias', 'dcn.bias'),
    ]:
        assert torch.equal(
            converted[f'{ours}.{our_name}'], weights[f'{theirs}.{their_name}']
        )
    # Tap (row 1, column 2) is the sixth.
    assert torch.equal(
        converted[f'{ours}.weight'][:, 5], weights[f'{theirs}.dcn.weight'][:, 0, 1, 2]
    )


@pytest.mark.parametrize(
    'changes, match',
    [
        ({'STEblocks.1.op.conv2d.dcn.bias': None}, r'missing .*blocks.1.mixer.conv.b'),
        ({'STEblocks.0.op.conv2d.weight': torch.zeros(1)}, 'are one weight here'),
        (
            {'TTEblocks.0.op.conv2d.dcn.weight': torch.zeros(32, 1, 5, 5)},
            r'dcn.weight is \(32, 1, 5, 5\), expected \(32, 1, 3, 3\)',
        ),
        ({'STEblocks.0.op.gate': torch.zeros(1)}, 'left over STEblocks.0.op.gate'),
        ({'Spatial_pos_embed': None}, "expected SasMamba's 'Spatial_pos_embed'"),
    ],
)
def test_every_weight_is_checked(converter, tmp_path, changes, match):
    weights = {**golden(structure_kernel=3), **changes}
    weights = {name: value for name, value in weights.items() if value is not None}
    source = write(tmp_path / 'x.pth.tr', weights)
    with pytest.raises(converter.ConversionError, match=match):
        converter.convert(source, tmp_path / 'ours.pth')
    assert not (tmp_path / 'ours.pth').exists()


def test_a_posemamba_is_refused(converter, tmp_path):
    source = write(tmp_path / 'x.bin', golden(), key='model_pos')
    with pytest.raises(converter.ConversionError, match="weights under 'model'"):
        converter.convert(source, tmp_path / 'ours.pth')


def run(converter, monkeypatch, source, target):
    monkeypatch.setattr(sys, 'argv', ['sasmamba.py', str(source), str(target)])
    converter.main()


def test_command_line(converter, tmp_path, monkeypatch, capsys):
    source = write(tmp_path / 'x.pth.tr', golden(structure_kernel=3))
    run(converter, monkeypatch, source, tmp_path / 'ours.pth')
    printed = capsys.readouterr().out
    assert 'SasMamba of width 16, 2 pairs of blocks, 9 frames' in printed
    assert 'warning' not in printed


def test_three_channels_are_warned_of(converter, tmp_path, monkeypatch, capsys):
    weights = golden(structure_kernel=3)
    weights['Spatial_patch_to_embedding.weight'] = torch.zeros(16, 3)
    source = write(tmp_path / 'x.pth.tr', weights)
    run(converter, monkeypatch, source, tmp_path / 'ours.pth')
    assert 'warning: three input channels' in capsys.readouterr().out


def test_a_file_that_could_run_code_is_refused(converter, tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / 'ran'), 'w'))

    source = tmp_path / 'evil.pth.tr'
    torch.save({'model': Evil()}, source)
    with pytest.raises(SystemExit, match=r'error: .*could run code'):
        run(converter, monkeypatch, source, tmp_path / 'ours.pth')
    assert not (tmp_path / 'ran').exists()
