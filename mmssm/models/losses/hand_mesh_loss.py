"""Losses of hand meshes whose annotations are partly missing."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmssm.models.heads.mesh_prediction import MeshPrediction
from mmssm.registry import MODELS
from mmssm.structures.hand import WRIST

REDUCTIONS = ('sum', 'mean')


@MODELS.register_module()
class HandMeshLoss(nn.Module):
    r"""Weighted sum of the losses that HaMeR and Hamba are trained with.

    With a sample's prediction and its labels (hats), each term is a sum over what
    the sample has of it:

    - keypoints_2d: :math:`\sum_j c_j \|x_j - \hat x_j\|_1` in units of the crop's
      side;
    - keypoints_3d: :math:`\sum_j c_j \|(X_j - X_0) - (\hat X_j - \hat X_0)\|_1`,
      metres, 0 being the wrist. Without a wrist (weight 0) nothing can be aligned
      and the sample has no such term;
    - global_orient, hand_pose: squared differences of the rotation matrices' 9 and
      135 elements, where there are parameters;
    - betas: squared differences of the shape coefficients; where a sample has
      none, they are held to 0, with the same weight (``betas_reg``).

    There is no term of vertices: the papers have none. The adversarial term is that
    of :class:`mmssm.HandPosePrior`.

    What a weight or mask excludes may be anything, NaN included: it reaches neither
    the loss nor a gradient. A term that no sample has is 0 and has a gradient (of
    zeros), so that distributed training waits for nothing.

    Args:
        keypoints_2d: Weight of the joints in the crop.
        keypoints_3d: Weight of the joints in space.
        global_orient: Weight of the root's rotation.
        hand_pose: Weight of the other joints' rotations.
        betas: Weight of the shape.
        betas_reg: Whether shapes are held to 0 where there is no label.
        reduction: ``'sum'`` over the batch, as published: the loss, and with it
            what a step does, grows with the batch size. ``'mean'`` divides that by
            the number of samples of the batch, labelled or not, so that the terms
            keep their relation.

    Raises:
        ValueError: A reduction that does not exist, or all weights are zero.

    Source:
        Dong et al., Hamba, Eq. 9-11, with the weights of its section 4.
    """

    def __init__(
        self,
        keypoints_2d: float = 0.01,
        keypoints_3d: float = 0.05,
        global_orient: float = 0.001,
        hand_pose: float = 0.001,
        betas: float = 0.0005,
        betas_reg: bool = True,
        reduction: str = 'sum',
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(
                f'reduction must be one of {REDUCTIONS}, got {reduction!r}'
            )
        self.weights = {
            'keypoints_2d': keypoints_2d,
            'keypoints_3d': keypoints_3d,
            'global_orient': global_orient,
            'hand_pose': hand_pose,
            'betas': betas,
        }
        if not any(self.weights.values()):
            raise ValueError('every weight of HandMeshLoss is zero')
        self.betas_reg = betas_reg
        self.reduction = reduction

    def forward(
        self,
        prediction: MeshPrediction,
        labels: Mapping[str, Tensor],
        prefix: str = '',
    ) -> dict[str, Tensor]:
        """Computes the terms of non-zero weight, each times its weight.

        Args:
            prediction: Of N hands with J joints.
            labels: ``keypoints_2d (N, J, 2)`` in [-0.5, 0.5] of the crop with
                ``keypoints_2d_weights (N, J)``; ``joints_3d (N, J, 3)``, metres,
                with ``joints_3d_weights (N, J)``; ``global_orient (N, 1, 3, 3)``
                and ``hand_pose`` with ``has_mano_pose (N)``; ``betas`` with
                ``has_betas (N)``. Those of a term of weight 0 may be absent, more
                may be there. Weights are confidences; what is not above 0 counts
                as missing.
            prefix: What the names of the terms begin with, such as ``'jr_'`` for
                an auxiliary prediction.

        Returns:
            Scalars by the names ``{prefix}loss_keypoints_2d`` and so on, fp32 at
            least.

        Raises:
            ValueError: A label is absent or of another shape than what it is
                compared with.
        """
        functions = {
            'keypoints_2d': self._keypoints_2d,
            'keypoints_3d': self._keypoints_3d,
            'global_orient': self._global_orient,
            'hand_pose': self._hand_pose,
            'betas': self._betas,
        }
        count = 1 if self.reduction == 'sum' else max(len(prediction.betas), 1)
        return {
            f'{prefix}loss_{name}': weight / count * functions[name](prediction, labels)
            for name, weight in self.weights.items()
            if weight
        }

    def _keypoints_2d(
        self, prediction: MeshPrediction, labels: Mapping[str, Tensor]
    ) -> Tensor:
        output = _wide(prediction.keypoints)
        target, weight = _pair(labels, 'keypoints_2d', 'keypoints_2d_weights', output)
        return _masked_sum((output - target).abs(), weight)

    def _keypoints_3d(
        self, prediction: MeshPrediction, labels: Mapping[str, Tensor]
    ) -> Tensor:
        output = _wide(prediction.joints)
        target, weight = _pair(labels, 'joints_3d', 'joints_3d_weights', output)
        root = slice(WRIST, WRIST + 1)
        weight = weight * (weight[:, root] > 0)
        difference = (output - output[:, root]) - (target - target[:, root])
        return _masked_sum(difference.abs(), weight)

    def _global_orient(
        self, prediction: MeshPrediction, labels: Mapping[str, Tensor]
    ) -> Tensor:
        return _squares(
            prediction.global_orient, labels, 'global_orient', 'has_mano_pose'
        )

    def _hand_pose(
        self, prediction: MeshPrediction, labels: Mapping[str, Tensor]
    ) -> Tensor:
        return _squares(prediction.hand_pose, labels, 'hand_pose', 'has_mano_pose')

    def _betas(
        self, prediction: MeshPrediction, labels: Mapping[str, Tensor]
    ) -> Tensor:
        output = _wide(prediction.betas)
        target, weight = _pair(labels, 'betas', 'has_betas', output)
        if self.betas_reg:
            weight = torch.ones_like(weight)  # the target is 0 where there is none
        return _masked_sum((output - target).square(), weight)


def _wide(value: Tensor) -> Tensor:
    """In fp32 at least; a term sums hundreds of numbers."""
    return value.to(torch.promote_types(value.dtype, torch.float32))


def _squares(
    output: Tensor, labels: Mapping[str, Tensor], name: str, mask_name: str
) -> Tensor:
    output = _wide(output)
    target, weight = _pair(labels, name, mask_name, output)
    return _masked_sum((output - target).square(), weight)


def _pair(
    labels: Mapping[str, Tensor], name: str, weight_name: str, output: Tensor
) -> tuple[Tensor, Tensor]:
    """A label, 0 where it is missing, and its weight, 0 there too."""
    for key in (name, weight_name):
        if key not in labels:
            raise ValueError(
                f"HandMeshLoss needs the label '{key}'; there are {sorted(labels)}"
            )
    target, weight = labels[name].to(output), labels[weight_name].to(output)
    leading = 1 if weight_name.startswith('has_') else 2
    for key, value, shape in (
        (name, target, output.shape),
        (weight_name, weight, output.shape[:leading]),
    ):
        if value.shape != shape:
            raise ValueError(
                f"label '{key}' must have shape {tuple(shape)} for a prediction of "
                f'shape {tuple(output.shape)}, got {tuple(value.shape)}'
            )
    is_there = weight > 0  # NaN is not
    target = target.where(_align(is_there, target), target.new_zeros(()))
    return target, weight.where(is_there, weight.new_zeros(()))


def _align(weight: Tensor, values: Tensor) -> Tensor:
    return weight.view(*weight.shape, *[1] * (values.ndim - weight.ndim))


def _masked_sum(values: Tensor, weight: Tensor) -> Tensor:
    return (values * _align(weight, values)).sum()
