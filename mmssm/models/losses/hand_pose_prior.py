"""An adversarial prior of hand poses and shapes."""

from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.registry import DATASETS, MODELS


@MODELS.register_module()
class HandPosePrior(nn.Module):
    r"""Tells predicted hand poses and shapes from those of real hands.

    A discriminator on the parameters of a hand model, as HMR has for bodies: each
    joint's rotation goes through the same two layers, then each joint, all joints
    together, and the shape are judged apart, 17 judgements for a hand of 15 joints
    and 1,545,211 weights. Images have no part in it, so real hands need none.

    With judgements :math:`D_k`, 1 for real and 0 for predicted hands, the losses
    are those of least squares, sums over k, means over the batch:

    - of the network: :math:`\sum_k (D_k(p) - 1)^2`, times ``loss_weight``;
    - of the prior: :math:`\sum_k D_k(p)^2 + \sum_k (D_k(r) - 1)^2`.

    It is trained by :class:`mmssm.HandMeshEstimator`.

    Args:
        poses: Config of a data set of real hands such as
            :class:`mmssm.HandPoseDataset`, with ``draw(count)``. It is built when
            it is first needed, which is in training alone.
        num_joints: Joints with a rotation, without the wrist.
        num_betas: Shape coefficients.
        loss_weight: Weight of the network's loss.

    Source:
        Kanazawa et al., "End-to-end Recovery of Human Shape and Pose" (HMR), for
        hands as in HaMeR and Hamba (appendix A.2).
    """

    def __init__(
        self,
        poses: dict | None = None,
        num_joints: int = 15,
        num_betas: int = 10,
        loss_weight: float = 0.0005,
    ) -> None:
        super().__init__()
        self.poses_cfg = poses
        self.num_joints = num_joints
        self.loss_weight = loss_weight
        width, joint_width, wide = 9, 32, 1024
        self.joints = nn.Sequential(
            nn.Linear(width, joint_width),
            nn.ReLU(),
            nn.Linear(joint_width, joint_width),
            nn.ReLU(),
        )
        self.joint_judges = nn.ModuleList(
            nn.Linear(joint_width, 1) for _ in range(num_joints)
        )
        self.pose_judge = nn.Sequential(
            nn.Linear(num_joints * joint_width, wide),
            nn.ReLU(),
            nn.Linear(wide, wide),
            nn.ReLU(),
            nn.Linear(wide, 1),
        )
        self.shape_judge = nn.Sequential(
            nn.Linear(num_betas, 10),
            nn.ReLU(),
            nn.Linear(10, 5),
            nn.ReLU(),
            nn.Linear(5, 1),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    @cached_property
    def poses(self):
        """The data set of real hands."""
        if self.poses_cfg is None:
            raise ValueError(
                'HandPosePrior needs real hands to train: set '
                "poses=dict(type='mmssm.HandPoseDataset', ann_file=...)"
            )
        return DATASETS.build(self.poses_cfg)

    def forward(self, hand_pose: Tensor, betas: Tensor) -> Tensor:
        """Judges hands.

        Args:
            hand_pose: ``(N, num_joints, 3, 3)`` rotations without the wrist's.
            betas: ``(N, num_betas)``.

        Returns:
            ``(N, num_joints + 2)``: of each joint, of the shape, of the pose; near 1
            for real hands.

        Raises:
            ValueError: Another number of joints.
        """
        if hand_pose.shape[1:] != (self.num_joints, 3, 3):
            raise ValueError(
                f'hand_pose must have shape (N, {self.num_joints}, 3, 3), got '
                f'{tuple(hand_pose.shape)}; set num_joints of HandPosePrior to the '
                "hand model's number of rotations without the wrist's"
            )
        joints = self.joints(hand_pose.flatten(2))
        judged = [judge(joints[:, j]) for j, judge in enumerate(self.joint_judges)]
        judged += [self.shape_judge(betas), self.pose_judge(joints.flatten(1))]
        return torch.cat(judged, 1)

    def adversarial_loss(self, hand_pose: Tensor, betas: Tensor) -> Tensor:
        """The network's loss; the prior's weights get no gradient of it."""
        weights = {name: weight.detach() for name, weight in self.named_parameters()}
        judged = functional_call(self, weights, (hand_pose, betas))
        return self.loss_weight * _squares(judged - 1)

    def discriminator_loss(self, hand_pose: Tensor, betas: Tensor) -> dict[str, Tensor]:
        """The prior's losses, with as many real hands drawn at random.

        Args:
            hand_pose: ``(N, num_joints, 3, 3)`` predicted rotations, detached.
            betas: ``(N, num_betas)`` predicted shapes, detached.

        Returns:
            ``prior_loss_fake`` and ``prior_loss_real``.
        """
        real_pose, real_betas = self.poses.draw(len(betas))
        rotations = axis_angle_to_matrix(real_pose.unflatten(1, (-1, 3))[:, 1:])
        return {
            'prior_loss_fake': _squares(self(hand_pose, betas)),
            'prior_loss_real': _squares(
                self(rotations.to(hand_pose), real_betas.to(betas)) - 1
            ),
        }


def _squares(judged: Tensor) -> Tensor:
    return judged.float().square().sum() / max(len(judged), 1)
