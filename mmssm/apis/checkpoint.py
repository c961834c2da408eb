"""Checkpoints that know their own model, and cannot run code.

A file holds the weights and, as plain data in ``meta['model']``, the config of
the model. MMEngine's ``MODELS.build`` imports any dotted name that a config
mentions, and some arguments of MMPose's classes read files or URLs, so a config
from a file is checked from end to end against :data:`ALLOWED` before anything
of it is built.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mmssm.utils.checkpoint_files import read_checkpoint

ALLOWED: dict[str, frozenset[str]] = {
    name: frozenset(arguments.split())
    for name, arguments in {
        'PoseLifter': 'backbone head test_cfg data_preprocessor',
        'PoseDataPreprocessor': 'mean std bgr_to_rgb',
        'L1Loss': 'reduction use_target_weight loss_weight',
        'ResNet': (
            'depth in_channels stem_channels base_channels num_stages strides '
            'dilations out_indices'
        ),
        'MotionRegressionHead': 'in_channels out_channels embedding_size loss decoder',
        'MPJPELoss': 'use_target_weight loss_weight',
        'MPJPEVelocityJointLoss': (
            'use_target_weight loss_weight lambda_scale lambda_3d_velocity'
        ),
        'MotionBERTLabel': (
            'num_keypoints root_index remove_root save_index concat_vis rootrel mode'
        ),
        'mmssm.PoseMamba': (
            'arch embed_dims depth num_frames num_joints in_channels d_state mlp_ratio '
            'drop_path_rate local_scan local_order local_grad scans '
            'interpolate_frames causal'
        ),
        'mmssm.SasMamba': (
            'arch embed_dims depth num_frames num_joints in_channels d_state mlp_ratio '
            'drop_path_rate structure_conv kernel_size bones stride_mode strides '
            'stride_grad scans local_order interpolate_frames causal'
        ),
        'mmssm.DFMamba': (
            'arch blocks depths dims in_channels expand gated_expand ffn_ratio d_state '
            'num_anchors offset_groups drop_path_rate out_indices out_dim '
            'frozen_stages with_cp norm_eval norm_cfg'
        ),
        'mmssm.TopdownHandEstimator': 'backbone neck head test_cfg data_preprocessor',
        'mmssm.HeatmapDepthHead': (
            'in_channels num_joints stride deconv_out_channels deconv_kernel_sizes '
            'final_layer loss loss_depth heatmap_loss_weight sigma beta decoder'
        ),
        'mmssm.HeatmapDepth': 'input_size root_index',
        'mmssm.VMamba': (
            'arch embed_dims depths ssm_ratio in_channels d_state mlp_ratio '
            'drop_path_rate out_indices frozen_stages with_cp'
        ),
        'mmssm.HandMeshEstimator': (
            'backbone neck head crop_columns focal_length test_cfg data_preprocessor'
        ),
        'mmssm.HandMeshLoss': (
            'keypoints_2d keypoints_3d global_orient hand_pose betas betas_reg '
            'reduction'
        ),
        'mmpretrain.VisionTransformer': (
            'arch img_size patch_size patch_cfg qkv_bias drop_path_rate '
            'with_cls_token out_type'
        ),
        'mmssm.MANO': 'tips joint_order flat_hand_mean side mirror_left_shapes',
        'mmssm.HambaHead': (
            'in_channels arch embed_dims regressor_depths num_gss gss_depth feat_size '
            'crop_size crop_columns stride first_cell sampling_x_pad drop_path_rate '
            'fusion token_sampler graph_conv mixer bidirectional scan_order mano loss'
        ),
        'mmssm.MANOHead': 'in_channels hidden_dims mano loss',
        'mmssm.LiftingHead': 'in_channels out_channels loss decoder',
        'mmssm.LiftingLoss': (
            'mpjpe n_mpjpe velocity temporal_consistency joint_weights '
            'use_target_weight weighted_mpjpe'
        ),
    }.items()
}
"""The classes that a file may name, and the arguments that it may set.

