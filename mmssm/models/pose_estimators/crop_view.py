"""Ways to look at a crop of a hand, and what is seen turned back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor

from mmssm.geometry.rotations import mean_rotation
from mmssm.structures.hand import WRIST

_MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)
"""What a mirror image makes of x, y, z."""


@dataclass(frozen=True)
class CropView:
    """A square crop, cut out anew with another box, then mirrored.

    Pipelines cut out crops in such views (``bbox_rotation``, ``crop_mirrored``), and
    test-time augmentation makes more of them from the crop. Both are undone here.

    Attributes:
        scale: Side of the box in units of the crop's; below 1 the hand is seen
            larger.
        rotation: MMPose's ``bbox_rotation`` in degrees: the box is turned clockwise
            in the image, so the hand is turned anticlockwise in the view.
        mirrored: Whether left and right are exchanged, after all else.
    """

    scale: float = 1.0
    rotation: float = 0.0
    mirrored: bool = False

    def see(self, crops: Tensor, border: Tensor) -> Tensor:
        """Makes the view of some crops.

        Args:
            crops: ``(N, C, S, S)``.
            border: Colour beyond the crop, ``(C)``.

        Returns:
            ``(N, C, S, S)``, read bilinearly.
        """
        if self.scale != 1 or self.rotation != 0:
            border = border.to(crops).view(1, -1, 1, 1)
            grid = self._grid(crops).expand(len(crops), -1, -1, -1)
            crops = border + F.grid_sample(crops - border, grid, align_corners=True)
        return crops.flip(-1) if self.mirrored else crops

    def _grid(self, crops: Tensor) -> Tensor:
        """Where in the crop each pixel of the view is, for ``grid_sample``."""
        side = crops.shape[-1]
        # The middle of a crop is at S / 2 where pixel i is at i: MMPose's rule.
        axis = torch.arange(side, dtype=torch.float32, device=crops.device) - side / 2
        y, x = torch.meshgrid(axis, axis, indexing='ij')
        place = torch.stack([x, y], -1) @ self._turn().to(x).T * self.scale + side / 2
        return (2 * place / (side - 1) - 1)[None].to(crops)

    def _turn(self) -> Tensor:
        """``(2, 2)``, from the view's directions to those of the crop."""
        angle = math.radians(self.rotation)
        cos, sin = math.cos(angle), math.sin(angle)
        return torch.tensor([[cos, -sin], [sin, cos]])

    def undo(self, hand: InstanceData, side: int) -> InstanceData:
        """Brings a hand that was predicted in the view back into the crop.

        The parameters of the hand model stay those of the mesh: turned is the
        wrist's rotation, and vertices are turned about the wrist's joint, which no
        rotation moves in the hand's frame; the camera's translation makes up for
        it. A mirrored hand is of the other hand: its parameters are those of a hand
        model mirrored at x = 0 (the y and z components of axis-angle vectors change
        sign), which for MANO is the left hand.

        Args:
            hand: What a mesh head predicts, arrays: ``keypoints (1, K, 2)``, pixels;
                ``keypoints_3d (1, K, 3)`` and ``mesh_vertices (1, V, 3)``, metres
                from the hand model's origin, the first joint being the wrist;
                ``mano_global_orient (1, 1, 3, 3)``, ``mano_hand_pose (1, J, 3, 3)``,
                ``mano_betas``, ``pred_cam (1, 3)``, ``cam_t (1, 3)``.
            side: S, width of the view, pixels.

        Returns:
            The same fields.
        """
        hand = hand.clone()
        if self.mirrored:
            _mirror(hand, side)
        if self.rotation != 0:
            _turn(hand, side, self._turn().numpy())
        if self.scale != 1:
            middle = np.float32(side / 2)
            hand.keypoints = (hand.keypoints - middle) * self.scale + middle
            cameras = np.array([[self.scale, 1, 1], [1, 1, 1 / self.scale]], np.float32)
            hand.pred_cam = hand.pred_cam * cameras[0]
            hand.cam_t = hand.cam_t * cameras[1]
        return hand


def _mirror(hand: InstanceData, side: int) -> None:
    # A mirror image has pixel i at S - 1 - i, which is about the middle of the
    # pixels, S / 2 - 1 / 2. The camera looks at S / 2.
    keypoints = hand.keypoints.copy()
    keypoints[..., 0] = side - 1 - keypoints[..., 0]
    hand.keypoints = keypoints
    for name in ('keypoints_3d', 'mesh_vertices'):
        hand.set_field(hand.get(name) * _MIRROR, name)
    for name in ('mano_global_orient', 'mano_hand_pose'):
        hand.set_field(hand.get(name) * np.outer(_MIRROR, _MIRROR), name)
    pixel = 2 / (side * hand.pred_cam[:, 0])
    for name, x in (('pred_cam', 1), ('cam_t', 0)):
        camera = hand.get(name).copy()
        camera[:, x] = -camera[:, x] - pixel
        hand.set_field(camera, name)


def _turn(hand: InstanceData, side: int, turn: np.ndarray) -> None:
    middle = np.float32(side / 2)
    hand.keypoints = (hand.keypoints - middle) @ turn.T + middle
    space = np.eye(3, dtype=np.float32)
    space[:2, :2] = turn
    wrist = hand.keypoints_3d[:, WRIST]
    for name in ('keypoints_3d', 'mesh_vertices'):
        points = hand.get(name) - wrist[:, None]
        hand.set_field(points @ space.T + wrist[:, None], name)
    hand.mano_global_orient = space @ hand.mano_global_orient
    hand.cam_t = (hand.cam_t + wrist) @ space.T - wrist
    hand.pred_cam = np.concatenate([hand.pred_cam[:, :1], hand.cam_t[:, :2]], 1)


def average_hands(hands: Sequence[InstanceData]) -> InstanceData:
    """The mean of several predictions of one hand in one crop.

    Hands are laid on the first one's wrist, and their cameras moved along, for where
    the wrist is in the hand's frame depends on shape and side. Then means are taken
    of joints, in the crop and in space, of vertices, of shape coefficients and of
    the weak-perspective cameras; rotations have their mean on SO(3), depths their
    harmonic mean, for they are proportional to 1 / s. So joints and vertices are
    means of the hands and, where these differ in pose, not exactly those of the mean
    parameters.

    Args:
        hands: Fields as of :meth:`CropView.undo`.

    Returns:
        The same fields.
    """
    if len(hands) == 1:
        return hands[0]
    names = [name for name, _ in hands[0].items()]
    fields = {name: np.stack([hand.get(name) for hand in hands]) for name in names}
    wrists = fields['keypoints_3d'][:, :, WRIST]
    shift = wrists[0] - wrists
    for name in ('keypoints_3d', 'mesh_vertices'):
        fields[name] += shift[:, :, None]
    for name, places in (('pred_cam', slice(1, 3)), ('cam_t', slice(0, 2))):
        fields[name][..., places] -= shift[..., :2]
    mean = InstanceData(**{name: value.mean(0) for name, value in fields.items()})
    for name in ('mano_global_orient', 'mano_hand_pose'):
        mean.set_field(mean_rotation(torch.from_numpy(fields[name])).numpy(), name)
    mean.cam_t[:, 2] = 1 / (1 / fields['cam_t'][..., 2]).mean(0)
    return mean
