"""SasMamba: golden numbers, counts, parts, and what it takes and refuses."""

import pytest
import torch
from helpers import official_posemamba
from helpers.official_posemamba import golden, golden_input, shapes
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.models.backbones import PoseMamba, SasMamba
from mmssm.models.layers import DeformDWConv2d, GraphConv, LocalMix
from mmssm.models.layers.local_mix import H36M_LOCAL_ORDER
from mmssm.ops import _library


def tiny(**kwargs):
    torch.manual_seed(0)
    defaults = dict(embed_dims=16, depth=2, num_frames=9)
    return SasMamba(**{**defaults, **kwargs}).eval()


@pytest.fixture(scope='module')
def converter():
    return official_posemamba.converter('sasmamba')


@pytest.fixture(params=['identity', 'full'])
def golden_model(request, converter):
    weights = golden(structure_kernel=3)
    config = converter.model_config(weights)
    config['backbone']['stride_grad'] = request.param
    model = MODELS.build(config).eval()
    model.load_state_dict(converter.convert_weights(weights, config))
    return request.param, model


def close(expected):
    return pytest.approx(expected, abs=2e-6, rel=2e-6)


def test_golden_outputs(golden_model):
    _, model = golden_model
    y = model.head(model.backbone(golden_input()))
    assert y.sum().item() == pytest.approx(81.220029, abs=1e-3)
    assert y.abs().mean().item() == close(0.3263772)
    expected = {
        (0, 0, 0): (0.420918, 0.267168, -0.436821),
        (0, 4, 7): (0.427405, 0.224326, -0.460703),
        (0, 8, 16): (0.113926, 0.169175, -0.169615),
        (1, 0, 10): (0.383862, 0.246242, -0.408262),
        (1, 8, 3): (0.170707, 0.115242, -0.248293),
    }
    for place, joint in expected.items():
        assert y[place].tolist() == close(joint)


def test_golden_outputs_of_a_shorter_clip(golden_model):
    _, model = golden_model
    y = model.head(model.backbone(golden_input()[:, :5]))
    assert y.sum().item() == pytest.approx(39.065343, abs=1e-3)
    assert y[0, 2, 5].tolist() == close((0.350627, 0.348877, -0.333356))


def test_golden_gradients(golden_model):
    stride_grad, model = golden_model
    y = model.head(model.backbone(golden_input()))
    loss = y.square().mean()
    loss.backward()
    assert loss.item() == close(0.1135908)
    expected = {
        'embed.weight': (0.00322437, 0.00470418),
        'spatial_blocks.0.mixer.in_proj.weight': (0.00867779, 0.00999414),
        'spatial_blocks.1.mixer.s6.x_proj': (0.00152199, 0.00145812),
        'temporal_blocks.1.mixer.s6.A_log': (0.00931049, 0.00931049),
    }
    parameters = dict(model.backbone.named_parameters())
    for name, norms in expected.items():
        norm = norms[0] if stride_grad == 'identity' else norms[1]
        assert parameters[name].grad.norm().item() == pytest.approx(norm, rel=1e-4)


@pytest.mark.parametrize(
    'size, official, count',
    [
        (dict(arch='base'), (64, 5, 243, 2, 3), 951_351),
        (dict(arch='large'), (128, 10, 243, 2, 3), 5_572_459),
        (dict(arch='base', kernel_size=1), (64, 5, 243, 2, 1), 731_011),
        (dict(arch='base', kernel_size=5), (64, 5, 243, 2, 5), 2_364_791),
        (dict(arch='base', kernel_size=7), (64, 5, 243, 2, 7), 6_942_551),
        (
            dict(arch='base', num_frames=27, in_channels=3),
            (64, 5, 27, 3, 3),
            937_591,
        ),
        (
            dict(arch='base', num_frames=81, in_channels=3),
            (64, 5, 81, 3, 3),
            941_047,
        ),
    ],
)
def test_counts(size, official, count):
    embed_dims, depth, frames, channels, kernel = official
    with torch.device('meta'):
        model = SasMamba(**size)
        head = MODELS.build(dict(type='mmssm.LiftingHead', in_channels=embed_dims))
    parameters = [*model.parameters(), *head.parameters()]
    assert sum(p.numel() for p in parameters) == count
    named = shapes(
        embed_dims, depth, frames, in_channels=channels, structure_kernel=kernel
    )
    assert len(parameters) == len(named)


def test_trunk_and_block_are_those_of_posemamba():
    """Only the convolution differs in weights."""

    def without_conv(model):
        return {
            name: p.shape
            for name, p in model.named_parameters()
            if '.mixer.conv.' not in name
        }

    posemamba = PoseMamba(embed_dims=16, depth=2, num_frames=9)
    assert without_conv(tiny()) == without_conv(posemamba)


