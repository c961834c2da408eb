"""PoseMamba: golden numbers, counts, and what it takes and refuses."""

import pytest
import torch
from helpers import official_posemamba
from helpers.official_posemamba import golden, golden_input, shapes
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.models.backbones import PoseMamba
from mmssm.ops import _library

CHAIN = [0, 0, 1, 2, 3]


def tiny(**kwargs):
    torch.manual_seed(0)
    defaults = dict(embed_dims=16, depth=2, num_frames=9)
    return PoseMamba(**{**defaults, **kwargs}).eval()


@pytest.fixture(scope='module')
def converter():
    return official_posemamba.converter('posemamba')


@pytest.fixture(params=['identity', 'full'])
def golden_model(request, converter):
    weights = golden()
    config = converter.model_config(weights)
    config['backbone']['local_grad'] = request.param
    model = MODELS.build(config).eval()
    model.load_state_dict(converter.convert_weights(weights, config))
    return request.param, model


def close(expected):
    return pytest.approx(expected, abs=2e-6, rel=2e-6)


def test_golden_outputs(golden_model):
    _, model = golden_model
    y = model.head(model.backbone(golden_input()))
    assert y.sum().item() == pytest.approx(-285.325712, abs=1e-3)
    assert y.abs().mean().item() == close(0.4914265)
    expected = {
        (0, 0, 0): (-0.278995, -0.725412, -0.205130),
        (0, 4, 7): (-0.757113, -0.898790, 0.202595),
        (0, 8, 16): (-0.885524, -0.827675, 0.359879),
        (1, 0, 10): (-0.646714, -0.618742, 0.205898),
        (1, 8, 3): (-0.704391, -0.871048, 0.161136),
    }
    for place, joint in expected.items():
        assert y[place].tolist() == close(joint)


def test_golden_outputs_of_a_shorter_clip(golden_model):
    _, model = golden_model
    y = model.head(model.backbone(golden_input()[:, :5]))
    assert y.sum().item() == pytest.approx(-162.822165, abs=1e-3)
    assert y[0, 2, 5].tolist() == close((-0.618682, 0.166392, 0.496638))


def test_golden_gradients(golden_model):
    local_grad, model = golden_model
    y = model.head(model.backbone(golden_input()))
    loss = y.square().mean()
    loss.backward()
    assert loss.item() == close(0.3255077)
    expected = {
        'embed.weight': (0.0988113, 0.1021263),
        'spatial_blocks.0.mixer.in_proj.weight': (0.0812040, 0.0842467),
        'spatial_blocks.1.mixer.s6.x_proj': (0.0107694, 0.0104873),
        'temporal_blocks.1.mixer.s6.A_log': (0.00279534, 0.00279534),
    }
    parameters = dict(model.backbone.named_parameters())
    for name, norms in expected.items():
        norm = norms[0] if local_grad == 'identity' else norms[1]
        assert parameters[name].grad.norm().item() == pytest.approx(norm, rel=2e-5)


@pytest.mark.parametrize(
    'arch, embed_dims, depth, count',
    [
        ('small', 64, 10, 1_470_211),
        ('base', 128, 10, 4_742_659),
        ('large', 128, 20, 9_450_499),
        ('xlarge', 256, 20, 33_318_915),
    ],
)
def test_counts_of_the_paper(arch, embed_dims, depth, count):
    with torch.device('meta'):
        by_name = PoseMamba(arch)
        by_size = PoseMamba(embed_dims=embed_dims, depth=depth)
        head = MODELS.build(dict(type='mmssm.LiftingHead', in_channels=embed_dims))
    parameters = [*by_name.parameters(), *head.parameters()]
    assert sum(p.numel() for p in parameters) == count
    assert len(parameters) == len(shapes(embed_dims, depth, 243))
    shapes_of = {name: p.shape for name, p in by_name.named_parameters()}
    assert shapes_of == {name: p.shape for name, p in by_size.named_parameters()}


def test_drop_path_rises_linearly_over_the_pairs():
    model = PoseMamba(embed_dims=16, depth=5, drop_path_rate=0.2)
    for blocks in (model.spatial_blocks, model.temporal_blocks):
        rates = [block.drop_path.drop_prob for block in blocks]
        assert rates == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert PoseMamba(embed_dims=16, depth=1).spatial_blocks[0].drop_path.drop_prob == 0


def test_position_tables_start_at_zero():
    model = tiny()
    assert not model.joint_pos.any() and not model.frame_pos.any()


def test_confidence_is_left_out_with_two_channels_and_used_with_three():
    x = torch.randn(2, 9, 17, 3)
    two, three = tiny(), tiny(in_channels=3)
    changed = x + torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(two(x), two(x[..., :2]))
    torch.testing.assert_close(two(x), two(changed))
    assert not torch.allclose(three(x), three(changed))


def test_samples_do_not_see_each_other():
    model = tiny()
    x = torch.randn(3, 9, 17, 2)
    alone = torch.cat([model(clip[None]) for clip in x])
    torch.testing.assert_close(model(x), alone, rtol=1e-5, atol=1e-5)


