"""Random hands as mesh heads predict them, and their labels."""

import roma
import torch

from mmssm.geometry.cameras import project_to_crop, weak_perspective_translation
from mmssm.models.heads.mesh_prediction import MeshPrediction


def prediction(count=2, vertices=12, dtype=torch.float64, seed=0, requires_grad=False):
    """Hands within their crops; the tensors of a network's output are leaves."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, scale=1.0):
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    turns = roma.rotvec_to_rotmat(normal(count, 16, 3, scale=0.5))
    cam = torch.tensor([5.0, 0.0, 0.0]) + normal(count, 3, scale=0.02)
    joints = normal(count, 21, 3, scale=0.03)
    cam_t = weak_perspective_translation(cam)
    tensors = (
        turns[:, :1],
        turns[:, 1:],
        normal(count, 10),
        cam,
        cam_t,
        normal(count, vertices, 3, scale=0.03),
        joints,
        project_to_crop(joints, cam_t),
    )
    return MeshPrediction(
        *(t.to(dtype).clone().requires_grad_(requires_grad) for t in tensors)
    )


def labels(count=2, dtype=torch.float64, seed=1):
    """Complete labels of other hands; all weights are 1."""
    other = prediction(count, dtype=dtype, seed=seed)
    ones = torch.ones(count, 21, dtype=dtype)
    return {
        'keypoints_2d': other.keypoints,
        'keypoints_2d_weights': ones.clone(),
        'joints_3d': other.joints,
        'joints_3d_weights': ones.clone(),
        'global_orient': other.global_orient,
        'hand_pose': other.hand_pose,
        'betas': other.betas,
        'has_mano_pose': ones[:, 0].clone(),
        'has_betas': ones[:, 0].clone(),
    }
