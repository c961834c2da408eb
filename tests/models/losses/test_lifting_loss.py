"""LiftingLoss against closed forms."""

import pytest
import torch

from mmssm.registry import MODELS


def build(**kwargs):
    weights = dict(mpjpe=0.0, n_mpjpe=0.0, velocity=0.0, temporal_consistency=0.0)
    return MODELS.build(dict(type='mmssm.LiftingLoss', **{**weights, **kwargs}))


@pytest.fixture
def clips():
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(2, 5, 4, 3, generator=generator, dtype=torch.float64)
    target = torch.randn(2, 5, 4, 3, generator=generator, dtype=torch.float64)
    return output, target


def test_mpjpe_of_a_shift_is_its_length(clips):
    _, target = clips
    shift = torch.tensor([3.0, 0.0, 4.0])
    assert build(mpjpe=2.0)(target + shift, target) == pytest.approx(10.0)


def test_n_mpjpe_forgives_a_scale_per_frame_but_not_a_shift(clips):
    _, target = clips
    scale = torch.linspace(0.5, 2.0, 5).view(1, 5, 1, 1)
    loss = build(n_mpjpe=1.0)
    assert loss(scale * target, target) == pytest.approx(0.0, abs=1e-12)
    # One joint at (1, 0), target (1, 1): the best scale is 1, the rest is 1.
    output = torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 1, 3)
    target = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
    assert loss(output, target) == pytest.approx(1.0)


def test_n_mpjpe_of_a_pose_of_zeros_has_finite_gradients(clips):
    _, target = clips
    output = torch.zeros_like(target, requires_grad=True)
    loss = build(n_mpjpe=1.0)(output, target)
    loss.backward()
    assert loss.item() == pytest.approx(target.norm(dim=-1).mean().item())
    assert output.grad.isfinite().all()


def test_velocity_sees_motion_not_place(clips):
    _, target = clips
    drift = torch.arange(5.0).view(1, 5, 1, 1) * torch.tensor([0.0, 3.0, 4.0])
    loss = build(velocity=1.0)
    assert loss(target + 7, target) == pytest.approx(0.0, abs=1e-12)
    assert loss(target + drift, target) == pytest.approx(5.0)


def test_temporal_consistency_weighs_joints_and_ignores_the_target(clips):
    _, target = clips
    weights = [1.0, 2.0, 0.0, 5.0]
    loss = build(temporal_consistency=1.0, joint_weights=weights)
    output = torch.arange(5.0).view(1, 5, 1, 1).expand(2, 5, 4, 3)
    # Every coordinate moves by one per frame: the mean of the weights is left.
    assert loss(output, target) == pytest.approx(2.0)
    assert loss(output, -target) == pytest.approx(2.0)


def test_terms_are_weighted_and_sum_up(clips):
    output, target = clips
    weights = dict(mpjpe=1.0, n_mpjpe=0.5, velocity=20.0, temporal_consistency=0.5)
    loss = build(**weights)
    terms = loss.terms(output, target)
    assert list(terms) == list(weights)
    for name, weight in weights.items():
        alone = build(**{name: 1.0})(output, target)
        assert terms[name] == pytest.approx(weight * alone.item())
    assert loss(output, target) == pytest.approx(sum(terms.values()).item())


def test_without_tc_and_weights_it_is_the_loss_of_mmpose(clips):
    output, target = clips
    theirs = MODELS.build(dict(type='mmpose.MPJPEVelocityJointLoss'))
    ours = build(mpjpe=1.0, n_mpjpe=0.5, velocity=20.0)
    assert ours(output, target) == pytest.approx(theirs(output, target).item())


@pytest.mark.parametrize('term', ['mpjpe', 'n_mpjpe', 'velocity'])
def test_a_frame_without_weight_does_not_count(clips, term):
    output, target = clips
    loss = build(**{term: 1.0}, use_target_weight=True)
    weight = torch.ones(2, 5, 4)
    weight[:, 4] = 0
    cut = loss(output[:, :4], target[:, :4], weight[:, :4])
    output[:, 4] = 100.0
    assert loss(output, target, weight) == pytest.approx(cut.item())
    assert loss(output, target, weight.unsqueeze(-1)) == pytest.approx(cut.item())


def test_a_velocity_needs_both_its_frames(clips):
    output, target = clips
    loss = build(velocity=1.0, use_target_weight=True)
    weight = torch.ones(2, 5, 4)
    weight[:, 2] = 0
    error = (output.diff(dim=1) - target.diff(dim=1)).norm(dim=-1)
    expected = error[:, [0, 3]].mean().item()
    assert loss(output, target, weight) == pytest.approx(expected)


@pytest.mark.parametrize(
    'term', ['mpjpe', 'n_mpjpe', 'velocity', 'temporal_consistency']
)
def test_a_mean_over_nothing_is_zero(clips, term):
    output, target = (clip[:, :1].requires_grad_() for clip in clips)
    loss = build(**{term: 1.0}, use_target_weight=True)
    value = loss(output, target, torch.zeros(2, 1, 4))
    value.backward()
    assert value == 0
    assert output.grad.isfinite().all()


def test_gradients(clips):
    output, target = clips
    loss = build(mpjpe=1.0, n_mpjpe=0.5, velocity=20.0, temporal_consistency=0.5)
    assert torch.autograd.gradcheck(
        lambda x: loss(x, target), output.clone().requires_grad_()
    )


def test_bad_input_is_named(clips):
    output, target = clips
    with pytest.raises(ValueError, match='every weight'):
        build()
    with pytest.raises(ValueError, match='one shape'):
        build(mpjpe=1.0)(output, target[:, :4])
    with pytest.raises(ValueError, match='needs target_weight'):
        build(mpjpe=1.0, use_target_weight=True)(output, target)
    with pytest.raises(ValueError, match='target_weight must have shape'):
        build(mpjpe=1.0, use_target_weight=True)(output, target, torch.ones(2, 4))
    with pytest.raises(ValueError, match='joint_weights of 17 joints'):
        build(temporal_consistency=1.0, joint_weights=[1.0] * 17)(output, target)


def test_weighted_mpjpe_is_not_divided_by_the_weights(clips):
    _, target = clips
    shift = torch.tensor([3.0, 0.0, 4.0])
    loss = build(weighted_mpjpe=2.0, joint_weights=[1.0, 2.0, 0.0, 5.0])
    assert loss(target + shift, target) == pytest.approx(2 * 5 * (1 + 2 + 5) / 4)
    plain, output = build(weighted_mpjpe=1.0), clips[0]
    assert plain(output, target) == pytest.approx(
        build(mpjpe=1.0)(output, target).item()
    )
