"""What goes into an exported model and what comes out: names, units, joints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

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

LIFTED = "halves of the image's width (times width / 2: pixels), axes of the camera"
FROM_ROOT = '; from the root, which counts as 0 whatever stands in its place'
NEXT_STATE = 'next_state', 'the state for the frame after'
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


Ports: TypeAlias = tuple[Port, ...]


class Network(nn.Module):
    """A model as a function from a tensor to a tuple of tensors.

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


class StepNetwork(nn.Module):
    """One step of a causal lifter: a frame and a state in, a pose and a state out.

    A state is one row of numbers for each stream, all that is kept of its earlier
    frames; zeros are the state before the first.

    Args:
        model: A pose estimator with a causal backbone, or that backbone.

    Raises:
        UserError: The model is not causal.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model
        self.backbone: Any = getattr(model, 'backbone', model)
        if not getattr(self.backbone, 'causal', False):
            raise UserError(
                f'{type(self.backbone).__name__} does not go frame by frame; that does '
                'a lifter that was built, and trained, with causal=True, such as '
                "'posemamba-mocap-causal-27frm'"
            )
        kept = self.backbone.init_stream().state_dict().values()
        self.sizes = [tensor.numel() for tensor in kept]

    def forward(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Goes on by a frame.

        Args:
            frame: 2D joints ``(N, J, C)``.
            state: ``(N, S)``, what the frame before left.

        Returns:
            What the model says of the frame, and the state after it.
        """
        clips = frame.shape[0]
        stream = self.backbone.init_stream(clips, frame.device, frame.dtype)
        parts = state.split(self.sizes, dim=1)
        kept = zip(stream.state_dict().items(), parts, strict=True)
        stream.load_state_dict(
            {name: part.reshape(like.shape) for (name, like), part in kept}
        )
        y = self.backbone.step(frame, stream)
        if self.model is not self.backbone:
            y = self.model.head(y)
        after = [t.reshape(clips, -1).to(state) for t in stream.state_dict().values()]
        return y, torch.cat(after, 1)


def _tensors(outputs: Any) -> tuple[Tensor, ...]:
    return tuple(t for t in pytree.tree_leaves(outputs) if isinstance(t, Tensor))


def example_shape(model: nn.Module) -> tuple[int, ...]:
    """The shape of one input of a model, without the batch.

    Args:
        model: A pose estimator, or a backbone of a lifter.

    Returns:
        ``(frames, joints, channels)`` or ``(channels, height, width)``.

    Raises:
        UserError: The model does not say it.
    """
    backbone: Any = getattr(model, 'backbone', model)
    if hasattr(backbone, 'num_frames') and hasattr(backbone, 'num_joints'):
        return backbone.num_frames, backbone.num_joints, backbone.in_channels
    head = getattr(model, 'head', None)
    crop_map = getattr(head, 'crop_map', None)
    decoder = getattr(head, 'decoder', None)
    # InterNet's codec calls it otherwise.
    size = getattr(decoder, 'input_size', getattr(decoder, 'image_size', None))
    if crop_map is not None:
        size = crop_map.crop_size, crop_map.crop_size
    if size is None:
        raise UserError(
            f'{type(model).__name__} does not say how large its inputs are (neither '
            'num_frames and num_joints of the backbone nor input_size of the decoder '
            'or a crop_size of the head): give an example, inputs=torch.rand(2, ...) '
            'or --input-shape'
        )
    return getattr(backbone, 'in_channels', 3), int(size[1]), int(size[0])


def describe_inputs(network: Network | StepNetwork, shape: Sequence[int]) -> Ports:
    """Names what goes in.

    Args:
        network: The network.
        shape: Of one input, or one frame of a step, without the batch.
    """
    first = _describe_input(network.model, shape)
    if isinstance(network, Network):
        return (first,)
    units = 'what is kept of the frames before, as next_state; zeros: none'
    return first, Port('state', (BATCH, sum(network.sizes)), units)


def _describe_input(model: nn.Module, shape: Sequence[int]) -> Port:
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


def describe_outputs(
    network: Network | StepNetwork, outputs: Sequence[Tensor]
) -> Ports:
    """Names what comes out.

    Args:
        network: The network.
        outputs: What it makes of a batch.
    """
    head = getattr(network.model, 'head', None)
    known = next((ports for kind, ports in OUTPUTS if isinstance(head, kind)), ())
    after = () if isinstance(network, Network) else (NEXT_STATE,)
    count = len(outputs) - len(after)
    if len(known) != count:
        known = _unknown(head is None, count)
    if known and known[0][1] == LIFTED and _decoder(network.model).rootrel:
        known = ((known[0][0], LIFTED + FROM_ROOT),)
    return tuple(
        Port(name, (BATCH, *output.shape[1:]), units)
        for (name, units), output in zip((*known, *after), outputs, strict=True)
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


def random_inputs(ports: Ports, batch: int, seed: int) -> tuple[Tensor, ...]:
    """Inputs to try a network on.

    Clips in [-1, 1], states before the first frame, anything else standard normal.
    """
    generator = torch.Generator().manual_seed(seed)
    return tuple(_random_input(port, batch, generator) for port in ports)


def _random_input(port: Port, batch: int, generator: torch.Generator) -> Tensor:
    shape = (batch, *(int(size) for size in port.shape[1:]))
    if port.name == 'state':
        return torch.zeros(shape)
    if port.name == 'keypoints_2d':
        inputs = 2 * torch.rand(shape, generator=generator) - 1
        if shape[-1] == 3:
            inputs[..., 2].abs_()
        return inputs
    return torch.randn(shape, generator=generator)
