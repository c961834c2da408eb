"""Losses of 2D-to-3D lifters that see a whole clip."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmssm.registry import MODELS


@MODELS.register_module()
class LiftingLoss(nn.Module):
    r"""Weighted sum of the losses that PoseMamba and SasMamba are trained with.

    With prediction ``p`` and target ``g``, both root-relative:

    - MPJPE: mean of ``|p - g|``;
    - N-MPJPE: the same after ``p`` is scaled, in each frame, by
      ``<p, g> / <p, p>`` (the paper's 2D loss);
    - velocity: mean of ``|(p[t+1] - p[t]) - (g[t+1] - g[t])|``;
    - temporal consistency: mean over frames, joints and coordinates of
      ``w_j (p[t+1] - p[t])^2``; it does not look at the target;
    - weighted MPJPE: mean of ``w_j |p - g|``, not divided by the mean of ``w``.

    MMPose's ``MPJPEVelocityJointLoss`` has neither the temporal consistency
    term nor joint weights, logs only the sum, and cannot use target weights:
    it multiplies ``T - 1`` velocities with the weights of ``T`` frames. Here a
    weight of a joint in a frame enters every mean over frames as a weighted
    mean, a velocity takes the product of its two frames' weights, and a mean
    over nothing is zero.

    Args:
        mpjpe: Weight of MPJPE.
        n_mpjpe: Weight of N-MPJPE.
        velocity: Weight of the velocity loss.
        temporal_consistency: Weight of the temporal consistency loss.
        joint_weights: ``w_j`` of the temporal consistency loss and the weighted
            MPJPE. Default: ones.
        use_target_weight: Whether ``target_weight`` is used.
        weighted_mpjpe: Weight of the weighted MPJPE.

    Source:
        Huang et al., PoseMamba, Eq. 11 with the weights of the released code;
        Hossain and Little (ECCV 2018) for the temporal consistency; Zhang et al.,
        MixSTE (CVPR 2022) for the weighted MPJPE.
    """

    def __init__(
        self,
        mpjpe: float = 1.0,
        n_mpjpe: float = 0.5,
        velocity: float = 20.0,
        temporal_consistency: float = 0.5,
        joint_weights: Sequence[float] | None = None,
        use_target_weight: bool = False,
        weighted_mpjpe: float = 0.0,
    ) -> None:
        super().__init__()
        self.weights = {
            'mpjpe': mpjpe,
            'n_mpjpe': n_mpjpe,
            'velocity': velocity,
            'temporal_consistency': temporal_consistency,
            'weighted_mpjpe': weighted_mpjpe,
        }
        if not any(self.weights.values()):
            raise ValueError('every weight of LiftingLoss is zero')
        self.use_target_weight = use_target_weight
        self.joint_weights: Tensor | None
        self.register_buffer(
            'joint_weights',
            None if joint_weights is None else torch.tensor(joint_weights),
            persistent=False,
        )

    def forward(
        self, output: Tensor, target: Tensor, target_weight: Tensor | None = None
    ) -> Tensor:
        """Computes the weighted sum.

        Args:
            output: Predicted joints ``(N, T, J, 3)``, root-relative.
            target: True joints, same shape.
            target_weight: Weights ``(N, T, J)`` or ``(N, T, J, 1)``.

        Returns:
            A scalar.

        Raises:
            ValueError: If shapes do not fit, or the weights are missing where
                ``use_target_weight`` is set.
        """
        return torch.stack(
            list(self.terms(output, target, target_weight).values())
        ).sum()

    def terms(
        self, output: Tensor, target: Tensor, target_weight: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Computes the terms of non-zero weight, each times its weight.

        Args and errors are those of :meth:`forward`.

        Returns:
            Scalars by the names ``mpjpe``, ``n_mpjpe``, ``velocity``,
            ``temporal_consistency``, ``weighted_mpjpe``.
        """
        weight = self._joint_frame_weight(output, target, target_weight)
        functions = {
            'mpjpe': lambda: _mean_distance(output, target, weight),
            'n_mpjpe': lambda: _n_mpjpe(output, target, weight),
            'velocity': lambda: _mean_distance(
                output.diff(dim=1), target.diff(dim=1), weight[:, 1:] * weight[:, :-1]
            ),
            'temporal_consistency': lambda: self._temporal_consistency(output),
            'weighted_mpjpe': lambda: self._weighted_mpjpe(output, target, weight),
        }
        return {
            name: self.weights[name] * function()
            for name, function in functions.items()
            if self.weights[name]
        }

    def _temporal_consistency(self, output: Tensor) -> Tensor:
        change = output.diff(dim=1).square()
        if self.joint_weights is not None:
            change = change * self.joint_weights.to(change)[:, None]
        return change.sum() / max(change.numel(), 1)

    def _weighted_mpjpe(self, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(output - target, dim=-1)
        if self.joint_weights is not None:
            distance = distance * self.joint_weights.to(distance)
        return _weighted_mean(distance, weight)

    def _joint_frame_weight(
        self, output: Tensor, target: Tensor, target_weight: Tensor | None
    ) -> Tensor:
        """Checks the shapes and gives the weights ``(N, T, J)``."""
        if output.ndim != 4 or output.shape != target.shape:
            raise ValueError(
                'LiftingLoss expects prediction and target of one shape (clips, '
                f'frames, joints, coordinates), got {tuple(output.shape)} and '
                f'{tuple(target.shape)}'
            )
        joints = output.shape[2]
        if self.joint_weights is not None and len(self.joint_weights) != joints:
            raise ValueError(
                f'LiftingLoss has joint_weights of {len(self.joint_weights)} joints, '
                f'the prediction has {joints}'
            )
        if not self.use_target_weight:
            return output.new_ones(output.shape[:3])
        if target_weight is None:
            raise ValueError('LiftingLoss(use_target_weight=True) needs target_weight')
        if target_weight.ndim == 4:
            target_weight = target_weight.squeeze(-1)
        if target_weight.shape != output.shape[:3]:
            raise ValueError(
                f'target_weight must have shape {tuple(output.shape[:3])} or '
                f'{(*output.shape[:3], 1)}, got {tuple(target_weight.shape)}'
            )
        return target_weight.to(output.dtype)


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum()
    return (values * weight).sum() / torch.where(total > 0, total, 1.0)


def _mean_distance(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return _weighted_mean(torch.linalg.vector_norm(output - target, dim=-1), weight)


def _n_mpjpe(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    joint_weight = weight.unsqueeze(-1)
    product = (joint_weight * output * target).sum((-2, -1), keepdim=True)
    square = (joint_weight * output * output).sum((-2, -1), keepdim=True)
    # A pose of all zeros has no scale; any finite one leaves it at zero.
    scale = product / torch.where(square > 0, square, 1.0)
    return _mean_distance(scale * output, target, weight)
