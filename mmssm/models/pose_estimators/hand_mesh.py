"""Top-down estimator of hand meshes."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.structures import InstanceData
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.structures import PoseDataSample
from torch import Tensor

from mmssm.geometry.cameras import CROP_FOCAL, CROP_SIZE, full_image_translation
from mmssm.registry import MODELS

from .crop_view import CropView, average_hands

VIEWS = ('flip_test', 'tta_scales', 'tta_rotations')
"""What of ``test_cfg`` is the estimator's alone."""

OPTIMIZERS = ('network', 'prior')
"""Names in the ``OptimWrapperDict`` of a training with a prior."""


@MODELS.register_module()
class HandMeshEstimator(TopdownPoseEstimator):
    """MMPose's top-down estimator for heads that predict meshes of hands.

    ``TopdownPoseEstimator`` brings joints out of upright crops into the image. This
    one also turns back crops that were turned (``bbox_rotation``) or mirrored
    (``mmssm.MirrorLeftHand``), with all that was predicted of them; places the hand
    before the camera of the whole image; averages over more views of the crop than
    a flipped one; and can train against a prior of poses, with an optimizer of its
    own.

    Crops are square. A backbone may see fewer columns of it: those are cut out
    here, by ``crop_columns``, and nowhere else. Data pipeline, labels and
    predictions are in units and pixels of the whole crop; a head that reads places
    off the feature map knows the columns by an argument of the same name, and both
    must agree.

    Of a sample's meta information, beside MMPose's own, are used where they are
    there: ``crop_mirrored``, ``bbox_rotation``, ``hand_type``, and ``focal`` with
    ``principal_pt`` (pixels of the image); add them to the ``meta_keys`` of
    ``PackPoseInputs``.

    Test config:
        - ``flip_test``: the mirrored crop is looked at too. That is for networks
          that were trained on both hands; to one trained on right hands, a mirrored
          one is a left hand, as it has never seen any.
        - ``tta_scales``, ``tta_rotations``: crops are looked at in each scale (side
          of the box, in units of the crop's) and rotation (degrees). The paper takes
          0.7, 0.8, 0.9, 1.0, 1.1 and -90 to 90 in steps of 10: 95 views. They are
          made from the crop: beyond its border it is black.

        What is predicted in each view is turned back into the crop, then averaged:
        see :func:`mmssm.models.pose_estimators.crop_view.average_hands`.

    Args:
        backbone: Config of the backbone.
        head: Config of the head.
        neck: Config of the neck.
        crop_columns: First column of the crop that the backbone sees, and the one
            behind the last. Default: all.
        focal_length: Focal length, pixels of the image, of images whose samples
            have no camera; the principal point is then the image's centre. Default:
            5000 px for 256 px of the image's longer side, as in HaMeR's demo: far
            away, so that all hands are seen as from the front. Depths are only as
            right as this is.
        prior: Config of a :class:`mmssm.HandPosePrior`. Training then needs
            ``optim_wrapper`` with the constructor
            ``mmssm.PriorOptimWrapperConstructor``.
        train_cfg, test_cfg, data_preprocessor, init_cfg, metainfo: As in
            ``TopdownPoseEstimator``.

    Raises:
        ValueError: ``crop_columns`` are not those of the head.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        neck: dict | None = None,
        crop_columns: Sequence[int] | None = None,
        focal_length: float | None = None,
        prior: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        metainfo: dict | None = None,
    ) -> None:
        super().__init__(
            backbone,
            neck,
            head,
            train_cfg,
            test_cfg,
            data_preprocessor,
            init_cfg,
            metainfo,
        )
        self.crop_columns = None if crop_columns is None else tuple(crop_columns)
        self._check_columns()
        self.focal_length = focal_length
        self.views = _views(self.test_cfg)
        self.prior = None if prior is None else MODELS.build(prior)

    def _check_columns(self) -> None:
        crop_map = getattr(self.head, 'crop_map', None)
        if crop_map is None:
            return
        seen = self.crop_columns or (0, crop_map.crop_size)
        if tuple(crop_map.crop_columns) != tuple(seen):
            raise ValueError(
                f'the backbone sees the columns {seen} of the crop (crop_columns of '
                'HandMeshEstimator), the head reads a map of '
                f'{tuple(crop_map.crop_columns)}; give both the same crop_columns, '
                'and the head the feat_size of such a map'
            )

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Feature maps of what the backbone sees of the crops.

        Args:
            inputs: ``(N, 3, S, S)``.

        Returns:
            Feature maps.

        Raises:
            ValueError: Crops are not square, or have not the columns that the
                backbone is to see.
        """
        height, width = inputs.shape[-2:]
        first, end = self.crop_columns or (0, width)
        if height != width or not 0 <= first < end <= width:
            raise ValueError(
                f'expected square crops that have the columns {first} to {end - 1} '
                f'(crop_columns of HandMeshEstimator), got {width} x {height} pixels'
            )
        return super().extract_feat(inputs[..., first:end])

    def predict(
        self, inputs: Tensor, data_samples: list[PoseDataSample]
    ) -> list[PoseDataSample]:
        """Predicts hands, in all views of ``test_cfg``.

        Args:
            inputs: ``(N, 3, S, S)``, normalised crops.
            data_samples: Their samples.

        Returns:
            The samples, see :meth:`add_pred_to_datasample`.
        """
        test_cfg = {k: v for k, v in self.test_cfg.items() if k not in VIEWS}
        side, border = inputs.shape[-1], self._black(inputs)
        seen = []
        for view in self.views:
            feats = self.extract_feat(view.see(inputs, border))
            hands = self.head.predict(feats, data_samples, test_cfg=test_cfg)
            seen.append([view.undo(hand, side) for hand in hands])
        hands = [average_hands(same) for same in zip(*seen, strict=True)]
        return self.add_pred_to_datasample(hands, None, data_samples)

    def _black(self, inputs: Tensor) -> Tensor:
        """Black, normalised: what pipelines fill the crop with."""
        preprocessor = self.data_preprocessor
        if hasattr(preprocessor, 'mean'):
            return (-preprocessor.mean / preprocessor.std).flatten()
        return inputs.new_zeros(inputs.shape[1])

    def add_pred_to_datasample(
        self,
        batch_pred_instances: list[InstanceData],
        batch_pred_fields: list | None,
        batch_data_samples: list[PoseDataSample],
    ) -> list[PoseDataSample]:
        """Puts predictions into samples.

        Args:
            batch_pred_instances: What a mesh head predicts of the crops.
            batch_pred_fields: None.
            batch_data_samples: The samples.

        Returns:
            The samples, with ``pred_instances`` of the hand as it is in the image:

            - ``keypoints (1, K, 2)``, pixels of the image; ``keypoint_scores``;
            - ``keypoints_3d (1, K, 3)``, ``mesh_vertices (1, V, 3)``: metres, axes
              of the camera, from the hand model's origin;
            - ``mano_global_orient``, ``mano_hand_pose``, ``mano_betas``: of a right
              hand, or of its mirror image for a left one;
            - ``pred_cam (1, 3)``, ``cam_t (1, 3)``: the crop's cameras;
            - ``full_cam_t (1, 3)``, metres: what to add to joints and vertices to
              have them in the frame of the image's camera, which is
              ``focal_length (1, 2)`` and ``principal_pt (1, 2)``, pixels;
            - ``hand_type (1, 2)``: right, left: the sample's, else a mirrored crop
              shows a left hand, another a right one.

        Raises:
            ValueError: The crop is not square, or neither the camera nor the
                image's size is known.
        """
        placed = [
            self._place(hand, sample)
            for hand, sample in zip(
                batch_pred_instances, batch_data_samples, strict=True
            )
        ]
        return super().add_pred_to_datasample(
            placed, batch_pred_fields, batch_data_samples
        )

    def _place(self, hand: InstanceData, sample: PoseDataSample) -> InstanceData:
        """Undoes the pipeline's view and adds the image's camera."""
        meta = sample.metainfo
        scale = np.ravel(meta['input_scale'])
        if not np.allclose(scale, scale[0], rtol=1e-3):
            raise ValueError(
                f'the crop of {_name(meta)} is {scale.tolist()} pixels wide and high; '
                'meshes need square crops (mmssm.HandMeshCrop)'
            )
        mirrored = bool(meta.get('crop_mirrored', False))
        rotation = float(np.ravel(meta.get('bbox_rotation', 0.0))[0])
        view = CropView(rotation=rotation, mirrored=mirrored)
        hand = view.undo(hand, int(meta['input_size'][0]))
        focal, principal_pt = self._camera(meta)
        hand.full_cam_t = full_image_translation(
            *(
                torch.as_tensor(np.asarray(value, np.float64))
                for value in (
                    hand.pred_cam,
                    np.reshape(meta['input_center'], (1, 2)),
                    scale[:1],
                    focal,
                    principal_pt,
                )
            )
        ).numpy()
        hand.focal_length, hand.principal_pt = focal, principal_pt
        side = meta.get('hand_type', [not mirrored, mirrored])
        hand.hand_type = np.reshape(side, (1, 2)).astype(np.float32)
        return hand

    def _camera(self, meta: dict) -> tuple[np.ndarray, np.ndarray]:
        """Focal lengths and principal point, ``(1, 2)`` each."""
        known = [
            np.reshape(meta[key], (1, 2)).astype(float)
            for key in ('focal', 'principal_pt')
            if key in meta
        ]
        if len(known) == 2:
            return known[0], known[1]
        shape = meta.get('ori_shape', meta.get('img_shape'))
        if known or shape is None:
            raise ValueError(
                f'the camera of {_name(meta)} is not known: expected focal and '
                'principal_pt in the meta_keys of PackPoseInputs, or neither and '
                f'ori_shape, found {sorted(meta)}'
            )
        size = np.array([[shape[1], shape[0]]], float)
        focal = self.focal_length
        if focal is None:
            focal = CROP_FOCAL / CROP_SIZE * size.max()
        return np.full((1, 2), float(focal)), size / 2

    def train_step(
        self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, Tensor]:
        """Trains on a batch; with a prior, the network first, then the prior.

        Args:
            data: The batch.
            optim_wrapper: One, or with a prior those by the names ``'network'`` and
                ``'prior'``.

        Returns:
            Losses for the log.

        Raises:
            ValueError: The optimizers do not fit the model.
        """
        _check_optimizers(self.prior is not None, optim_wrapper)
        if self.prior is None:
            return super().train_step(data, optim_wrapper)
        network, prior = (optim_wrapper[name] for name in OPTIMIZERS)
        with network.optim_context(self):
            data = self.data_preprocessor(data, True)
            predictions = self.head.forward(self.extract_feat(data['inputs']))
            losses = self.head.loss_by_predictions(predictions, data['data_samples'])
            pose, betas = predictions[-1].hand_pose, predictions[-1].betas
            losses['loss_adversarial'] = self.prior.adversarial_loss(pose, betas)
        total, log = self.parse_losses(losses)
        network.update_params(total)
        with prior.optim_context(self.prior):
            judged = self.prior.discriminator_loss(pose.detach(), betas.detach())
        total, judged = self.parse_losses(judged)
        prior.update_params(total)
        return {**log, **{name: v for name, v in judged.items() if name != 'loss'}}


