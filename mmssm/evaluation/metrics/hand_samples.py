"""What metrics of hands read from a sample, checked."""

from typing import Any

import numpy as np


def name_of(sample: dict) -> str:
    """How messages call a sample: by its image."""
    return sample.get('img_path', f'sample {sample.get("img_id")}')


def prediction(sample: dict, key: str, remedy: str) -> np.ndarray:
    """A predicted array of a sample.

    Args:
        sample: As an evaluator hands it to a metric.
        key: Its name in ``pred_instances``.
        remedy: What to do where there is none, for the message.

    Returns:
        float64.

    Raises:
        KeyError: There is none.
        ValueError: It is not finite.
    """
    if key not in sample['pred_instances']:
        raise KeyError(f'the prediction for {name_of(sample)} has no {key}: {remedy}')
    found = as_array(sample['pred_instances'][key])
    if not np.isfinite(found).all():
        raise ValueError(
            f'the prediction for {name_of(sample)} is not finite; look for NaN in the '
            'weights or in the input'
        )
    return found


def truth(sample: dict, key: str, pred: np.ndarray, remedy: str) -> np.ndarray:
    """The true array of a sample.

    Args:
        sample: As an evaluator hands it to a metric.
        key: Its name in ``gt_instances``.
        pred: What was predicted, of the same shape.
        remedy: What to do where there is none, for the message.

    Returns:
        float64.

    Raises:
        KeyError: There is none.
        ValueError: Its shape is not that of the prediction.
    """
    if key not in sample['gt_instances']:
        raise KeyError(f'{name_of(sample)} has no {key}: {remedy}')
    found = as_array(sample['gt_instances'][key])
    if found.shape != pred.shape:
        raise ValueError(
            f'the prediction for {name_of(sample)} has shape {pred.shape}, its ground '
            f'truth {found.shape}'
        )
    return found


def known_in_plane(sample: dict, pred: np.ndarray) -> np.ndarray:
    """Which 2D joints of a sample are known: bool, ``pred.shape[:2]``."""
    return _sure(sample, 'keypoints_visible', pred)


def known_in_space(sample: dict, pred: np.ndarray) -> np.ndarray:
    """Which 3D joints of a sample are known: bool, ``pred.shape[:2]``.

    Sets whose joints are not known alike in the plane and in space say so by
    ``keypoints_cam_weights``.
    """
    apart = 'keypoints_cam_weights' in sample['gt_instances']
    return _sure(
        sample, 'keypoints_cam_weights' if apart else 'keypoints_visible', pred
    )


def _sure(sample: dict, key: str, pred: np.ndarray) -> np.ndarray:
    return as_array(sample['gt_instances'][key]).reshape(pred.shape[:2]) > 0.5


def as_array(values: Any) -> np.ndarray:
    """An array or a tensor of any device as float64."""
    if hasattr(values, 'detach'):
        values = values.detach().cpu()
    return np.asarray(values, np.float64)
