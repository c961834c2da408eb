"""Head that reads joints in the image and their depths off one map."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import HeatmapHead
from mmpose.models.utils.tta import flip_coordinates, flip_heatmaps
from mmpose.registry import MODELS as MMPOSE_MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor

from mmssm.registry import MODELS


@MODELS.register_module()
class HeatmapDepthHead(HeatmapHead):
    """2.5D joints from a heatmap and a depth map for each joint.

    Three deconvolutions (MMPose's ``HeatmapHead``) make one heatmap and one depth
    map for each joint. A softmax turns the heatmap into weights; their mean place
    is where the joint is, the depth map's mean under them how far behind the root.
    Both are held to their labels by L1 losses. DF-Mamba's paper puts its backbone
    into a "simple regression head estimating 2D heatmaps and depth" for DexYCB and
    AssemblyHands and says no more about it; this is one such head, not that one.

    MMPose's ``IntegralRegressionHead`` has no depth, and is made for one size of
    feature map, whose cells it spreads over the crop. Here a cell lies where
    its stride puts it, so that crops of any size are read right (176 pixels have
    6 cells of 32, which are 192).

    Args:
        in_channels: Channels of the last feature map.
        num_joints: Number of joints.
        stride: Pixels of the crop per cell of the feature map that the head gets.
        deconv_out_channels: Channels of each deconvolution, each of stride 2.
        deconv_kernel_sizes: Their kernel sizes.
        final_layer: Arguments of the last convolution.
        loss: Config of the loss of places, which are in units of the crop.
        loss_depth: Config of the loss of depths, metres. Default: 1/0.4 of L1, as
            a cube of 0.4 m about the root, InterNet's, has the crop's weight.
        heatmap_loss_weight: Weight of the cross-entropy between each heatmap and a
            Gaussian about its label. It tells every cell where the joint is, and so
            shortens the first part of a training from scratch; 0, the default,
            leaves the two losses above alone.
        sigma: Standard deviation of that Gaussian, cells.
        beta: What scores are multiplied by before the softmax, as in MMPose's
            ``IntegralRegressionHead``. Peaks need differences of scores that the
            small first weights would take many steps to reach.
        decoder: Config of a :class:`mmssm.codecs.HeatmapDepth`. It is needed for
            training too: it knows the size of the crop.
        init_cfg: Config of the initialisation. Default: ``HeatmapHead``'s.

    Raises:
        ValueError: Without ``decoder``; a weight below 0, or a ``sigma`` or ``beta``
            that is not above.
    """

    def __init__(
        self,
        in_channels: int,
        num_joints: int,
        stride: int = 32,
        deconv_out_channels: Sequence[int] = (256, 256, 256),
        deconv_kernel_sizes: Sequence[int] = (4, 4, 4),
        final_layer: dict | None = None,
        loss: dict | None = None,
        loss_depth: dict | None = None,
        heatmap_loss_weight: float = 0.0,
        sigma: float = 1.5,
        beta: float = 10.0,
        decoder: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if decoder is None:
            raise ValueError(
                "HeatmapDepthHead needs decoder=dict(type='mmssm.HeatmapDepth', "
                'input_size=(width, height), ...): its labels are in units of the '
                'crop'
            )
        if heatmap_loss_weight < 0 or sigma <= 0 or beta <= 0:
            raise ValueError(
                'heatmap_loss_weight must not be negative, sigma and beta must be '
                f'positive, got {heatmap_loss_weight}, {sigma} and {beta}'
            )
        super().__init__(
            in_channels,
            2 * num_joints,
            deconv_out_channels,
            deconv_kernel_sizes,
            final_layer=final_layer or dict(kernel_size=1),
            loss=loss or dict(type='L1Loss', use_target_weight=True),
            decoder=decoder,
            init_cfg=init_cfg,
        )
        self.num_joints = num_joints
        self.cell = stride / 2 ** len(deconv_out_channels)
        self.heatmap_loss_weight = heatmap_loss_weight
        self.sigma = sigma
        self.beta = beta
        self.depth_loss_module = MMPOSE_MODELS.build(
            loss_depth or dict(type='L1Loss', use_target_weight=True, loss_weight=2.5)
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Predicts joints.

        Args:
            feats: Feature maps; the last one, ``(N, in_channels, h, w)``, is used.

        Returns:
            - places ``(N, K, 2)``, x and y in units of the crop,
            - depths ``(N, K)``, metres behind the root,
            - heatmaps ``(N, K, H, W)``, each of sum 1.

            All fp32 at least, also under autocast.
        """
        maps = super().forward(feats)
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
        scores, depth_maps = maps.split(self.num_joints, 1)
        heatmaps = (self.beta * scores).flatten(2).softmax(-1).view_as(scores)
        rows, columns = heatmaps.shape[2:]
        width, height = self.decoder.input_size
        x = torch.arange(columns, device=maps.device, dtype=maps.dtype)
        y = torch.arange(rows, device=maps.device, dtype=maps.dtype)
        # sums, no matrix products: autocast would round those
        column = (heatmaps.sum(2) * x).sum(-1)
        row = (heatmaps.sum(3) * y).sum(-1)
        places = torch.stack(
            [column * (self.cell / width), row * (self.cell / height)], -1
        )
        return places, (heatmaps * depth_maps).sum((2, 3)), heatmaps

    def predict(
        self,
        feats: Any,
        batch_data_samples: list,
        test_cfg: dict | None = None,
    ) -> list[InstanceData] | tuple[list[InstanceData], list[PixelData]]:
        """Predicts and decodes the joints of a batch.

        Args:
            feats: Feature maps; with a flip test, a list of those of the crops and
                of the mirrored crops.
            batch_data_samples: Data samples of the crops.
            test_cfg: Test config of the estimator: ``flip_test``,
                ``shift_coords`` (default True, the mirror image of pixel x is
                w - 1 - x), ``output_heatmaps``.

        Returns:
            For each crop ``keypoints (1, K, 2)``, pixels of the crop,
            ``keypoint_depths (1, K)``, metres behind the root, and
            ``keypoint_scores (1, K)``, the greatest value of each heatmap; with
            ``output_heatmaps`` the heatmaps too.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            plain, mirrored = feats
            flipped = self._flip(self.forward(mirrored), batch_data_samples, test_cfg)
            outputs = [
                (one + other) / 2
                for one, other in zip(self.forward(plain), flipped, strict=True)
            ]
        else:
            outputs = list(self.forward(feats))
        places, depths, heatmaps = outputs
        scores = heatmaps.amax((2, 3))
        preds = [
            self._decode(joints[None])
            for joints in to_numpy(
                torch.cat([places, depths[..., None], scores[..., None]], -1)
            )
        ]
        if test_cfg.get('output_heatmaps', False):
            return preds, [PixelData(heatmaps=h) for h in heatmaps.detach()]
        return preds

    def _flip(
        self, outputs: tuple[Tensor, Tensor, Tensor], samples: list, test_cfg: dict
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Turns predictions for mirrored crops into ones for the crops."""
        places, depths, heatmaps = outputs
        indices = samples[0].metainfo['flip_indices']
        shift = test_cfg.get('shift_coords', True)
        return (
            flip_coordinates(places, indices, shift, self.decoder.input_size),
            depths[:, indices],  # a mirror leaves depths as they are
            flip_heatmaps(heatmaps, indices, shift_heatmap=False),
        )

    def _decode(self, encoded) -> InstanceData:
        joints, scores = self.decoder.decode(encoded)
        return InstanceData(
            keypoints=joints[..., :2],
            keypoint_depths=joints[..., 2],
            keypoint_scores=scores,
        )

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: list,
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Calculates losses.

        Args:
            feats: Feature maps.
            batch_data_samples: Data samples with the labels of the codec.
            train_cfg: Not used.

        Returns:
            ``loss_kpt``, ``loss_depth`` and, with ``heatmap_loss_weight``,
            ``loss_heatmap``, and for the log the mean errors of
            the joints that count: ``error_px`` and ``error_depth_mm``.
        """
        places, depths, heatmaps = self.forward(feats)
        labels = [sample.gt_instance_labels for sample in batch_data_samples]
        place_labels = torch.cat([label.keypoint_labels for label in labels])
        place_weights = torch.cat([label.keypoint_weights for label in labels])
        depth_labels = torch.cat([label.depth_labels for label in labels])
        depth_weights = torch.cat([label.depth_weights for label in labels])
        losses = dict(
            loss_kpt=self.loss_module(places, place_labels, place_weights),
            loss_depth=self.depth_loss_module(depths, depth_labels, depth_weights),
        )
        if self.heatmap_loss_weight:
            entropy = self._cross_entropy(heatmaps, place_labels)
            losses['loss_heatmap'] = self.heatmap_loss_weight * _mean(
                entropy, place_weights
            )
        with torch.no_grad():
            size = places.new_tensor(self.decoder.input_size)
            distance = torch.linalg.vector_norm((places - place_labels) * size, dim=-1)
            losses['error_px'] = _mean(distance, place_weights)
            error = 1000 * (depths - depth_labels).abs()
            losses['error_depth_mm'] = _mean(error, depth_weights)
        return losses

    def _cross_entropy(self, heatmaps: Tensor, places: Tensor) -> Tensor:
        """``(N, K)`` between heatmaps and Gaussians about the places."""
        rows, columns = heatmaps.shape[2:]
        size = places.new_tensor(self.decoder.input_size) / self.cell
        x, y = (places * size).unbind(-1)
        across = self._gaussian(x, columns)
        down = self._gaussian(y, rows)
        logs = heatmaps.clamp(min=torch.finfo(heatmaps.dtype).tiny).log()
        return -torch.einsum('nky,nkyx,nkx->nk', down, logs, across)

    def _gaussian(self, centre: Tensor, cells: int) -> Tensor:
        """Weights ``(N, K, cells)`` of sum 1 about places ``(N, K)``."""
        distance = torch.arange(cells, device=centre.device) - centre[..., None]
        return (-0.5 * (distance / self.sigma) ** 2).softmax(-1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)
