"""Head of 2D-to-3D lifters."""

import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.regression_heads import MotionRegressionHead
from torch import Tensor, nn

from mmssm.registry import MODELS

from ..layers import without_autocast
from ..losses import LiftingLoss


@MODELS.register_module()
class LiftingHead(MotionRegressionHead):
    """Regresses the joints of every frame by LayerNorm and a linear layer.

    Decoding, flip test and training loss are those of MMPose's
    ``MotionRegressionHead``. That class regresses through a hidden layer with
    tanh and truncated-normal weights, which PoseMamba and SasMamba do not have,
    works in the precision of autocast, though bfloat16 keeps three digits of
    a coordinate and cannot be decoded, and logs one loss.

    Args:
        in_channels: Number of feature channels.
        out_channels: Number of coordinates.
        loss: Config of the loss. A :class:`LiftingLoss` is logged term by
            term, as ``loss_mpjpe`` and so on; any other as ``loss_pose3d``.
        decoder: Config of the codec that decodes predictions.
        init_cfg: Config of the initialisation. Default: PyTorch's own.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 3,
        loss: dict | None = None,
        decoder: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            embedding_size=in_channels,
            loss=loss or {'type': 'mmssm.LiftingLoss'},
            decoder=decoder,
            init_cfg=init_cfg,
        )
        self.pre_logits = nn.LayerNorm(in_channels)

    def forward(self, feats: Tensor) -> Tensor:
        """Regresses coordinates.

        Args:
            feats: Features ``(N, T, J, in_channels)``.

        Returns:
            Coordinates ``(N, T, J, out_channels)`` in the precision of the
            head's parameters, also under autocast.
        """
        with without_autocast(feats.device.type):
            return super().forward(feats.to(self.fc.weight.dtype))

    def predict(
        self,
        feats: Tensor | list[Tensor],
        batch_data_samples: list,
        test_cfg: dict | None = None,
    ) -> list[InstanceData]:
        """Predicts and decodes the joints of a batch.

        Args:
            feats: Features ``(N, T, J, in_channels)``; with a flip test, a
                list of those of the clips and of the flipped clips.
            batch_data_samples: Data samples of the clips.
            test_cfg: Test config of the lifter.

        Returns:
            Per clip, ``keypoints`` ``(T, J, 3)`` in the units of the codec and
            ``keypoint_scores`` ``(T, J)``.

        Raises:
            ValueError: If a prediction is NaN or infinite.
        """
        preds = super().predict(feats, batch_data_samples, test_cfg or {})
        for clip, pred in enumerate(preds):
            if not torch.isfinite(torch.as_tensor(pred.keypoints)).all():
                raise ValueError(
                    f'the prediction of clip {clip} of the batch holds NaN or '
                    'infinity; look for NaN in its 2D joints, then in the weights'
                )
        return preds

    def loss(
        self,
        inputs: Tensor,
        batch_data_samples: list,
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Calculates losses.

        Args:
            inputs: Features ``(N, T, J, in_channels)``.
            batch_data_samples: Data samples with ``lifting_target_label``
                ``(T, J, 3)`` and ``lifting_target_weight`` ``(T, J)``.
            train_cfg: Training config of the lifter.

        Returns:
            The loss terms, and ``mpjpe`` for the log, all in the normalised
            units of the label.
        """
        if not isinstance(self.loss_module, LiftingLoss):
            return super().loss(inputs, batch_data_samples, train_cfg or {})
        labels = [sample.gt_instance_labels for sample in batch_data_samples]
        target = torch.stack([label.lifting_target_label for label in labels])
        weight = torch.stack([label.lifting_target_weight for label in labels])
        output = self.forward(inputs)
        terms = self.loss_module.terms(output, target, weight)
        losses = {f'loss_{name}': value for name, value in terms.items()}
        with torch.no_grad():
            distance = torch.linalg.vector_norm(output - target, dim=-1)
            losses['mpjpe'] = distance[weight > 0].mean()
        return losses

    @property
    def default_init_cfg(self) -> list[dict]:
        """No initialisation beyond PyTorch's own, as in the released code."""
        return []
