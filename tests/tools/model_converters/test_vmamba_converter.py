"""The converter on checkpoints as the authors' VMamba code writes them."""

import sys

import pytest
import torch
from helpers import official_posemamba
from helpers.official_vmamba import TINY, plain_maps, shapes, weights
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis import build_from_checkpoint
from mmssm.models.backbones.vmamba import ARCHITECTURES


@pytest.fixture(scope='module')
def converter():
    return official_posemamba.converter('vmamba')


def write(path, model):
    checkpoint = {
        'model': model,
        'optimizer': {'state': {}, 'param_groups': [{'lr': 1e-3}]},
        'lr_scheduler': {'base_values': [1e-3], 'metric': None},
        'max_accuracy': 82.5,
        'epoch': 264,
        'model_ema': {name: torch.zeros_like(value) for name, value in model.items()},
    }
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize('name', ['ours.pth', 'ours.safetensors'])
def test_a_model_through_files(converter, tmp_path, name):
    official = weights()
    source = write(tmp_path / 'ckpt_epoch_264.pth', official)
    converter.convert(source, tmp_path / name)
    model = build_from_checkpoint(tmp_path / name)
    torch.manual_seed(0)
    x = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        (y,) = model(x)
        expected = torch.nn.functional.layer_norm(
            plain_maps(official, x)[3].permute(0, 2, 3, 1),
            (128,),
            official['classifier.norm.weight'],
            official['classifier.norm.bias'],
        )
    torch.testing.assert_close(y.permute(0, 2, 3, 1), expected, rtol=2e-4, atol=2e-4)


def test_the_file_starts_a_backbone(converter, tmp_path):
    source = write(tmp_path / 'ckpt.pth', weights())
    target = tmp_path / 'ours.pth'
    config = converter.convert(source, target)
    pretrained = dict(type='Pretrained', checkpoint=str(target))
    model = MODELS.build({**config, 'init_cfg': pretrained, 'out_indices': (0, 3)})
    model.init_weights()
    expected = weights()['classifier.norm.weight']
    assert torch.equal(model.out_norms['3'].weight.detach(), expected)
    assert (model.out_norms['0'].weight == 1).all()


@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_published_sizes_are_read_off_the_shapes(converter, arch):
    size = ARCHITECTURES[arch]
    official = {
        name: torch.empty(shape, device='meta')
        for name, shape in shapes(size.embed_dims, size.depths, size.ssm_ratio).items()
    }
    config = converter.model_config(official)
    assert config == dict(
        type='mmssm.VMamba',
        embed_dims=size.embed_dims,
        depths=list(size.depths),
        ssm_ratio=size.ssm_ratio,
        in_channels=3,
        d_state=1,
        mlp_ratio=4.0,
        out_indices=[3],
    )
    converted = converter.convert_weights(official, config)
    assert len(converted) == len(official) - 2
    with torch.device('meta'):
        by_name = MODELS.build(dict(type='mmssm.VMamba', arch=arch, out_indices=[3]))
    expected = {name: value.shape for name, value in by_name.state_dict().items()}
    assert {name: value.shape for name, value in converted.items()} == expected


def test_names(converter):
    official = weights()
    converted = converter.convert_weights(official, converter.model_config(official))
    for ours, theirs in {
        'stem.0.conv.bias': 'patch_embed.0.bias',
        'stem.0.norm.weight': 'patch_embed.2.weight',
        'stem.2.conv.weight': 'patch_embed.5.weight',
        'stem.2.norm.bias': 'patch_embed.7.bias',
        'stages.1.1.norm1.weight': 'layers.1.blocks.1.norm.weight',
        'stages.1.1.norm2.weight': 'layers.1.blocks.1.norm2.weight',
        'stages.1.0.mixer.s6.dt_bias': 'layers.1.blocks.0.op.dt_projs_bias',
        'stages.1.0.mixer.out_norm.bias': 'layers.1.blocks.0.op.out_norm.bias',
        'downsamples.0.conv.weight': 'layers.0.downsample.1.weight',
        'downsamples.2.norm.weight': 'layers.2.downsample.3.weight',
        'out_norms.3.bias': 'classifier.norm.bias',
    }.items():
        assert torch.equal(converted[ours], official[theirs]), ours
    # Paths stand one below the other in the authors' files.
    A = official['layers.2.blocks.0.op.A_logs']
    assert torch.equal(converted['stages.2.0.mixer.s6.A_log'][3], A[3 * 128 :])


