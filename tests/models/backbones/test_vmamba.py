"""VMamba: counts, the authors' formulas, MMPose's interface, what it refuses."""

import copy
import pickle

import pytest
import torch
from helpers import official_vmamba
from helpers.modules import load_script
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis.complexity import count
from mmssm.apis.official_weights import convert_weights, model_config
from mmssm.models.backbones import VMamba

SMALL = dict(embed_dims=16, depths=(1, 2, 1, 1), drop_path_rate=0.0)


def small(**kwargs):
    torch.manual_seed(0)
    model = VMamba(**{**SMALL, **kwargs})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


# Parameters and MACs at 224 pixels of the paper's classifiers: 30 M and 4.9 G, 50 M
# and 8.7 G, 89 M and 15.4 G; of the authors' code: tiny_s2l5 31 M and 4.9 G,
# small_s1l20 49 M and 8.6 G, base_s1l20 87 M and 15.2 G.
@pytest.mark.parametrize(
    'arch, width, params, classifier, macs, scan_macs',
    [
        ('tiny', 96, 29_481_408, 30_249_064, 4_843_464_192, 132_765_696),
        ('small', 96, 49_380_096, 50_147_752, 8_582_504_448, 387_760_128),
        ('base', 128, 87_534_592, 88_557_800, 15_181_250_560, 651_886_592),
        ('tiny-s2l5', 96, 29_938_176, 30_705_832, 4_769_630_208, 213_147_648),
        ('small-s1l20', 96, 48_245_184, 49_012_840, 8_518_454_784, 237_533_184),
        ('base-s1l20', 128, 85_591_296, 86_614_504, 15_095_851_008, 400_203_776),
    ],
)
def test_counts_of_the_paper(arch, width, params, classifier, macs, scan_macs):
    with torch.device('meta'):
        model = VMamba(arch)
        counted = count(model.eval(), torch.empty(1, 3, 224, 224))
        maps = model(torch.empty(2, 3, 256, 192))
    assert [tuple(y.shape) for y in maps] == [
        (2, width, 64, 48),
        (2, 2 * width, 32, 24),
        (2, 4 * width, 16, 12),
        (2, 8 * width, 8, 6),
    ]
    assert counted.params == params == sum(p.numel() for p in model.parameters())
    assert (counted.macs, counted.scan_macs) == (macs, scan_macs)
    # The classifier has one norm, behind the last stage, and a linear layer.
    norms = sum(p.numel() for p in model.out_norms.parameters())
    assert params - norms + 2 * 8 * width + 1000 * (8 * width + 1) == classifier


