"""Two predictors that know nothing, as yardsticks for a lifter."""

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.registry import DATA_SAMPLERS, DATASETS, KEYPOINT_CODECS
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401 (its classes are named in configs)


def mean_pose(dataset: Any, indices: Iterable[int]) -> np.ndarray:
    """Mean root-relative pose of a dataset, in the camera's frame.

    Args:
        dataset: Lifting dataset whose pipeline packs ``lifting_target``
            ``(T, K, 3)`` in metres.
        indices: Samples to take.

    Returns:
        ``(K, 3)`` metres.
    """
    targets = [
        dataset[index]['data_samples'].gt_instances.lifting_target for index in indices
    ]
    return np.concatenate(targets).mean(0, dtype=np.float64)


def flat_pose(codec: Any, keypoint_labels: np.ndarray, sample: PoseDataSample):
    """Every joint at the root's depth, x and y where the 2D input has them.

    Args:
        codec: ``MotionBERTLabel``, whose decoder uses the sample's true scale.
        keypoint_labels: ``(T, K, 2 or 3)`` normalised 2D input.
        sample: The sample, with ``camera_param`` and ``factor``.

    Returns:
        ``(T, K, 3)`` metres, root-relative.
    """
    encoded = np.zeros((1, *keypoint_labels.shape[:2], 3))
    xy = keypoint_labels[..., :2]
    encoded[0, ..., :2] = xy - xy[:, codec.root_index, None]
    camera = sample.metainfo['camera_param']
    size = {key: np.array([[camera[key]]]) for key in ('w', 'h')}
    pose, _ = codec.decode(encoded, factor=sample.metainfo['factor'][None], **size)
    return pose[0]


def evaluate_trivial_lifters(cfg: Config) -> dict[str, dict[str, float]]:
    """Evaluates mean pose and flat pose on a config's validation data.

    Both go through the config's own validation pipeline and evaluator, so
    their numbers stand beside a model's:

    - ``mean_pose``: the mean root-relative pose of the training data (its first
      epoch), in the camera's frame, for every frame;
    - ``flat``: the 2D input at the true root depth and scale (which the
      decoder uses for every model), every joint at the root's depth.

    Args:
        cfg: Config with ``train_dataloader``, ``val_dataloader``,
            ``val_evaluator`` and a ``MotionBERTLabel`` in
            ``model.head.decoder``.

    Returns:
        The evaluator's metrics for ``'mean_pose'`` and ``'flat'``.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmpose')):
        val_cfg = cfg.val_dataloader.dataset
        train_cfg = copy.deepcopy(cfg.train_dataloader.dataset)
        train_cfg.pipeline = val_cfg.pipeline
        val_set = DATASETS.build(val_cfg)
        codec = KEYPOINT_CODECS.build(cfg.model.head.decoder)
        train_set = DATASETS.build(train_cfg)
        sampler = DATA_SAMPLERS.build(
            cfg.train_dataloader.sampler, default_args={'dataset': train_set, 'seed': 0}
        )
        mean = mean_pose(train_set, sampler)
        items = [val_set[index] for index in range(len(val_set))]
        predictors = {
            'mean_pose': lambda item: np.broadcast_to(
                mean, item['data_samples'].gt_instances.lifting_target.shape
            ),
            'flat': lambda item: flat_pose(
                codec, item['inputs'].numpy(), item['data_samples']
            ),
        }
        return {
            name: _evaluate(cfg.val_evaluator, val_set.metainfo, items, predict)
            for name, predict in predictors.items()
        }


def _evaluate(evaluator_cfg, metainfo: dict, items: list, predict) -> dict[str, float]:
    evaluator = Evaluator(evaluator_cfg)
    evaluator.dataset_meta = metainfo
    for item in items:
        sample = item['data_samples'].clone()
        sample.pred_instances = InstanceData(keypoints=predict(item)[None])
        evaluator.process([sample])
    return evaluator.evaluate(len(items))