``model`` of ``mmssm.MANO`` is not among them: a file must not say which other file
is to be read. Such a checkpoint serves the free hand.
"""

PLAIN_DICTS = {
    'test_cfg': frozenset(
        [
            'flip_test',
            'shift_coords',
            'output_keypoint_indices',
            'tta_scales',
            'tta_rotations',
        ]
    ),
    'patch_cfg': frozenset(['padding']),
    'arch': frozenset(
        ['embed_dims', 'num_layers', 'num_heads', 'feedforward_channels']
    ),
}
"""Arguments that are dicts of no class, and what they may hold."""

_NOT_STORED = ('init_cfg', 'train_cfg', 'metainfo', 'prior')


class UnsafeConfigError(ValueError):
    """A model config holds something that a file may not ask for."""


def check_model_config(config: Any) -> None:
    """Checks that a model config is plain data of allowed classes.

    Args:
        config: The config, for instance ``meta['model']`` of a checkpoint.

    Raises:
        UnsafeConfigError: If a class is not in :data:`ALLOWED`, an argument is
            not among its allowed ones (``init_cfg`` never is: it can name a
            URL), or a value is not plain data. The message says where.
    """
    if not isinstance(config, Mapping) or 'type' not in config:
        raise UnsafeConfigError(
            "the model config of a checkpoint must be a dict with a 'type', got "
            f'{type(config).__name__}'
        )
    _check_value(config, 'model')


def _check_value(value: Any, place: str) -> None:
    if isinstance(value, Mapping):
        allowed, owner = _allowed_keys(value, place)
        for key, item in value.items():
            if key not in allowed:
                raise UnsafeConfigError(
                    f'{place}.{key} is not among what a checkpoint may set of '
                    f'{owner}: {", ".join(sorted(allowed)) or "nothing"}'
                )
            _check_value(item, f'{place}.{key}')
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check_value(item, f'{place}[{position}]')
    elif not isinstance(value, bool | int | float | str | None):
        raise UnsafeConfigError(
            f'{place} is a {type(value).__name__}; a checkpoint may hold only '
            'numbers, strings, lists and dicts'
        )


def _allowed_keys(config: Mapping, place: str) -> tuple[frozenset[str], str]:
    argument = place.rpartition('.')[2]
    if argument in PLAIN_DICTS and 'type' not in config:
        return PLAIN_DICTS[argument], argument
    name = config.get('type')
    if not isinstance(name, str) or name not in ALLOWED:
        raise UnsafeConfigError(
            f'{place} names type {name!r}, which a checkpoint may not build; allowed '
            f'are {", ".join(sorted(ALLOWED))}. If you trust the file, build the model '
            'from a config file of your own and load its weights into that'
        )
    return ALLOWED[name] | {'type'}, name


def model_config_for_checkpoint(config: Mapping) -> dict:
    """Takes from a training config's ``model`` what a checkpoint keeps.

    Args:
        config: The ``model`` dict of a config.

    Returns:
        The same as plain dicts, lists and numbers, without what only training
        reads (``init_cfg``, ``train_cfg``, ``metainfo``).

    Raises:
        UnsafeConfigError: If the rest would not be accepted when loading.
    """
    plain = _plain(config)
    check_model_config(plain)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _plain(item) for key, item in value.items() if key not in _NOT_STORED
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def save_checkpoint(
    path: str | Path, state_dict: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> None:
    """Writes weights with the config of their model.

    Args:
        path: Ending in ``.safetensors``, or in ``.pth`` for a file that MMEngine
            reads too (``load_from``, ``tools/test.py``).
        state_dict: The weights.
        meta: Plain data; ``meta['model']`` is the config of the model, as
            :func:`model_config_for_checkpoint` gives it.

    Raises:
        UnsafeConfigError: If ``meta['model']`` would be refused when loading.
        ValueError: If ``path`` has another ending.
    """
    check_model_config(meta.get('model'))
    # A round trip through JSON makes tuples lists and refuses all but plain data,
    # so that both kinds of file hold the same.
    text = json.dumps(dict(meta))
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in state_dict.items()
    }
    if _check_ending(path) == '.safetensors':
        save_file(tensors, path, metadata={'format': 'pt', 'meta': text})
    else:
        torch.save({'state_dict': tensors, 'meta': json.loads(text)}, path)


def load_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads weights and meta data from a file without running code of it.

    Args:
        path: A file of :func:`save_checkpoint` or of a model converter.

    Returns:
        The weights, on the CPU, and the meta data. Nothing is checked but that
        ``meta['model']`` is there.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint at {path}')
    _check_ending(path)
    try:
        content = read_checkpoint(path)
    except pickle.UnpicklingError as error:
        raise ValueError(str(error)) from error
    state_dict = content.get('state_dict') if isinstance(content, Mapping) else None
    if not isinstance(state_dict, Mapping) or not all(
        isinstance(tensor, Tensor) for tensor in state_dict.values()
    ):
        raise ValueError(f"{path} has no tensors by name under 'state_dict'")
    meta = content.get('meta')
    if not isinstance(meta, Mapping) or 'model' not in meta:
        raise ValueError(
            f"{path} does not hold its model's config (meta['model']); load it into a "
            'model built from the config that it was trained with'
        )
    return dict(state_dict), dict(meta)


def build_from_checkpoint(
    path: str | Path, device: str | torch.device = 'cpu'
) -> nn.Module:
    """Builds the model that a checkpoint describes and loads its weights.

    Args:
        path: A file of :func:`save_checkpoint` or of a model converter.
        device: Where the model is put.

    Returns:
        The model, in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        UnsafeConfigError: If the file asks for anything outside
            :data:`ALLOWED`; nothing has been built then.
        ValueError: If the file is not a checkpoint with its model's config, or
            its weights do not fit that config.
    """
    state_dict, meta = load_checkpoint(path)
    check_model_config(meta['model'])
    # MMPose is imported only for a file that has passed.
    from mmengine.registry import DefaultScope
    from mmpose.registry import MODELS

    import mmssm.registry  # noqa: F401

    # a data preprocessor is built by MMEngine, which looks into this scope alone
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(meta['model'])
    try:
        model.load_state_dict(state_dict)
    except RuntimeError as error:
        raise ValueError(
            f'the weights in {path} do not fit the model that it describes: {error}'
        ) from error
    return model.to(device).eval()


def _check_ending(path: str | Path) -> str:
    suffix = Path(path).suffix
    if suffix not in ('.safetensors', '.pth'):
        raise ValueError(
            f'a checkpoint ends in .safetensors or .pth, got {Path(path).name}'
        )
    return suffix
