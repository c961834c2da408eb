"""Where deformable scans read images."""

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.apis import deform_samples
from mmssm.models.backbones import DFMamba
from mmssm.models.layers import DSSM

SMALL = dict(dims=(8, 16, 16, 32), depths=(1, 1, 2, 1, 1, 1), d_state=2)


def model_of(**kwargs):
    torch.manual_seed(0)
    return DFMamba(**SMALL, **kwargs)


def set_bias(model, k, offset, weight):
    """Anchor ``k`` of every layer: one offset (rows, columns) and one weight."""
    for layer in model.modules():
        if isinstance(layer, DSSM):
            anchors = len(layer.anchors)
            with torch.no_grad():
                layer.sample_bias[2 * k : 2 * k + 2] = torch.tensor(offset)
                layer.sample_bias[2 * anchors + k] = weight


def test_places_are_pixels_of_the_image():
    model = model_of()
    set_bias(model, k=1, offset=(0.5, -0.25), weight=-3.0)
    found = deform_samples(model, torch.randn(2, 3, 70, 64))
    assert [layer.stride for layer in found] == [16, 16, 32]
    assert [layer.name for layer in found] == [
        'stages.2.blocks.0.mixer.ssm',
        'stages.2.blocks.1.mixer.ssm',
        'stages.4.blocks.0.mixer.ssm',
    ]
    layer = found[0]
    assert layer.tokens.shape == (5, 4, 2)
    assert layer.positions.shape == (2, 5, 4, 1, 9, 2)
    assert layer.weights.shape == (2, 5, 4, 1, 9)
    assert layer.tokens[3, 2].tolist() == [32, 48]
    # Anchor 1 is straight above its token.
    x, y = layer.positions[1, 3, 2, 0, 1].tolist()
    assert x == pytest.approx(32 - 16 * 0.25) and y == pytest.approx(48 - 16 + 8)
    assert layer.weights[1, 3, 2, 0].tolist() == pytest.approx(
        [0, -3, 0, 0, 1, *[0] * 4]
    )


def test_a_token_stands_where_it_sees_the_image():
    """The gradient of a token's stem and stage lies around its place."""
    model = model_of(blocks='CCCCCC', out_indices=(2,)).eval()
    image = torch.randn(1, 3, 129, 129, requires_grad=True)
    features = model(image)[0]
    features[0, :, 4, 2].square().sum().backward()
    seen = image.grad.abs().sum((0, 1))
    rows, columns = torch.arange(129.0), torch.arange(129.0)
    centre = (seen.sum(1) @ rows / seen.sum(), seen.sum(0) @ columns / seen.sum())
    assert centre[0].item() == pytest.approx(4 * 16, abs=3)
    assert centre[1].item() == pytest.approx(2 * 16, abs=3)


def test_they_are_what_the_layers_predict():
    model = model_of(offset_groups=2)
    for layer in model.modules():
        if isinstance(layer, DSSM):
            nn.init.normal_(layer.sample_weight)
    kept = {}
    layer = model.stages[4].blocks[0].mixer.ssm
    handle = layer.register_forward_hook(lambda _, args, __: kept.update(x=args[0]))
    images = torch.randn(1, 3, 64, 64)
    model.eval()(images)
    handle.remove()
    offset, weight = layer.samples(kept['x'].flatten(1, 2))
    found = deform_samples(model, images)[-1]
    torch.testing.assert_close(found.weights.flatten(1, 2), weight)
    own = found.tokens[:, :, None, None] + 32 * layer.anchors.flip(-1)
    torch.testing.assert_close(
        (found.positions - own).flatten(1, 2) / 32, offset.flip(-1)
    )


def test_a_look_leaves_no_trace():
    model = model_of().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    deform_samples(model, torch.randn(2, 3, 64, 64))
    assert model.training and model.stages[0].blocks[0].norm1.training
    assert all(v.equal(before[name]) for name, v in model.state_dict().items())
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_estimators_have_a_backbone():
    model = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            backbone=dict(type='mmssm.DFMamba', **SMALL, out_indices=(3,)),
            head=dict(
                type='HeatmapHead',
                in_channels=16,
                out_channels=21,
                deconv_out_channels=(8,),
                deconv_kernel_sizes=(4,),
            ),
        )
    )
    # Stage 5 does not run where no map of it is asked for.
    assert len(deform_samples(model, torch.randn(1, 3, 64, 64))) == 2


def test_models_without_deformable_scans_are_refused():
    images = torch.randn(1, 3, 64, 64)
    with pytest.raises(ValueError, match='this Linear has no DFMamba'):
        deform_samples(nn.Linear(2, 2), images)
    with pytest.raises(ValueError, match='no deformable scan'):
        deform_samples(model_of(num_anchors=0), images)
