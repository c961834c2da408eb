import numpy as np
import pytest
import roma
import torch

from mmssm.models.losses import HandPosePrior
from mmssm.registry import DATASETS, MODELS


def hands(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turns = torch.randn(count, 15, 3, generator=generator)
    return roma.rotvec_to_rotmat(turns), torch.randn(count, 10, generator=generator)


def poses_file(folder, count=20, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        'hand_pose': rng.normal(0, 0.5, (count, 48)).astype(np.float32),
        'betas': rng.normal(size=(count, 10)).astype(np.float32),
    } | changes
    path = folder / 'poses.npz'
    np.savez(path, **{key: a for key, a in arrays.items() if a is not None})
    return str(path)


def prior(folder, **more):
    poses = dict(type='mmssm.HandPoseDataset', ann_file=poses_file(folder))
    return MODELS.build(dict(type='mmssm.HandPosePrior', poses=poses, **more))


def test_its_size_is_the_papers():
    model = HandPosePrior()
    parts = [9 * 32 + 32, 32 * 32 + 32, 15 * 33]
    parts += [10 * 10 + 10, 10 * 5 + 5, 5 + 1]
    parts += [480 * 1024 + 1024, 1024 * 1024 + 1024, 1024 + 1]
    assert sum(p.numel() for p in model.parameters()) == sum(parts) == 1_545_211


def test_it_judges_joints_shape_and_pose_apart():
    model = HandPosePrior()
    pose, betas = hands()
    judged = model(pose, betas)
    assert judged.shape == (3, 17)
    other = pose.clone()
    other[:, 4] = torch.eye(3)
    changed = (model(other, betas) != judged).any(0)
    assert changed.nonzero().flatten().tolist() == [4, 16]
    changed = (model(pose, betas + 1) != judged).any(0)
    assert changed.nonzero().flatten().tolist() == [15]


def test_every_joint_has_the_same_features():
    """The network written out with a convolution over joints, as HMR has it."""
    model = HandPosePrior()
    pose, betas = hands()
    first, second = model.joints[0], model.joints[2]
    maps = pose.flatten(2).transpose(1, 2)
    for layer in (first, second):
        maps = torch.conv1d(maps, layer.weight[..., None], layer.bias).relu()
    judged = model(pose, betas)
    for j, judge in enumerate(model.joint_judges):
        torch.testing.assert_close(judged[:, j : j + 1], judge(maps[..., j]))


def test_the_losses_are_least_squares(tmp_path):
    model = prior(tmp_path, loss_weight=0.25)
    pose, betas = hands()
    judged = model(pose, betas).detach()
    expected = 0.25 * (judged - 1).square().sum() / 3
    torch.testing.assert_close(model.adversarial_loss(pose, betas).detach(), expected)
    torch.manual_seed(3)
    found = model.discriminator_loss(pose, betas)
    torch.manual_seed(3)
    real_pose, real_betas = model.poses.draw(3)
    turns = roma.rotvec_to_rotmat(real_pose.view(3, 16, 3)[:, 1:])
    real = (model(turns, real_betas) - 1).square().sum() / 3
    torch.testing.assert_close(found['prior_loss_real'], real)
    torch.testing.assert_close(found['prior_loss_fake'], judged.square().sum() / 3)


def test_the_networks_loss_reaches_the_hands_and_not_the_prior(tmp_path):
    model = prior(tmp_path)
    pose, betas = hands()
    pose.requires_grad_()
    betas.requires_grad_()
    model.adversarial_loss(pose, betas).backward()
    assert pose.grad.any() and betas.grad.any()
    assert all(p.grad is None for p in model.parameters())
    sum(model.discriminator_loss(pose.detach(), betas.detach()).values()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_it_learns_to_tell_hands_apart(tmp_path):
    torch.manual_seed(0)
    model = prior(tmp_path)
    pose, betas = torch.eye(3).expand(16, 15, 3, 3), torch.zeros(16, 10)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = sum(model.discriminator_loss(pose, betas).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]


def test_hands_of_another_number_of_joints():
    model = HandPosePrior(num_joints=3, num_betas=4)
    pose = torch.eye(3).expand(2, 3, 3, 3)
    assert model(pose, torch.zeros(2, 4)).shape == (2, 5)
    with pytest.raises(ValueError, match=r'\(N, 15, 3, 3\)'):
        HandPosePrior()(pose, torch.zeros(2, 10))


def test_without_real_hands_it_cannot_learn():
    with pytest.raises(ValueError, match='needs real hands'):
        HandPosePrior().discriminator_loss(*hands())


def test_the_file_is_read_when_it_is_needed():
    poses = dict(type='mmssm.HandPoseDataset', ann_file='nowhere/poses.npz')
    model = HandPosePrior(poses)
    assert model.adversarial_loss(*hands()).isfinite()
    with pytest.raises(FileNotFoundError, match=r'nowhere/poses\.npz'):
        model.discriminator_loss(*hands())


def read(path):
    return DATASETS.build(dict(type='mmssm.HandPoseDataset', ann_file=path))


def test_poses_are_drawn_in_pairs(tmp_path):
    data = read(poses_file(tmp_path))
    assert len(data) == 20 and data[3]['hand_pose'].shape == (48,)
    pose, betas = data.draw(500)
    rows = {tuple(row.tolist()): i for i, row in enumerate(data.hand_pose)}
    chosen = [rows[tuple(row.tolist())] for row in pose]
    assert set(chosen) == set(range(20))
    torch.testing.assert_close(betas, data.betas[chosen])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(betas=None), "'betas'|betas"),
        (dict(betas=np.zeros((3, 10))), 'betas of shape'),
        (dict(hand_pose=np.zeros((20, 47))), 'three numbers a joint'),
        (dict(hand_pose=np.full((20, 48), np.nan)), 'hand_pose is NaN'),
        (dict(hand_pose=np.array(['a'] * 20)), 'hand_pose'),
        (dict(betas=np.array([object()] * 20)), 'pickled objects'),
        (dict(hand_pose=np.zeros((0, 48)), betas=np.zeros((0, 10))), 'found'),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, changes, message):
    path = poses_file(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert path in str(error.value)