def test_official_weights_give_the_maps_of_the_plain_formulas():
    weights = official_vmamba.weights()
    script = load_script('tools/model_converters/vmamba.py')
    config = model_config(weights, script.MODEL)
    model = MODELS.build({**config, 'out_indices': [0, 1, 2, 3]}).eval()
    ours = convert_weights(weights, config, script.MODEL)
    missing, unexpected = model.load_state_dict(ours, strict=False)
    assert not unexpected and all(name.startswith('out_norms.') for name in missing)
    torch.manual_seed(1)
    x = torch.randn(2, 3, 39, 60)
    with torch.no_grad():
        maps = model(x)
        expected = official_vmamba.plain_maps(weights, x)
    assert [y.shape[2:] for y in maps] == [(10, 15), (5, 8), (3, 4), (2, 2)]
    for stage, plain in enumerate(expected):
        if stage < 3:
            named = {'plain.weight': torch.ones(plain.shape[1])}
            named['plain.bias'] = torch.zeros(plain.shape[1])
            plain = official_vmamba.norm(named, 'plain', plain)
        else:
            plain = official_vmamba.norm(weights, 'classifier.norm', plain)
        assert plain.std() > 0.3
        torch.testing.assert_close(maps[stage], plain, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize('size', [(1, 1), (5, 9), (33, 65), (64, 1)])
def test_any_size_of_image(size):
    model = small()
    x = torch.randn(1, 3, *size)
    for level, y in enumerate(model(x)):
        stride = 2 ** (level + 2)
        assert y.shape[2:] == tuple(-(-side // stride) for side in size)
        assert y.isfinite().all()


def test_maps_lie_in_memory_as_the_images_do():
    model = small()
    x = torch.randn(2, 3, 64, 64)
    last = x.contiguous(memory_format=torch.channels_last)
    for y, z in zip(model(x), model(last), strict=True):
        assert y.is_contiguous()
        assert z.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(y, z)


def test_chosen_maps_are_those_of_all():
    model = small()
    x = torch.randn(1, 3, 64, 48)
    every = model(x)
    for chosen in [(3,), (0, 2), (1,)]:
        part = small(out_indices=chosen)
        missing, _ = part.load_state_dict(model.state_dict(), strict=False)
        assert not missing
        for index, y in zip(chosen, part(x), strict=True):
            torch.testing.assert_close(y, every[index], rtol=0, atol=0)


def test_stages_behind_the_last_map_are_not_run():
    model = small(out_indices=(1,))
    model.stages[2] = None
    assert len(model(torch.randn(1, 3, 32, 32))) == 1


def test_depth_images():
    x = torch.randn(2, 1, 40, 40)
    assert small(in_channels=1)(x)[3].shape == (2, 128, 2, 2)


def test_every_parameter_learns():
    model = small().train()
    sum(y.square().mean() for y in model(torch.randn(2, 3, 32, 64))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_every_pixel_is_seen_from_every_corner():
    model = small(out_indices=(0,))
    x = torch.randn(1, 3, 24, 20, requires_grad=True)
    for row, column in [(0, 0), (5, 4), (0, 4)]:
        (gradient,) = torch.autograd.grad(model(x)[0][0, :, row, column].sum(), x)
        assert (gradient.abs().sum(1) > 0).all()


def test_checkpointing_changes_nothing():
    x = torch.randn(2, 3, 40, 40)
    results = []
    for with_cp in (False, True):
        model = small(with_cp=with_cp).train()
        y = model(x)
        sum(part.square().sum() for part in y).backward()
        results.append([y[-1], *(p.grad for p in model.parameters())])
    for plain, checkpointed in zip(*results, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_checkpointing_keeps_less():
    def kept(with_cp):
        sizes = []

        def pack(tensor):
            sizes.append(tensor.numel())
            return tensor

        model = small(with_cp=with_cp).train()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(torch.randn(1, 3, 64, 64, requires_grad=True))
        return sum(sizes)

    assert kept(True) < 0.5 * kept(False)


@pytest.mark.parametrize('stages', [-1, 0, 1, 3, 4])
def test_frozen_stages(stages):
    model = small(frozen_stages=stages, drop_path_rate=0.5)
    assert model.train() is model
    trained = {
        name.split('.')[0] + '.' + name.split('.')[1]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    expected = {f'out_norms.{i}' for i in range(4)}
    if stages < 0:
        expected |= {'stem.0', 'stem.2'}
    first = max(stages, 0)
    expected |= {f'stages.{i}' for i in range(first, 4)}
    expected |= {f'downsamples.{i}' for i in range(first, 3)}
    assert trained == expected
    for index, stage in enumerate(model.stages):
        assert all(block.training == (index >= first) for block in stage)
    # Nothing random is left in front.
    x = torch.randn(8, 3, 32, 32)
    if stages > 0:
        assert torch.equal(model(x)[stages - 1], model(x)[stages - 1])
    if stages < 4:
        assert not torch.equal(model(x)[3], model(x)[3])
    model.eval()
    assert torch.equal(model(x)[3], model(x)[3])


def test_drop_path_rises_linearly_over_the_blocks():
    model = VMamba(embed_dims=16, depths=(2, 1, 2, 1), drop_path_rate=0.5)
    rates = [block.drop_path.drop_prob for stage in model.stages for block in stage]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    with torch.device('meta'):
        rates = {
            arch: VMamba(arch).stages[-1][-1].drop_path.drop_prob
            for arch in ('tiny', 'small', 'base', 'base-s1l20')
        }
    assert rates == pytest.approx(dict(tiny=0.2, small=0.3, base=0.6) | {
        'base-s1l20': 0.5
    })  # fmt: skip


def test_initial_values():
    torch.manual_seed(0)
    model = VMamba(**{**SMALL, 'embed_dims': 32})
    scan = model.stages[0][0].mixer.s6
    bias = scan.dt_bias.detach().clone()
    model.init_weights()
    block = model.stages[3][0]
    for layer in (block.mixer.in_proj, block.mlp.fc1):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not block.mlp.fc1.bias.any()
    # The dynamics keep theirs: decay exp(-dt), steps from 0.001 to 0.1.
    assert torch.equal(scan.dt_bias, bias) and not scan.A_log.any()
    steps = torch.nn.functional.softplus(bias)
    assert 0.000999 < steps.min() < steps.max() < 0.1001


def test_weights_of_a_file(tmp_path):
    model = small(out_indices=(3,))
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'x.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'x.pth'))
    loaded = VMamba(**SMALL, out_indices=(3,), init_cfg=init_cfg)
    loaded.init_weights()
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(loaded.eval()(x)[0], model(x)[0])


def test_copies_and_pickles():
    model = small()
    x = torch.randn(1, 3, 32, 32)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(copied(x)[3], model(x)[3])


@pytest.mark.parametrize(
    'arguments, match',
    [
        (dict(arch='huge'), r"unknown arch 'huge' of VMamba; there are \['tiny'"),
        (dict(embed_dims=15), 'embed_dims must be even'),
        (dict(depths=()), 'a positive number a stage'),
        (dict(depths=(1, 0)), r'a positive number a stage, got \(1, 0\)'),
        (dict(ssm_ratio=0.0), 'ssm_ratio 0.0 leaves no channels'),
        (dict(in_channels=0), 'in_channels must be at least 1, got 0'),
        (dict(out_indices=()), 'out_indices must hold different stages from 0 to 3'),
        (dict(out_indices=(3, 1)), r'ascending order, got \(3, 1\)'),
        (dict(out_indices=(1, 1)), 'out_indices must hold different stages'),
        (dict(out_indices=(4,)), r'got \(4,\)'),
        (dict(out_indices=(-1,)), r'got \(-1,\)'),
        (dict(frozen_stages=5), r'number of stages up to 4, got 5'),
    ],
)
def test_wrong_arguments(arguments, match):
    with pytest.raises(ValueError, match=match), torch.device('meta'):
        VMamba(**{**SMALL, **arguments})


@pytest.mark.parametrize(
    'shape', [(2, 1, 32, 32), (3, 32, 32), (1, 4, 32, 32), (1, 3, 0, 32)]
)
def test_wrong_images(shape):
    with pytest.raises(ValueError, match=r'\(batch, 3, height, width\), got'):
        small()(torch.randn(shape))
