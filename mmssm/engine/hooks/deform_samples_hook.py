"""Draws where the deformable scans of DF-Mamba read the test images."""

import os.path as osp
from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmpose.structures import PoseDataSample
from numpy.typing import NDArray

from mmssm.models.deform_samples import DeformSamples, deform_samples
from mmssm.registry import HOOKS
from mmssm.visualization import SampledTokens, Skeleton, draw_samples_sheet

MOST_TOKENS = 6
"""So many tokens of a panel can still be told apart."""


@HOOKS.register_module()
class DeformSamplesHook(Hook):
    """Draws learned sampling positions, and predicted beside true joints.

    Takes the place of MMPose's ``PoseVisualizationHook``, which sees samples but
    not what happens in the model; the arguments that both have mean the same. For
    a picture the backbone runs once more on its image; other batches, and models
    without this hook, are as fast as before. It works with any checkpoint of a
    model with `mmssm.DFMamba` in it::

        python tools/test.py CONFIG CHECKPOINT --show-dir pictures --cfg-options \
            default_hooks.visualization.type=mmssm.DeformSamplesHook

    A picture shows the crop that the network sees, once for the last block of each
    stage of deformable scans, with the samples of the tokens under some joints, and
    once with the joints.

    Args:
        enable: Whether to draw at all.
        interval: Draw the first image of every so many batches.
        show: Show the pictures in windows and store nothing.
        wait_time: Seconds until a window closes; 0 waits for a key.
        out_dir: In testing, the folder for the pictures; a relative one lies in
            the run's folder. Default: they go to the visualizer's backends.

    Raises:
        ValueError: If ``interval`` is not positive.
    """

    def __init__(
        self,
        enable: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        out_dir: str | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(
                f'interval counts batches and must be >= 1, got {interval}'
            )
        self.enable = enable
        self.interval = interval
        self.show = show
        self.wait_time = wait_time
        self.out_dir = out_dir

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
    ) -> None:
        """Draws a validation image."""
        if self.enable and batch_idx % self.interval == 0:
            meta = runner.val_evaluator.dataset_meta
            self._draw(runner, batch_idx, data_batch, outputs, meta, None)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
    ) -> None:
        """Draws a test image."""
        if self.enable and batch_idx % self.interval == 0:
            meta = runner.test_evaluator.dataset_meta
            folder = self.out_dir and osp.join(
                runner.work_dir, runner.timestamp, self.out_dir
            )
            self._draw(runner, batch_idx, data_batch, outputs, meta, folder)

    @master_only
    def _draw(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
        dataset_meta: dict,
        folder: str | None,
    ) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        seen = model.data_preprocessor(data_batch, training=False)['inputs'][:1]
        swapped = getattr(model.data_preprocessor, '_channel_conversion', False)
        sample = outputs[0]
        predicted = _in_crop(sample.pred_instances.keypoints, sample)
        gt = sample.get('gt_instances')
        true = None
        if gt is not None and 'keypoints' in gt:
            true = _in_crop(gt.keypoints, sample)
        picture = draw_samples_sheet(
            _as_picture(data_batch['inputs'][0], swapped),
            [
                _under_joints(layer, predicted)
                for layer in _last_of_stages(deform_samples(model, seen))
            ],
            Skeleton.from_dataset_meta(dataset_meta),
            predicted,
            true,
        )
        name = f'{Path(str(sample.get("img_path", "image"))).stem}_{batch_idx}'
        visualizer = Visualizer.get_current_instance()
        if self.show:
            visualizer.show(picture, win_name=name, wait_time=self.wait_time)
        elif folder is None:
            visualizer.add_image(f'samples_{name}', picture, runner.iter)
        else:
            mmcv.imwrite(picture[..., ::-1], osp.join(folder, f'{name}.png'))


def _last_of_stages(layers: Sequence[DeformSamples]) -> list[DeformSamples]:
    """The last layer of each stage: ``stages.2.blocks.4.mixer.ssm`` and so on."""
    return list({layer.name.split('.')[1]: layer for layer in layers}.values())


def _under_joints(layer: DeformSamples, joints: NDArray) -> SampledTokens:
    """The samples of tokens nearest to joints ``(P, J, 2)``, of the first image."""
    rows, columns = layer.tokens.shape[:2]
    places = joints.reshape(-1, 2)
    places = places[np.isfinite(places).all(-1)] / layer.stride
    nearest = np.clip(places.round().astype(int), 0, [columns - 1, rows - 1])
    tokens = np.unique(nearest, axis=0)
    kept = np.linspace(0, len(tokens) - 1, min(MOST_TOKENS, len(tokens)))
    column, row = tokens[kept.round().astype(int)].T
    # Groups of channels are drawn over each other.
    positions = layer.positions[0].float().cpu().numpy()[row, column]
    weights = layer.weights[0].float().cpu().numpy()[row, column]
    _, stage, _, block, *_ = layer.name.split('.')
    return SampledTokens(
        title=f'stage {int(stage) + 1}, block {int(block) + 1}, stride {layer.stride}',
        tokens=layer.tokens.cpu().numpy()[row, column],
        positions=positions.reshape(len(row), -1, 2),
        weights=weights.reshape(len(row), -1),
    )


def _in_crop(keypoints: NDArray | torch.Tensor, sample: PoseDataSample) -> NDArray:
    """Joints ``(P, J, 2 or 3)`` of the image in pixels of the crop, ``(P, J, 2)``."""
    joints = np.asarray(keypoints, dtype=np.float64)[..., :2]
    size, scale = np.asarray(sample.input_size), np.asarray(sample.input_scale)
    joints = (joints - sample.input_center + 0.5 * scale) / scale * size
    if sample.get('crop_mirrored', False):
        joints[..., 0] = size[0] - 1 - joints[..., 0]
    return joints


def _as_picture(image: torch.Tensor, is_bgr: bool) -> NDArray[np.uint8]:
    """An input ``(C, H, W)`` as RGB; one channel, and what is no uint8, in greys."""
    picture = image.permute(1, 2, 0).cpu().numpy()
    if picture.dtype != np.uint8:
        low, high = picture.min(), picture.max()
        picture = (255 * (picture - low) / max(high - low, 1e-12)).astype(np.uint8)
    if picture.shape[2] == 1:
        return picture.repeat(3, axis=2)
    return picture[..., ::-1] if is_bgr else picture
