"""A predictor of hands that knows nothing, as a yardstick."""

import numpy as np
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS

import mmssm.registry  # noqa: F401 (its classes are named in configs)

COLUMNS = {'keypoints_cam': 'keypoints_3d', 'vertices': 'mesh_vertices'}
"""What is known of a hand, and what a network calls it."""


def evaluate_mean_hand(config: Config) -> dict[str, float]:
    """Evaluates the mean hand of the training images on a config's validation data.

    The mean is of joints, and of vertices where the data set has them, relative to
    the root joint: of the config's own metrics, those of absolute places say nothing.

    Args:
        config: Config with ``train_dataloader``, ``val_dataloader`` and
            ``val_evaluator``; its pipelines are not used.

    Returns:
        The metrics.
    """
    with DefaultScope.overwrite_default_scope('mmpose'):
        training, validation = (
            DATASETS.build({**config[f'{phase}_dataloader'].dataset, 'pipeline': []})
            for phase in ('train', 'val')
        )
        evaluator = Evaluator(config.val_evaluator)
    root = training.metainfo['root_index']
    hands = [_relative(training[number], root) for number in range(len(training))]
    mean = {COLUMNS[key]: np.mean([one[key] for one in hands], 0) for key in hands[0]}
    evaluator.dataset_meta = validation.metainfo
    known = ('keypoints_visible', 'keypoints_cam_weights', *COLUMNS)
    for number in range(len(validation)):
        sample = validation[number]
        truth = {key: sample[key] for key in known if key in sample}
        result = dict(img_path=sample['img_path'], gt_instances=truth)
        evaluator.process([{**result, 'pred_instances': mean}])
    return evaluator.evaluate(len(validation))


def _relative(sample: dict, root: int) -> dict[str, np.ndarray]:
    place = sample['keypoints_cam'][:, root : root + 1]
    return {
        key: np.asarray(sample[key] - place, np.float64)
        for key in COLUMNS
        if key in sample
    }