def test_with_its_local_order_and_plain_convolution_it_is_posemamba():
    """No convolution in one, one that does nothing in the other."""
    sas = tiny(structure_conv=None, local_order=H36M_LOCAL_ORDER)
    pose = PoseMamba(embed_dims=16, depth=2, num_frames=9).eval()
    missing, unexpected = pose.load_state_dict(sas.state_dict(), strict=False)
    assert not unexpected
    assert all('.mixer.conv.' in name for name in missing)
    with torch.no_grad():
        for block in (*pose.spatial_blocks, *pose.temporal_blocks):
            block.mixer.conv.weight.zero_()[:, :, 1, 1] = 1
            block.mixer.conv.bias.zero_()
    x = golden_input()
    torch.testing.assert_close(sas(x), pose(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(stride_mode='split'),
        dict(strides=(1, 2)),
        dict(strides=(1,)),
        dict(scans=('spatial',)),
        dict(scans=('temporal_back', 'temporal')),
        dict(local_order=H36M_LOCAL_ORDER),
    ],
)
def test_weights_load_into_every_mode(kwargs):
    sas, other = tiny(), tiny(**kwargs)
    other.load_state_dict(sas.state_dict())
    x = golden_input()
    y = other(x)
    assert y.shape == (2, 9, 17, 16)
    assert not torch.allclose(y, sas(x), atol=1e-3)


def test_absent_paths_keep_weights_that_do_nothing():
    model = tiny(scans=('spatial', 'temporal_back'))
    model(golden_input()).square().sum().backward()
    for parameter in model.spatial_blocks[0].mixer.s6.parameters():
        used = parameter.grad.flatten(1).abs().sum(1) > 0
        assert used.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    'kwargs, kind',
    [
        (dict(), DeformDWConv2d),
        (dict(structure_conv='graph'), GraphConv),
        (dict(structure_conv=None), torch.nn.Identity),
        (dict(kernel_size=1), torch.nn.Identity),
    ],
)
def test_parts_before_the_scan(kwargs, kind):
    model = tiny(**kwargs)
    blocks = [*model.spatial_blocks, *model.temporal_blocks]
    assert all(type(block.mixer.conv) is kind for block in blocks)
    assert model(golden_input()).isfinite().all()


def test_other_skeletons():
    x = torch.randn(2, 9, 5, 2)
    assert tiny(num_joints=5)(x).shape == (2, 9, 5, 16)
    bones = [(0, 1), (1, 2), (2, 3), (3, 4)]
    graph = tiny(num_joints=5, structure_conv='graph', bones=bones)
    assert graph(x).shape == (2, 9, 5, 16)
    model = tiny(num_joints=5, local_order=[0, 0, 1, 2, 3])
    assert isinstance(model.spatial_blocks[0].mixer.mix, LocalMix)


def test_samples_do_not_see_each_other():
    model = tiny()
    x = torch.randn(3, 9, 17, 2)
    alone = torch.cat([model(clip[None]) for clip in x])
    torch.testing.assert_close(model(x), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(arch='huge'), "unknown arch 'huge' of SasMamba"),
        (dict(arch='base', depth=3), 'SasMamba takes either arch or both'),
        (dict(arch='base', in_channels=4), 'SasMamba lifts 2D poses'),
        (dict(arch='base', kernel_size=2), 'must be odd and positive, got 2'),
        (dict(arch='base', structure_conv='dense'), "'graph' or None, got 'dense'"),
        (dict(arch='base', bones=[(0, 1)]), "bones are of structure_conv='graph'"),
        (
            dict(arch='base', num_joints=5, structure_conv='graph'),
            'over 5 joints needs their bones',
        ),
        (
            dict(arch='base', structure_conv='graph', bones=[(0, 17)]),
            r'bone \(0, 17\)',
        ),
        (dict(arch='base', stride_mode='mean'), "'sum' or 'split', got 'mean'"),
        (dict(arch='base', stride_grad='none'), "'full' or 'identity', got 'none'"),
        (
            dict(arch='base', stride_mode='split', stride_grad='identity'),
            "stride_grad='full'",
        ),
        (dict(arch='base', strides=(1, 0)), r'positive integers, got \(1, 0\)'),
        (dict(arch='base', strides=()), 'positive integers'),
        (dict(arch='base', scans=('spatial', 'up')), 'scans must hold'),
        (dict(arch='base', scans=('spatial', 'spatial')), 'scans must hold'),
        (dict(arch='base', scans=()), 'scans must hold'),
        (dict(arch='base', local_order=[0]), 'must hold 17 joint indices'),
    ],
)
def test_wrong_arguments_are_refused(kwargs, match):
    with torch.device('meta'), pytest.raises(ValueError, match=match):
        SasMamba(**kwargs)


def test_wrong_shapes_name_the_model():
    with pytest.raises(ValueError, match='SasMamba expects 2D joints'):
        tiny()(torch.zeros(1, 9, 16, 2))


def test_meta_device():
    with torch.device('meta'):
        model = SasMamba('base')
    x = torch.empty(2, 243, 17, 2, device='meta')
    assert model(x).shape == (2, 243, 17, 64)


def test_autocast_stays_close_to_full_precision():
    model = tiny()
    x = torch.randn(2, 9, 17, 2)
    with torch.autocast('cpu', torch.bfloat16):
        half = model(x)
    half.float().square().sum().backward()
    full = model(x)
    assert (half.float() - full).norm() / full.norm() < 0.05
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_double_precision():
    x = golden_input()
    single, double = tiny()(x), tiny().double()(x.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(
    _library.obstacle('cpu') is not None,
    reason='the reference op is a loop over all steps, which takes long to trace',
)
def test_compiles_into_one_graph_once_the_paths_are_made():
    model = tiny(depth=1)
    x = golden_input()
    expected = model(x)
    compiled = torch.compile(model, backend='aot_eager', fullgraph=True)(x)
    torch.testing.assert_close(compiled, expected)
