"""What all heads that predict hand meshes have in common."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.base_head import BaseHead
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor

from mmssm.registry import MODELS

from .mesh_prediction import MeshPrediction


class MeshHead(BaseHead):
    """Base of heads that predict a hand model's parameters.

    MMPose has no head for meshes. A subclass says how features become
    predictions; the hand model, decoding and losses are here.

    Args:
        mano: Config of the hand model's layer. Default: ``mmssm.MANO`` with the
            free hand.
        loss: Config of the loss. Default: ``mmssm.HandMeshLoss``.
        init_cfg: Config of the initialisation. Default: the head's own.
    """

    def __init__(
        self,
        mano: dict | None = None,
        loss: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(self.default_init_cfg if init_cfg is None else init_cfg)
        self.mano = MODELS.build(mano or dict(type='mmssm.MANO'))
        self.loss_module = MODELS.build(loss or dict(type='mmssm.HandMeshLoss'))

    @abstractmethod
    def forward(self, feats: Sequence[Tensor]) -> tuple[MeshPrediction, ...]:
        """Predicts hands.

        Args:
            feats: Feature maps; the last one is used.

        Returns:
            Predictions, the head's answer last. The others are trained too.
        """

    def predict(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: list,
        test_cfg: dict | None = None,
    ) -> list[InstanceData]:
        """Predicts the hands of a batch.

        Args:
            feats: Feature maps.
            batch_data_samples: Data samples of the crops; of each the meta
                information ``input_size`` is used.
            test_cfg: Test config of the estimator. There is no flip test: a
                mirrored hand is another hand.

        Returns:
            For each crop, in arrays, ``keypoints (1, 21, 2)``, pixels of the crop,
            ``keypoint_scores (1, 21)``, all 1, ``keypoints_3d (1, 21, 3)`` and
            ``mesh_vertices (1, V, 3)``, metres from the hand model's origin in
            the camera's axes, ``mano_global_orient (1, 1, 3, 3)``,
            ``mano_hand_pose (1, 15, 3, 3)``, ``mano_betas (1, 10)``, ``pred_cam
            (1, 3)`` and ``cam_t (1, 3)`` as in `MeshPrediction`.

        Raises:
            ValueError: With ``flip_test``, or for crops that are not square.
        """
        if (test_cfg or {}).get('flip_test', False):
            raise ValueError(
                f'{type(self).__name__} has no flip_test: it knows one hand, and a '
                'mirrored one is the other; leave it out of test_cfg'
            )
        prediction = MeshPrediction(*to_numpy(self.forward(feats)[-1]))
        return [
            _instance(
                MeshPrediction(*(value[number, None] for value in prediction)),
                _side(sample, number),
            )
            for number, sample in enumerate(batch_data_samples)
        ]

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: list,
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Calculates losses.

        Args:
            feats: Feature maps.
            batch_data_samples: Data samples with the labels of
                ``mmssm.HandMesh``.
            train_cfg: Not used.

        Returns:
            What the loss gives for each prediction; names begin with ``aux_`` for
            those before the last.
        """
        return self.loss_by_predictions(self.forward(feats), batch_data_samples)

    def loss_by_predictions(
        self, predictions: Sequence[MeshPrediction], batch_data_samples: list
    ) -> dict[str, Tensor]:
        """Calculates the losses of what `forward` gave; see `loss`."""
        labels = _stack([sample.gt_instance_labels for sample in batch_data_samples])
        losses = dict(self.loss_module(predictions[-1], labels))
        for number, prediction in enumerate(predictions[:-1]):
            prefix = f'aux{number or ""}_'
            losses.update(self.loss_module(prediction, labels, prefix=prefix))
        return losses

    @property
    def default_init_cfg(self) -> list[dict]:
        """Linear layers from a normal distribution cut off at two deviations."""
        return [dict(type='TruncNormal', layer='Linear', std=0.02)]


def _stack(labels: list[InstanceData]) -> dict[str, Tensor]:
    names = set(labels[0].keys())
    for number, label in enumerate(labels):
        if set(label.keys()) != names:
            raise ValueError(
                f'sample {number} of the batch has the labels '
                f'{sorted(label.keys())}, sample 0 {sorted(names)}; give every '
                'data set the same codec'
            )
    return {name: torch.cat([label[name] for label in labels]) for name in names}


def _side(sample, number: int) -> int:
    width, height = sample.metainfo['input_size']
    if width != height:
        raise ValueError(
            f'expected a square crop, got sample {number} of the batch with '
            f'{width} x {height} pixels; what a backbone sees of it is cut out '
            'behind the pipeline'
        )
    return width


def _instance(prediction: MeshPrediction, side: int) -> InstanceData:
    keypoints = (prediction.keypoints + 0.5) * side
    return InstanceData(
        keypoints=keypoints,
        keypoint_scores=prediction.keypoints[..., 0] * 0 + 1,
        keypoints_3d=prediction.joints,
        mesh_vertices=prediction.vertices,
        mano_global_orient=prediction.global_orient,
        mano_hand_pose=prediction.hand_pose,
        mano_betas=prediction.betas,
        pred_cam=prediction.cam,
        cam_t=prediction.cam_t,
    )