def test_linear_layers_as_convolutions(converter):
    official = weights()
    expected = converter.convert_weights(official, converter.model_config(official))
    for name in official:
        if name.endswith(('in_proj.weight', 'out_proj.weight', '.fc1.weight')):
            official[name] = official[name][:, :, None, None]
    converted = converter.convert_weights(official, converter.model_config(official))
    for name, value in expected.items():
        assert torch.equal(converted[name], value)


@pytest.mark.parametrize(
    'changes, match',
    [
        ({'layers.1.blocks.1.op.Ds': None}, 'missing stages.1.1.mixer.s6.D'),
        ({'layers.0.blocks.0.op.gate': torch.zeros(1)}, 'left over layers.0.blocks.0'),
        ({'pos_embed': torch.zeros(1)}, 'left over pos_embed'),
        (
            {'layers.0.downsample.1.weight': torch.zeros(32, 16, 2, 2)},
            r'downsample.1.weight is \(32, 16, 2, 2\), expected \(32, 16, 3, 3\)',
        ),
        (
            {'layers.3.blocks.0.op.in_proj.weight': torch.zeros(512, 128)},
            r'in_proj.weight is \(512, 128\), expected \(256, 128\)',
        ),
        ({'stages.0.0.norm1.bias': torch.zeros(16)}, 'are one weight here'),
        ({'patch_embed.5.weight': None}, r"VMamba \(second version\)'s 'patch_embed.5"),
        ({'layers.0.blocks.0.mlp.fc1.bias': None}, 'with 1 dimensions, found none'),
        ({'layers.1.blocks.5.norm.bias': torch.zeros(1)}, 'not numbered from 0'),
        ({'layers.4.blocks.0.norm.bias': torch.zeros(1)}, 'expected 4 stages, found 5'),
    ],
)
def test_every_weight_is_checked(converter, tmp_path, changes, match):
    official = {**weights(), **changes}
    official = {name: value for name, value in official.items() if value is not None}
    source = write(tmp_path / 'x.pth', official)
    with pytest.raises(converter.ConversionError, match=match):
        converter.convert(source, tmp_path / 'ours.pth')
    assert not (tmp_path / 'ours.pth').exists()


def test_another_file_is_refused(converter, tmp_path):
    torch.save({'state_dict': weights()}, tmp_path / 'x.pth')
    with pytest.raises(converter.ConversionError, match="weights under 'model'"):
        converter.convert(tmp_path / 'x.pth', tmp_path / 'ours.pth')


def run(converter, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['vmamba.py', *map(str, arguments)])
    converter.main()


def test_command_line(converter, tmp_path, monkeypatch, capsys):
    source = write(tmp_path / 'x.pth', weights())
    run(converter, monkeypatch, source, tmp_path / 'ours.pth')
    printed = capsys.readouterr().out
    assert 'has none: classifier.head.weight, classifier.head.bias' in printed
    assert 'VMamba of width 16, depths [1, 2, 1, 1], inner width 2 times' in printed
    assert TINY['depths'] == (1, 2, 1, 1)


def test_a_file_that_could_run_code_is_refused(converter, tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / 'ran'), 'w'))

    torch.save({'model': weights(), 'config': Evil()}, tmp_path / 'evil.pth')
    with pytest.raises(SystemExit, match=r'error: .*could run code'):
        run(converter, monkeypatch, tmp_path / 'evil.pth', tmp_path / 'ours.pth')
    assert not (tmp_path / 'ran').exists()
