"""A trained lifter as a function from pixels to metres."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmpose.codecs import MotionBERTLabel
from mmpose.registry import MODELS
from numpy.typing import NDArray
from torch import Tensor, nn

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.engine import preflight
from mmssm.geometry.root_placement import SMOOTHING, stature_scale
from mmssm.models.layers import StreamState
from mmssm.structures import h36m
from mmssm.utils.errors import UserError

from .catalog import resolve_model
from .checkpoint import build_from_checkpoint
from .devices import find_device, find_dtype

CAUSAL_PIECE = 256
"""Frames of which a causal model sees all at once; any number gives the same."""

DTYPES = ('float32', 'float64', 'bfloat16', 'float16')


class Lifter:
    """Lifts windows of 2D joints.

    Normalising and its inverse are the codec's that the model was trained with.

    Args:
        model: Name of a model, a config file, a checkpoint that describes its own
            model, or a PoseLifter.
        weights: Its weights; the model's own if None.
        device: Where it runs; None: a GPU if there is one, a PoseLifter where it is.
        dtype: Precision. Below ``'float32'`` it is that of matrix products, and
            weights and scans keep ``'float32'``.
        flip_test: Whether the mirrored clip is lifted too and the mean is taken;
            None: as the config says.
        stature: Height of the people, metres, which sets the scale of what is
            lifted; None: MMPose's, 4 mm for every pixel.

    Attributes:
        name: Name of the model.
        weights: File of its weights; None of a PoseLifter.
        num_frames: Length of its windows, frames.
        is_causal: Whether it goes frame by frame and never looks ahead.

    Raises:
        UnknownModelError: No model is called so; the nearest names are offered.
        MissingWeightsError: It has no weights here; the message has the command that
            makes them.
        UserError: It is no lifter of clips of the 17 Human3.6M joints, its weights do
            not fit, or there is no such device.
        ValueError: ``dtype`` or ``stature`` is not as above.
    """

    def __init__(
        self,
        model: str | Path | nn.Module,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = 'float32',
        flip_test: bool | None = None,
        stature: float | None = 1.7,
    ) -> None:
        if stature is not None and not (np.isfinite(stature) and stature > 0):
            raise ValueError(f'stature must be positive metres or None, got {stature}')
        self.stature = stature
        self.dtype = find_dtype(dtype, DTYPES)
        self.model: Any
        self.weights: Path | None
        config = self._load(model, weights)
        self.codec = self._find_codec()
        if device is not None or not isinstance(model, nn.Module):
            self.model.to(find_device(device))
        self.model.eval()
        if self.dtype == torch.float64:
            self.model.double()
        weight = next(self.model.parameters())
        self.device, self._input_dtype = weight.device, weight.dtype
        backbone = self.model.backbone
        self.is_causal = bool(getattr(backbone, 'causal', False))
        self.num_frames = self._find_num_frames(config)
        self.can_stretch = bool(getattr(backbone, 'interpolate_frames', False))
        self.flip_test = (
            bool(self.model.test_cfg.get('flip_test', False))
            if flip_test is None
            else flip_test
        )

    def _load(self, model: str | Path | nn.Module, weights: str | Path | None) -> Any:
        """Finds the network with its weights; returns the config that it is from."""
        if isinstance(model, nn.Module):
            self.name, self.weights, self.model = type(model).__name__, None, model
            return {}
        if weights is None and Path(model).suffix in ('.safetensors', '.pth'):
            self.name, self.weights = Path(model).stem, Path(model)
            self.model = build_from_checkpoint(model)
            return {}
        resolved = resolve_model(model, weights)
        self.name, self.weights = resolved.name, resolved.weights
        config = preflight.read_config(str(resolved.config))
        self.model = self._build(config)
        self._find_codec()  # says more than weights that do not fit
        preflight.check_weights(
            self.model, preflight.read_checkpoint(resolved.weights), resolved.weights
        )
        return config

    def _build(self, config: Any) -> Any:
        if config.get('model', {}).get('type') != 'PoseLifter':
            raise UserError(
                f'{self.name} is no lifter: its model is a '
                f'{config.get("model", {}).get("type")}, expected a PoseLifter; '
                '`mmssm list --task body_3d_keypoint` shows the models that are'
            )
        with DefaultScope.overwrite_default_scope(
            config.get('default_scope', 'mmpose')
        ):
            return MODELS.build(config.model)

    def _find_codec(self) -> MotionBERTLabel:
        codec: Any = getattr(getattr(self.model, 'head', None), 'decoder', None)
        if type(codec) is not MotionBERTLabel or codec.num_keypoints != h36m.NUM_JOINTS:
            found = type(codec).__name__
            joints = getattr(codec, 'num_keypoints', '?')
            raise UserError(
                f'{self.name} (codec {found} of {joints} joints) cannot be used here: '
                'expected a lifter that predicts all frames of a clip of the 17 '
                'Human3.6M joints, with the codec MotionBERTLabel'
            )
        return codec

    def _find_num_frames(self, config: Any) -> int:
        frames = getattr(self.model.backbone, 'num_frames', None)
        if frames is None:
            dataset = config.get('val_dataloader', {}).get('dataset', {})
            frames = dataset.get('multiple_target') or dataset.get('seq_len')
        if not frames:
            raise UserError(
                f'{self.name} does not say how many frames its windows have: neither '
                'num_frames of its backbone nor seq_len of its validation data'
            )
        return int(frames)

    def __call__(self, joints: NDArray, image_size: tuple[int, int]) -> NDArray:
        """Lifts windows of one length.

        Args:
            joints: ``(N, T, J, 3)`` pixels and confidence, T up to ``num_frames``.
            image_size: ``(width, height)``, pixels.

        Returns:
            ``(N, T, J, 3)`` float32, metres, axes of the camera, relative to the
            root.

        One frame alone is taken for a person who stands still for a whole window: a
        network that has only seen clips makes nothing of a single frame.
        """
        is_alone = joints.shape[1] == 1 and not self.is_causal
        if is_alone:
            joints = np.repeat(joints, self.num_frames, axis=1)
        inputs = self.encode(joints, image_size)
        with torch.inference_mode(), self._autocast():
            outputs = self._forward(inputs)
        if is_alone:
            outputs = outputs[:, self.num_frames // 2, None]
        return self.decode(outputs, image_size)

    def lift_on(self, joints: NDArray, image_size: tuple[int, int]) -> NDArray:
        """Lifts a sequence of any length with a causal model, which needs no windows.

        Args:
            joints: ``(T, J, 3)`` pixels and confidence.
            image_size: ``(width, height)``, pixels.

        Returns:
            ``(T, J, 3)``, as of a call. Frames are taken in pieces; what the model
            keeps of those before has one size.
        """
        state = self.begin()
        parts = [
            self.step(joints[None, start : start + CAUSAL_PIECE], image_size, state)
            for start in range(0, len(joints), CAUSAL_PIECE)
        ]
        return np.concatenate(parts, axis=1)[0]

    def begin(self, people: int = 1) -> StreamState:
        """What a causal model keeps of people of whom it has seen nothing yet.

        Args:
            people: Their number ``N``; with the flip test each has two streams, that
                of the mirrored person ``N`` rows behind.
        """
        copies = 2 if self.flip_test else 1
        return self.model.backbone.init_stream(
            people * copies, self.device, self._input_dtype
        )

    def step(
        self, joints: NDArray, image_size: tuple[int, int], state: StreamState
    ) -> NDArray:
        """Lifts the next frames of people with a causal model.

        Args:
            joints: ``(N, T, J, 3)`` pixels and confidence.
            image_size: ``(width, height)``, pixels.
            state: Of :meth:`begin`; it is brought up to date.

        Returns:
            ``(N, T, J, 3)``, as of a call.
        """
        inputs = self.encode(joints, image_size)
        if self.flip_test:
            inputs = torch.cat([inputs, mirror(inputs)])
        with torch.no_grad(), self._autocast():
            outputs = self.model.head(self.model.backbone.step(inputs, state))
        if self.flip_test:
            plain, mirrored = outputs.chunk(2)
            outputs = (plain + mirror(mirrored)) / 2
        return self.decode(outputs, image_size)

    def encode(self, joints: NDArray, image_size: tuple[int, int]) -> Tensor:
        """What the network sees of joints ``(N, T, J, 3)`` in pixels."""
        shape = joints.shape[:-1]
        flat = joints.reshape(-1, *joints.shape[2:])
        width, height = image_size
        label = self.codec.encode(
            flat[..., :2],
            flat[..., 2],
            lifting_target=np.zeros_like(flat),
            camera_param={'w': width, 'h': height},
        )['keypoint_labels']
        label = label.reshape(*shape, -1)
        return torch.as_tensor(label, dtype=self._input_dtype, device=self.device)

    def decode(self, outputs: Tensor, image_size: tuple[int, int]) -> NDArray:
        """Metres of what the network says, ``(N, T, J, 3)``."""
        array = outputs.double().cpu().numpy()
        flat = array.reshape(-1, *array.shape[2:])
        width, height = (np.full(len(flat), float(size)) for size in image_size)
        # 4 mm for a pixel, as the codec has it where there is no camera
        factor = np.full((len(flat), 1), 4.0)
        joints, _ = self.codec.decode(flat, width, height, factor)
        joints = joints.reshape(array.shape)
        self._check_finite(joints)
        if self.stature is not None:
            # what comes later is not known to a stream
            smoothing = 0 if self.is_causal else SMOOTHING
            scale = stature_scale(joints, h36m.SKELETON, self.stature, smoothing)
            joints = joints * scale[..., None, None]
        return joints.astype(np.float32)

    def _check_finite(self, joints: NDArray) -> None:
        if not np.isfinite(joints).all():
            window, frame, joint = np.argwhere(~np.isfinite(joints))[0, :3].tolist()
            raise UserError(
                f'{self.name} predicts NaN or infinity, first in window {window} of '
                f'the batch, frame {frame}, joint {joint}: look for it in the weights, '
                'and take float32 if the precision was lower'
            )

    def _autocast(self) -> torch.autocast:
        lower = self.dtype in (torch.bfloat16, torch.float16)
        kind = self.dtype if lower else None
        return torch.autocast(self.device.type, kind, enabled=lower)

    def _forward(self, inputs: Tensor) -> Tensor:
        outputs = self.model(inputs, None, mode='tensor')
        if not self.flip_test:
            return outputs
        mirrored = self.model(mirror(inputs), None, mode='tensor')
        return (outputs + mirror(mirrored)) / 2


def mirror(joints: Tensor) -> Tensor:
    """The mirrored person: x turned round, left and right swapped.

    Args:
        joints: ``(..., 17, C)`` with x, of which 0 is the middle, as first channel.
    """
    mirrored = joints[..., list(h36m.FLIP_INDICES), :].clone()
    mirrored[..., 0] *= -1
    return mirrored