def _views(test_cfg: dict) -> list[CropView]:
    scales = tuple(test_cfg.get('tta_scales', (1.0,)))
    rotations = tuple(test_cfg.get('tta_rotations', (0.0,)))
    if not scales or not rotations or min(scales) <= 0:
        raise ValueError(
            'tta_scales must be positive numbers and tta_rotations degrees, at least '
            f'one of each, got {scales} and {rotations}'
        )
    flips = (False, True) if test_cfg.get('flip_test', False) else (False,)
    return [CropView(*view) for view in product(scales, rotations, flips)]


def _name(meta: dict) -> str:
    return str(meta.get('img_path', 'a sample'))


def _check_optimizers(has_prior: bool, optim_wrapper: OptimWrapper) -> None:
    is_dict = isinstance(optim_wrapper, OptimWrapperDict)
    if has_prior and not (is_dict and set(optim_wrapper.keys()) == set(OPTIMIZERS)):
        found = (
            f'an OptimWrapperDict of {sorted(optim_wrapper.keys())}'
            if is_dict
            else f'one {type(optim_wrapper).__name__}'
        )
        raise ValueError(
            f'a prior has an optimizer of its own, but there is {found}; set '
            "optim_wrapper=dict(constructor='mmssm.PriorOptimWrapperConstructor', "
            'network=dict(optimizer=...), prior=dict(optimizer=...)), or leave out '
            'prior of HandMeshEstimator'
        )
    if is_dict and not has_prior:
        raise ValueError(
            'there is an OptimWrapperDict of '
            f'{sorted(optim_wrapper.keys())}, but HandMeshEstimator has no prior; '
            "set its prior=dict(type='mmssm.HandPosePrior', ...), or give one "
            'optim_wrapper=dict(optimizer=...)'
        )
