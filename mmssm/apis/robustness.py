"""How a lifter's error grows when its 2D input gets worse.

The validation data of a config is spoilt more and more, in one way at a time, and
evaluated by the config's own evaluator. What is spoilt comes on top of what the data is
already: level 0 is the config's own evaluation.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner


@dataclass(frozen=True)
class Sweep:
    """One way to spoil the input.

    Attributes:
        title: What is varied, with its unit.
        levels: Its values, from none at all.
        transform: Makes the config of the transform for a value.
    """

    title: str
    levels: tuple[float, ...]
    transform: Callable[[float], dict]


def _noise(std: float) -> dict:
    return dict(
        type='mmssm.DetectorNoise', std=std, occlusion_rate=0.0, confidence=(1.0, 1.0)
    )


SWEEPS: Mapping[str, Sweep] = {
    'noise': Sweep('added 2D noise (pixels)', (0, 2, 4, 8, 16, 32), _noise),
    'joints': Sweep(
        'joints lost (part of all)',
        (0.0, 0.1, 0.2, 0.3, 0.5, 0.7),
        lambda rate: dict(type='mmssm.LostDetections', joint_rate=rate),
    ),
    'frames': Sweep(
        'frames lost (part of all)',
        (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
        lambda rate: dict(type='mmssm.LostDetections', frame_rate=rate),
    ),
}
"""Noise as a detector's, that is alike in successive frames; joints, and whole frames,
that are not found and are interpolated in time."""


@dataclass(frozen=True)
class SweepResult:
    """Errors along a sweep.

    Attributes:
        title: What was varied.
        levels: Its values.
        metrics: By the evaluator's names, a value for each level.
    """

    title: str
    levels: tuple[float, ...]
    metrics: Mapping[str, tuple[float, ...]]


def sweep(
    config: Config,
    model: BaseModel,
    name: str,
    levels: Sequence[float] | None = None,
    progress: Callable[[float, Mapping[str, float]], Any] | None = None,
) -> SweepResult:
    """Evaluates a lifter on input that gets worse and worse.

    Args:
        config: With ``val_dataloader`` and ``val_evaluator``; the pipeline has a
            ``GenerateTarget``, before which the input is spoilt.
        model: The lifter, with its weights.
        name: A name of :data:`SWEEPS`.
        levels: In the place of the sweep's own.
        progress: Called with each level and its metrics.

    Returns:
        The errors.

    Raises:
        ValueError: There is no such sweep, or the pipeline has no ``GenerateTarget``.
    """
    if name not in SWEEPS:
        raise ValueError(f'there is no sweep {name!r}; there are {list(SWEEPS)}')
    chosen = SWEEPS[name]
    levels = chosen.levels if levels is None else tuple(levels)
    found: dict[str, list[float]] = {}
    for level in levels:
        spoilt = spoil(config, chosen.transform(level) if level else None)
        metrics = evaluate(spoilt, model)
        for key, value in metrics.items():
            found.setdefault(key, []).append(float(value))
        if progress is not None:
            progress(level, metrics)
    metrics_of = {key: tuple(values) for key, values in found.items()}
    return SweepResult(chosen.title, tuple(levels), metrics_of)


def spoil(config: Config, transform: dict | None) -> Config:
    """A copy of a config whose validation data goes through one more transform.

    Args:
        config: The config.
        transform: What comes before ``GenerateTarget``, after all that makes or
            changes 2D keypoints. None changes nothing.

    Raises:
        ValueError: The pipeline has no ``GenerateTarget``.
    """
    config = copy.deepcopy(config)
    pipeline = config.val_dataloader.dataset.pipeline
    places = [i for i, step in enumerate(pipeline) if step['type'] == 'GenerateTarget']
    if not places:
        raise ValueError(
            "the validation pipeline has no GenerateTarget; of a lifter's it has one, "
            f'found {[step["type"] for step in pipeline]}'
        )
    if transform is not None:
        pipeline.insert(places[0], transform)
    return config


@torch.no_grad()
def evaluate(config: Config, model: BaseModel) -> dict[str, float]:
    """Evaluates a model on a config's validation data, in this process.

    Args:
        config: With ``val_dataloader`` and ``val_evaluator``.
        model: The estimator, with its weights.

    Returns:
        The evaluator's metrics.
    """
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpose')):
        loader = Runner.build_dataloader(copy.deepcopy(config.val_dataloader), seed=0)
        evaluator = Runner.build_evaluator(None, copy.deepcopy(config.val_evaluator))
        dataset = loader.dataset
        assert isinstance(dataset, BaseDataset)
        evaluator.dataset_meta = dataset.metainfo
        was_training = model.training
        model.eval()
        try:
            for batch in loader:
                evaluator.process(model.val_step(batch), batch)
        finally:
            model.train(was_training)
        return evaluator.evaluate(len(dataset))
