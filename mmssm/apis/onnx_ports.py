"""What goes into an exported model and what comes out: names, units, joints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mmssm.registry  # noqa: F401  cures the host before it is imported

# isort: split
import torch
from mmengine.model import ImgDataPreprocessor
from mmpose.codecs import MotionBERTLabel
from mmpose.models.heads import (
    HeatmapHead,
    InternetHead,
    MotionRegressionHead,
    RTMCCHead,
)
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from mmssm.models.backbones.spatio_temporal_mamba import SpatioTemporalMamba
from mmssm.models.heads.heatmap_depth_head import HeatmapDepthHead
from mmssm.models.heads.mesh_head import MeshHead
from mmssm.structures import h36m, hand
from mmssm.utils.errors import UserError

BATCH = 'batch'
"""Name of the axis that may have any size."""

LIFTED = (
    'normalised image coordinates as of the input, z in the same unit (half the '
    "image's width), camera axes; times half the width it is pixels"
)
HEATMAPS = 'scores of the cells of a map over the crop'

OUTPUTS: tuple[tuple[type[nn.Module], tuple[tuple[str, str], ...]], ...] = (
    (MotionRegressionHead, (('keypoints_3d', LIFTED),)),
    (
        HeatmapDepthHead,
        (
            ('keypoints', 'units of the crop, (0, 0) its upper left corner'),
            ('depths', 'metres behind the root'),
            ('heatmaps', 'shares of each joint, of sum 1'),
        ),
    ),
    (
        InternetHead,
        (
            ('heatmaps', 'scores of the cells of a volume over the crop'),
            ('root_depth', 'cells of the root depth between the hands'),
            ('hand_type', 'scores of right and left, before the sigmoid'),
        ),
    ),
    (HeatmapHead, (('heatmaps', HEATMAPS),)),
    (
        RTMCCHead,
        (
            ('simcc_x', 'scores of columns, split_ratio to a pixel of the crop'),
            ('simcc_y', 'scores of rows, split_ratio to a pixel of the crop'),
        ),
    ),
    (
        MeshHead,
        (
            ('global_orient', "rotation matrix of the hand model's root"),
            (
                'hand_pose',
                "rotation matrices of its other joints in their parents' axes",
            ),
            ('betas', 'shape coefficients'),
            ('cam', 'weak-perspective camera: scale, x, y'),
            ('cam_t', "metres, the hand model's origin in the crop's camera"),
            ('vertices', "metres from the hand model's origin, camera axes"),
            ('joints', "metres from the hand model's origin, camera axes"),
            ('keypoints', 'units of the crop, (0, 0) its middle'),
        ),
    ),
)
"""Outputs of heads by class, and their units; the first class that fits counts."""


@dataclass(frozen=True)
class Port:
    """One input or output of an exported model.

    Attributes:
        name: Its name in the file.
        shape: Its shape; ``'batch'`` is any number.
        units: What the numbers are.
    """

    name: str
    shape: tuple[int | str, ...]
    units: str


class Network(nn.Module):
    """A model as a function from one tensor to a tuple of tensors.

    Of a pose estimator it is the network alone (``mode='tensor'``), of heads that
    predict meshes the last prediction. Decoding and the flip test stay outside.

    Args:
        model: A pose estimator of MMPose, or any module of one tensor.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Runs the network."""
        if not isinstance(self.model, BasePoseEstimator):
            return _tensors(self.model(inputs))
        outputs = self.model._forward(inputs, None)
        if isinstance(getattr(self.model, 'head', None), MeshHead):
            outputs = outputs[-1]
        return _tensors(outputs)


def _tensors(outputs: Any) -> tuple[Tensor, ...]:
    return tuple(t for t in pytree.tree_leaves(outputs) if isinstance(t, Tensor))


def example_shape(model: nn.Module) -> tuple[int, ...]:
    """The shape of one input of a model, without the batch.

    Args:
        model: A pose estimator, or a backbone of a lifter.

    Raises:
        UserError: The model does not say it.
    """
    backbone: Any = getattr(model, 'backbone', model)
    if hasattr(backbone, 'num_frames') and hasattr(backbone, 'num_joints'):
        return backbone.num_frames, backbone.num_joints, backbone.in_channels
    head = getattr(model, 'head', None)
    crop_map = getattr(head, 'crop_map', None)
    size = getattr(getattr(head, 'decoder', None), 'input_size', None)
    if crop_map is not None:
        size = crop_map.crop_size, crop_map.crop_size
    if size is None:
        raise UserError(
            f'{type(model).__name__} does not say how large its inputs are (neither '
            'num_frames and num_joints of the backbone nor input_size of the decoder '
            'or a crop_size of the head): give an example, inputs=torch.rand(2, ...)'
        )
    return getattr(backbone, 'in_channels', 3), int(size[1]), int(size[0])


def describe_input(model: nn.Module, shape: Sequence[int]) -> Port:
    """Names the input of a model.

    Args:
        model: The model.
        shape: Of one input, without the batch.
    """
    backbone = getattr(model, 'backbone', model)
    if isinstance(backbone, SpatioTemporalMamba) or _is_of_clips(model):
        units = 'x and y of the image, 2 x / width - 1 and (2 y - height) / width'
        if shape[-1] == 3:
            units += '; then the confidence, 0 to 1'
        return Port('keypoints_2d', (BATCH, *shape), units)
    if len(shape) == 3:
        return Port('images', (BATCH, *shape), _pixels(model))
    return Port('inputs', (BATCH, *shape), 'as the model takes them')


def _is_of_clips(model: nn.Module) -> bool:
    return isinstance(_decoder(model), MotionBERTLabel)


def _decoder(model: nn.Module) -> Any:
    return getattr(getattr(model, 'head', None), 'decoder', None)


def _pixels(model: nn.Module) -> str:
    preprocessor: Any = getattr(model, 'data_preprocessor', None)
    if not isinstance(preprocessor, ImgDataPreprocessor):
        return 'pixels of crops, normalised as in training'
    order = 'RGB'
    if not preprocessor._channel_conversion:
        order = 'channels in the order of the image files as they were read'
    if not hasattr(preprocessor, 'mean'):
        return f'pixels of crops, 0 to 255, {order}'
    mean = [round(value, 4) for value in preprocessor.mean.flatten().tolist()]
    std = [round(value, 4) for value in preprocessor.std.flatten().tolist()]
    return f'pixels of crops, 0 to 255, {order}, minus {mean}, divided by {std}'


def describe_outputs(model: nn.Module, outputs: Sequence[Tensor]) -> tuple[Port, ...]:
    """Names the outputs of a model.

    Args:
        model: The model.
        outputs: What `Network` makes of a batch.
    """
    head = getattr(model, 'head', None)
    known = next((ports for kind, ports in OUTPUTS if isinstance(head, kind)), ())
    if len(known) != len(outputs):
        known = _unknown(head is None, len(outputs))
    return tuple(
        Port(name, (BATCH, *output.shape[1:]), units)
        for (name, units), output in zip(known, outputs, strict=True)
    )


def _unknown(is_backbone: bool, count: int) -> tuple[tuple[str, str], ...]:
    stem = 'features' if is_backbone else 'output'
    names = [stem] if count == 1 else [f'{stem}_{i}' for i in range(count)]
    return tuple((name, 'as the model gives them') for name in names)


def joint_names(model: nn.Module) -> tuple[str, ...] | None:
    """Names of the joints of a model, or None if it does not say them."""
    meta = getattr(model, 'dataset_meta', None) or getattr(model, 'metainfo', None)
    if meta and 'keypoint_id2name' in meta:
        names = meta['keypoint_id2name']
        return tuple(names[i] for i in range(len(names)))
    head = getattr(model, 'head', None)
    if isinstance(head, MeshHead):
        return hand.JOINT_NAMES
    if getattr(_decoder(model), 'num_keypoints', None) == h36m.NUM_JOINTS:
        return h36m.JOINT_NAMES
    if isinstance(head, HeatmapDepthHead) and head.num_joints == hand.NUM_JOINTS:
        return hand.JOINT_NAMES
    return None


def random_inputs(port: Port, batch: int, seed: int) -> Tensor:
    """Inputs to try a model on: clips in [-1, 1], anything else standard normal."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, *(int(size) for size in port.shape[1:]))
    if port.name == 'keypoints_2d':
        inputs = 2 * torch.rand(shape, generator=generator) - 1
        if shape[-1] == 3:
            inputs[..., 2].abs_()
        return inputs
    return torch.randn(shape, generator=generator)
