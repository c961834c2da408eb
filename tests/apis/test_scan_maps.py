"""Maps of scans: they are the scans, whatever the layer."""

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.apis.scan_maps import scan_layers, scan_map, trace_scan
from mmssm.models.backbones import DFMamba, PoseMamba, SasMamba, VMamba
from mmssm.models.layers import DSSM, GSSBlock, PathCache, cross_paths, cross_scan_block

LIFTER = dict(embed_dims=8, depth=1, num_frames=5, d_state=3)
IMAGE = dict(dims=(8, 8, 8, 8), depths=(1, 1, 1, 1, 1, 1), d_state=2)


def gss() -> nn.Module:
    paths = PathCache(cross_paths)
    blocks = [cross_scan_block(8, paths, d_state=2) for _ in range(2)]
    return GSSBlock(8, blocks, num_joints=6, bones=None, order=[5, 4, 3, 2, 1, 0])


MODELS_AND_INPUTS = {
    'PoseMamba': (lambda: PoseMamba(**LIFTER), (2, 5, 17, 2)),
    'PoseMamba, gradient as released': (
        lambda: PoseMamba(**LIFTER, local_grad='identity'),
        (1, 4, 17, 2),
    ),
    'PoseMamba, some scans': (
        lambda: PoseMamba(**LIFTER, scans=('spatial_back', 'temporal')),
        (1, 3, 17, 2),
    ),
    'PoseMamba, causal': (lambda: PoseMamba(**LIFTER, causal=True), (1, 4, 17, 2)),
    'SasMamba': (lambda: SasMamba(**LIFTER), (1, 4, 17, 2)),
    'SasMamba, split': (lambda: SasMamba(**LIFTER, stride_mode='split'), (1, 3, 17, 2)),
    'SasMamba, causal': (lambda: SasMamba(**LIFTER, causal=True), (1, 4, 17, 2)),
    'VMamba': (
        lambda: VMamba(embed_dims=8, depths=(1, 1), out_indices=(0, 1)),
        (1, 3, 30, 21),
    ),
    'DF-Mamba': (lambda: DFMamba(**IMAGE, offset_groups=2), (1, 3, 96, 80)),
    'DF-Mamba, plain scan': (lambda: DFMamba(**IMAGE, num_anchors=0), (1, 3, 96, 80)),
    'Hamba': (gss, (2, 7, 8)),
}


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    make, shape = MODELS_AND_INPUTS[name]
    model = make().double()
    for module in model.modules():
        if isinstance(module, DSSM):  # which begins as the plain scan
            nn.init.normal_(module.sample_weight, std=0.3)
    return model, torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize('name', MODELS_AND_INPUTS)
def test_the_map_applied_to_the_tokens_is_the_scan(name):
    model, inputs = build(name)
    for layer in scan_layers(model):
        found = scan_map(model, inputs, layer)
        assert found.residual < 1e-12
        rows, columns = found.size
        assert found.strength.shape == (len(inputs), *[rows * columns] * 2)
        assert (found.strength >= found.signed.abs() - 1e-12).all()


@pytest.mark.parametrize('name', ['PoseMamba', 'SasMamba, split', 'DF-Mamba'])
def test_rows_of_single_tokens_and_channels(name):
    model, inputs = build(name)
    layer = scan_layers(model)[-1]
    scan = trace_scan(model, inputs, layer)
    last = scan.x.shape[1] - 1
    rows = scan.rows(0, [0, last, 3])
    assert rows.shape == (3, *scan.x.shape[1:])
    y = torch.einsum('ije,je->ie', rows, scan.x[0])
    torch.testing.assert_close(y, scan.y[0, [0, last, 3]])
    whole = scan_map(model, inputs, layer)
    torch.testing.assert_close(rows.mean(-1), whole.signed[0, [0, last, 3]])


def test_single_precision_is_mapped_as_exactly_as_it_computes():
    model, inputs = build('SasMamba')
    found = scan_map(model.float(), inputs.float(), scan_layers(model)[0])
    assert found.signed.dtype == torch.float64
    assert found.residual < 1e-5


def test_a_causal_map_has_nothing_of_later_frames():
    model, inputs = build('PoseMamba, causal')
    found = scan_map(model, inputs, 'temporal_blocks.0.mixer')
    frames = found.among_rows()[0]
    assert torch.equal(frames, frames.tril())
    assert (frames.diagonal() > 0).all()
    both_ways = scan_map(*build('PoseMamba'), 'temporal_blocks.0.mixer')
    assert (both_ways.among_rows() > 0).all()


def test_shares_sum_to_one_over_what_is_read():
    found = scan_map(*build('PoseMamba'), 'spatial_blocks.0.mixer')
    strength = found.strength[1].view(5, 17, 5, 17)
    joints, frames = found.among_columns()[1], found.among_rows()[1]
    assert joints.shape == (17, 17) and frames.shape == (5, 5)
    for shares in (joints, frames, found.reads_of(20)[1].view(1, -1)):
        torch.testing.assert_close(shares.sum(-1), torch.ones(len(shares)).double())
    from_2_to_5 = strength[:, 5, :, 2].sum() / strength[:, 5].sum()
    assert joints[5, 2].item() == pytest.approx(from_2_to_5.item())
    from_4_to_1 = strength[1, :, 4].sum() / strength[1].sum()
    assert frames[1, 4].item() == pytest.approx(from_4_to_1.item())
    assert found.reads_of(20)[1, 1, 3].item() == pytest.approx(
        (strength[1, 3, 1, 3] / strength[1, 3].sum()).item()
    )


def test_a_look_leaves_no_trace():
    model, inputs = build('PoseMamba, gradient as released')
    model.train()
    scan_map(model, inputs, 'spatial_blocks.0.mixer')
    assert all(module.training for module in model.modules())
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    assert model.spatial_blocks[0].mixer.mix.grad == 'identity'
    assert all(parameter.grad is None for parameter in model.parameters())


def test_layers_of_estimators_go_by_their_ends():
    model = MODELS.build(
        dict(
            type='PoseLifter',
            backbone=dict(type='mmssm.PoseMamba', **LIFTER),
            head=dict(type='mmssm.LiftingHead', in_channels=8),
        )
    )
    found = scan_map(model, torch.randn(1, 2, 17, 2), 'spatial_blocks.0.mixer')
    assert found.name == 'backbone.spatial_blocks.0.mixer'
    done = []
    scan_map(model, torch.randn(1, 2, 17, 2), found.name, lambda *at: done.append(at))
    assert done[-1] == (34, 34)
    with pytest.raises(ValueError, match=r'end of more than one .*temporal_blocks'):
        scan_map(model, torch.randn(1, 2, 17, 2), 'mixer')
    with pytest.raises(ValueError, match=r"'head' is not one of .*spatial_blocks"):
        scan_map(model, torch.randn(1, 2, 17, 2), 'head')


def test_models_without_scans_and_layers_that_do_not_run_are_refused():
    with pytest.raises(ValueError, match='this Linear has no layer that scans'):
        scan_map(nn.Linear(2, 2), torch.zeros(1, 2), 'mixer')
    model = VMamba(embed_dims=8, depths=(1, 1), out_indices=(0,))
    with pytest.raises(ValueError, match=r'stages\.1\.0\.mixer did not run'):
        scan_map(model, torch.zeros(1, 3, 32, 32), 'stages.1.0.mixer')
