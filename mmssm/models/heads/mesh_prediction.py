"""From a network's numbers to a hand in a camera."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssm.geometry.cameras import project_to_crop, weak_perspective_translation
from mmssm.geometry.rotations import axis_angle_to_matrix, rotation_6d_to_matrix

from ..layers import without_autocast

MEAN_ROOT = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
"""Mean rotation of the root, six numbers: a half turn about the x axis."""

MEAN_CAMERA = (4.0, 0.0, 0.0)
"""Mean weak-perspective camera: scale and shift."""


class MeshPrediction(NamedTuple):
    """Hands predicted for a batch of N square crops.

    Metres; axes of the camera, x to the right, y down, z forward. Joints are in
    the order ``'op21'``.

    Attributes:
        global_orient: ``(N, 1, 3, 3)`` rotation of the root.
        hand_pose: ``(N, 15, 3, 3)`` rotation of each other joint in its parent's
            frame.
        betas: ``(N, 10)`` shape coefficients.
        cam: ``(N, 3)`` weak-perspective camera (s, tx, ty).
        cam_t: ``(N, 3)`` where the hand model's origin is in the frame of the
            crop's camera.
        vertices: ``(N, V, 3)`` from the hand model's origin.
        joints: ``(N, 21, 3)`` likewise.
        keypoints: ``(N, 21, 2)`` joints in the crop; -0.5 is its left or upper
            border, 0.5 the right or lower.
    """

    global_orient: Tensor
    hand_pose: Tensor
    betas: Tensor
    cam: Tensor
    cam_t: Tensor
    vertices: Tensor
    joints: Tensor
    keypoints: Tensor


class HandLayer(Protocol):
    """What is asked of a hand model's layer (`mmssm.MANO`).

    Attributes:
        num_joints: Number of rotations, the root's among them.
        num_betas: Number of shape coefficients.
        hands_mean: ``(num_joints - 1, 3)`` mean pose, axis-angle.
    """

    num_joints: int
    num_betas: int
    hands_mean: Tensor

    __call__: Callable[..., tuple[Tensor, ...]]


def predict_mesh(
    hand_layer: Callable[..., tuple[Tensor, ...]],
    pose: Tensor,
    betas: Tensor,
    cam: Tensor,
) -> MeshPrediction:
    """Makes hands of parameters.

    Args:
        hand_layer: Gives vertices and joints of rotations and shape, as
            `mmssm.MANO` does.
        pose: ``(N, 6 J)``, six numbers for the rotation of each joint (see
            :func:`mmssm.geometry.rotations.rotation_6d_to_matrix`), root first.
        betas: ``(N, S)`` shape coefficients.
        cam: ``(N, 3)`` weak-perspective camera (s, tx, ty).

    Returns:
        The hands, in the crop's camera. Autocast changes nothing of them.

    Source:
        Pavlakos et al., "Reconstructing Hands in 3D with Transformers" (HaMeR,
        CVPR 2024).
    """
    with without_autocast(pose.device.type):
        rotations = rotation_6d_to_matrix(pose.unflatten(1, (-1, 6)))
        global_orient, hand_pose = rotations[:, :1], rotations[:, 1:]
        vertices, joints = hand_layer(global_orient, hand_pose, betas)[:2]
        cam_t = weak_perspective_translation(cam)
        keypoints = project_to_crop(joints, cam_t)
    return MeshPrediction(
        global_orient, hand_pose, betas, cam, cam_t, vertices, joints, keypoints
    )


class MeshRegressor(BaseModule):
    """Features to parameters of a hand: linear layers that add to a mean hand.

    The mean hand has its root turned by :data:`MEAN_ROOT`, the hand model's mean
    pose, no shape, and the camera :data:`MEAN_CAMERA`. HaMeR and Hamba read the
    mean from a file that is derived from MANO; the six numbers of its root,
    (1, 0, 0, -1, 0, 0), are collinear as they read them and give no rotation.

    All is computed in the precision of the weights, also under autocast.

    Args:
        in_channels: Number of features.
        hand_layer: The hand model's layer, for its sizes and its mean pose.
    """

    mean_pose: Tensor
    mean_cam: Tensor

    def __init__(self, in_channels: int, hand_layer: HandLayer) -> None:
        super().__init__()
        self.pose = nn.Linear(in_channels, 6 * hand_layer.num_joints)
        self.betas = nn.Linear(in_channels, hand_layer.num_betas)
        self.cam = nn.Linear(in_channels, 3)
        # Derived from the hand model, so no checkpoint may carry it.
        fingers = axis_angle_to_matrix(hand_layer.hands_mean.view(-1, 3))
        columns = fingers[..., :2].transpose(1, 2).flatten()
        mean_pose = torch.cat([columns.new_tensor(MEAN_ROOT), columns])
        self.register_buffer('mean_pose', mean_pose, persistent=False)
        self.register_buffer('mean_cam', torch.tensor(MEAN_CAMERA), persistent=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Begins close to the mean hand."""
        for layer in (self.pose, self.betas, self.cam):
            nn.init.xavier_uniform_(layer.weight, gain=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Regresses parameters.

        Args:
            features: ``(N, in_channels)``.

        Returns:
            What :func:`predict_mesh` takes: six numbers for each rotation ``(N, 6
            J)``, shape ``(N, S)``, camera ``(N, 3)``.
        """
        with without_autocast(features.device.type):
            features = features.to(self.pose.weight.dtype)
            return (
                self.mean_pose + self.pose(features),
                self.betas(features),
                self.mean_cam + self.cam(features),
            )