def test_every_token_is_seen_from_every_output():
    model = tiny()
    x = torch.randn(1, 4, 17, 2, requires_grad=True)
    for frame, joint in [(0, 0), (3, 16)]:
        (gradient,) = torch.autograd.grad(model(x)[0, frame, joint].square().sum(), x)
        assert (gradient.abs().sum(-1) > 0).all()


def test_another_skeleton_brings_its_own_local_order():
    model = tiny(num_joints=5, local_order=CHAIN)
    assert model(torch.randn(2, 9, 5, 2)).shape == (2, 9, 5, 16)
    other = tiny(num_joints=5, local_order=[0, 1, 2, 3, 4])
    other.load_state_dict(model.state_dict())
    x = torch.randn(1, 9, 5, 2)
    assert not torch.allclose(model(x), other(x))


def test_longer_clips_stretch_the_table_only_where_asked():
    model = tiny(interpolate_frames=True)
    with torch.no_grad():
        model.frame_pos.copy_(torch.arange(9.0).view(1, 9, 1).expand(1, 9, 16))
    stretched = model._frame_table(17)[0, :, 0]
    torch.testing.assert_close(stretched, torch.arange(17) / 2)
    assert model(torch.randn(1, 17, 17, 2)).shape == (1, 17, 17, 16)
    with pytest.raises(ValueError, match=r'10 frames.*9.*interpolate_frames'):
        tiny()(torch.randn(1, 10, 17, 2))


@pytest.mark.parametrize(
    'shape', [(9, 17, 2), (1, 9, 16, 2), (1, 9, 17, 4), (1, 9, 17, 1), (1, 0, 17, 2)]
)
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ValueError, match='PoseMamba'):
        tiny()(torch.zeros(shape))


def test_three_channels_need_the_confidence():
    with pytest.raises(ValueError, match=r'17, 3\), got \(1, 9, 17, 2\)'):
        tiny(in_channels=3)(torch.zeros(1, 9, 17, 2))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_missing_joint_is_pointed_at(value):
    x = torch.zeros(2, 9, 17, 2)
    x[1, 4, 7, 0] = value
    with pytest.raises(ValueError, match='clip 1, frame 4, joint 7'):
        tiny()(x)


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(arch='huge'), "unknown arch 'huge'"),
        (dict(arch='small', depth=3), 'either arch or both'),
        (dict(embed_dims=16), 'either arch or both'),
        (dict(), 'either arch or both'),
        (dict(arch='small', num_joints=5), 'needs its own local_order'),
        (dict(arch='small', local_order=[0, 1]), 'must hold 17 joint indices'),
        (dict(arch='small', local_order=[17] * 17), 'from 0 to 16'),
        (dict(arch='small', in_channels=4), 'in_channels must be 2'),
        (dict(arch='small', local_grad='none'), 'local_grad must be'),
    ],
)
def test_wrong_arguments_are_refused(kwargs, match):
    with torch.device('meta'), pytest.raises(ValueError, match=match):
        PoseMamba(**kwargs)


def test_train_and_eval_return_the_model():
    model = tiny()
    assert model.train() is model and model.training
    assert model.eval() is model and not model.training


def test_meta_device():
    with torch.device('meta'):
        model = PoseMamba('small')
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
    whole = torch.compile(model, backend='aot_eager', fullgraph=True)
    compiled = whole(x)
    torch.testing.assert_close(compiled, expected)
    parameters = list(model.parameters())
    for found, wanted in zip(
        torch.autograd.grad(compiled.square().mean(), parameters),
        torch.autograd.grad(expected.square().mean(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)
    # A new size makes its paths outside the graph.
    broken = torch.compile(model, backend='aot_eager')
    torch.testing.assert_close(broken(x[:, :5]), model(x[:, :5]))


def test_without_local_order_all_scans_read_the_features():
    plain, mixed = tiny(local_scan=False), tiny()
    plain.load_state_dict(mixed.state_dict())
    x = golden_input()
    assert not torch.allclose(plain(x), mixed(x), atol=1e-3)
    assert plain.spatial_blocks[0].mixer.mix is None


@pytest.mark.parametrize(
    'scans, seen',
    [
        (('spatial',), 'before'),
        (('temporal',), 'before'),
        (('spatial_back',), 'after'),
        (('temporal_back',), 'after'),
    ],
)
def test_one_path_sees_one_side(scans, seen):
    """Through a scan alone; the convolution sees one neighbour more."""
    model = tiny(depth=1, local_scan=False, scans=scans)
    mixer = model.spatial_blocks[0].mixer
    mixer.conv = torch.nn.Identity()
    x = torch.randn(1, 6, 17, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(mixer(x)[0, 3, 8].sum(), x)
    frames, joints = torch.nonzero(gradient[0].abs().sum(-1)).T
    along = frames * 17 + joints if 'spatial' in scans[0] else joints * 6 + frames
    here = 3 * 17 + 8 if 'spatial' in scans[0] else 8 * 6 + 3
    if seen == 'before':
        assert along.max() == here and along.min() == 0
    else:
        assert along.min() == here and along.max() == 6 * 17 - 1


def test_unknown_scans_are_refused():
    with pytest.raises(ValueError, match=r"scans must hold .*got \['up'\]"):
        PoseMamba('small', scans=['up'])
