"""Draws what a dataset yields: images with their poses, and sequences.

Options are those of MMPose's tool of the same name, which knows images alone.
Hands are drawn on their images, depth images in grey; the config may be one of a
dataset alone. A sample of 2D and 3D joints over time becomes a picture of some of
its frames and, with --output-dir, an animation.

    python tools/misc/browse_dataset.py CONFIG --output-dir pictures --not-show
    python tools/misc/browse_dataset.py CONFIG --phase val --mode original
    python tools/misc/browse_dataset.py configs/_base_/datasets/rhd3d.py \
        --output-dir pictures --not-show
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmengine.utils import ProgressBar
from mmpose.datasets import CombinedDataset
from mmpose.registry import DATASETS, KEYPOINT_CODECS, VISUALIZERS
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.datasets import LoadCheckedImage, LoadDepthImage, NormalizeDepth
from mmssm.engine import preflight
from mmssm.engine.cli import OptionsAction, merge_options, messages_for_users
from mmssm.utils.errors import UserError
from mmssm.visualization import Pose3dVisualizer, PoseSequence

VISUALIZER = dict(
    type='PoseLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')],
    name='visualizer',
)
"""Where the config, that of a dataset alone, has none."""

NOMINAL_FACTOR = 4.0
"""Millimetres per pixel where a file has none, as MMPose's codec has it."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='train config file path')
    parser.add_argument('--output-dir', type=Path, help='folder for the pictures')
    parser.add_argument(
        '--not-show', action='store_true', help='open no windows; needs --output-dir'
    )
    parser.add_argument(
        '--max-item-per-dataset',
        type=int,
        default=50,
        help='how many samples of each dataset (default: 50)',
    )
    parser.add_argument(
        '--phase',
        default='train',
        choices=['train', 'test', 'val'],
        help='which dataset of the config (default: train)',
    )
    parser.add_argument(
        '--show-interval',
        type=float,
        default=2,
        help='seconds that a window stays open (default: 2)',
    )
    parser.add_argument(
        '--mode',
        default='transformed',
        choices=['original', 'transformed'],
        help='samples as the files hold them, or as the model gets them, after '
        'augmentation (default: transformed)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='changes of the config',
    )
    return parser.parse_args(argv)


def indices(dataset: Any, most: int) -> Iterator[int]:
    """The first samples of a dataset, or of each part of a combined one in turn."""
    lengths = [len(dataset)]
    if isinstance(dataset, CombinedDataset):
        lengths = list(dataset.lens)
    starts = np.cumsum([0, *lengths])
    for position in range(min(most, max(lengths))):
        for start, length in zip(starts, lengths, strict=False):
            if position < length:
                yield int(start) + position


def as_transformed(item: dict, encoder: dict | None) -> PoseSequence:
    """What a model gets and is to predict, in pixels and metres.

    Args:
        item: A packed sample.
        encoder: Config of the codec that made it.

    Returns:
        The sequence.

    Raises:
        UserError: The codec is of another kind than MotionBERT's.
    """
    if encoder is None or encoder['type'].split('.')[-1] != 'MotionBERTLabel':
        raise UserError(
            '--mode transformed undoes the normalisation of MotionBERTLabel; this '
            f'pipeline has {encoder and encoder["type"]}: use --mode original'
        )
    sample = item['data_samples']
    width, height = (sample.camera_param[key] for key in ('w', 'h'))
    inputs = np.asarray(item['inputs'])[..., :2]
    keypoints = (inputs + np.array([1, height / width])) * width / 2
    target = np.asarray(sample.gt_instance_labels.lifting_target_label)
    if encoder.get('mode', 'test') == 'train':
        sizes = [np.full(len(target), size) for size in (width, height)]
        codec = KEYPOINT_CODECS.build({**encoder, 'rootrel': True})
        target, _ = codec.decode(target, *sizes, np.asarray(sample.factor))
    return PoseSequence(name_of(sample.target_img_path), None, target, keypoints)


def as_original(item: dict) -> PoseSequence:
    """What the files hold, in pixels and metres relative to the root."""
    target = np.asarray(item['lifting_target'])
    camera = item.get('camera_param') or {}
    if 'f' not in camera:  # thousands of pixels, or the like
        factor = np.reshape(item.get('factor', [1]), (-1, 1, 1))
        target = target * np.where(factor == 0, NOMINAL_FACTOR, factor)
    keypoints = np.asarray(item['keypoints'])[..., :2]
    surplus = (len(keypoints) - len(target)) // 2
    return PoseSequence(
        name_of(item['target_img_path']),
        None,
        target - target[:, :1],
        keypoints[surplus : len(keypoints) - surplus],
    )


def name_of(paths: Any) -> str:
    """``S9_Walk.60457274_000001`` of the first frame's path."""
    return Path(str(np.ravel(paths)[0])).stem


def image_sample(item: dict, mode: str) -> tuple[np.ndarray, PoseDataSample, str]:
    """Picture, annotation and path of a sample of one image."""
    if mode == 'transformed':
        sample = item['data_samples']
        image = item['inputs'].permute(1, 2, 0).numpy()
        for key in ('keypoints', 'transformed_keypoints'):
            if key in sample.gt_instances:
                points = sample.gt_instances.get(key)[..., :2]
                sample.gt_instances.set_field(points, key)
        return as_picture(image), sample, sample.img_path
    sample = PoseDataSample()
    visible = item['keypoints_visible']
    sample.gt_instances = InstanceData(
        keypoints=item['keypoints'][..., :2],
        keypoints_visible=visible[..., 0] if visible.ndim == 3 else visible,
        bboxes=item['bbox'],
    )
    if 'img' in item:  # loaded by a part of a mixture
        image = item['img']
    elif 'cube_center' in item:
        image = NormalizeDepth()(LoadDepthImage()(dict(item)))['img']
    else:
        image = LoadCheckedImage()(dict(item))['img']
    return as_picture(image), sample, item['img_path']


def as_picture(image: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` bytes of an image; grey from near to far of one of depths."""
    if image.ndim == 3 and image.shape[2] == 3:
        return image
    plane = image.reshape(image.shape[:2]).astype(np.float32)
    low, high = float(plane.min()), float(plane.max())
    grey = (255 * (plane - low) / max(high - low, 1e-9)).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def unused(path: Path) -> Path:
    """The path, with a number if there is such a file."""
    number, free = 0, path
    while free.exists():
        number += 1
        free = path.with_stem(f'{path.stem}({number})')
    return free


class Browser:
    """Draws samples one after another."""

    def __init__(self, config: Config, args: argparse.Namespace, dataset: Any) -> None:
        self.args = args
        self.combined = isinstance(dataset, CombinedDataset)
        self.visualizer = VISUALIZERS.build(config.get('visualizer', VISUALIZER))
        self.visualizer.set_dataset_meta(dataset.metainfo)
        pipeline = config[f'{args.phase}_dataloader'].dataset.pipeline
        encoders = [step.encoder for step in pipeline if 'encoder' in step]
        self.encoder = encoders[0] if encoders else None

    def draw(self, item: dict) -> None:
        """Draws one sample."""
        sample = item.get('data_samples')
        sequence = 'lifting_target' in item or (
            sample is not None and 'target_img_path' in sample
        )
        if sequence:
            self._draw_sequence(item)
        else:
            self._draw_image(item)

    def _draw_sequence(self, item: dict) -> None:
        if not isinstance(self.visualizer, Pose3dVisualizer):
            raise UserError(
                'sequences are drawn by mmssm.Pose3dVisualizer, and the visualizer of '
                f'the config is {type(self.visualizer).__name__}: add '
                '--cfg-options visualizer.type=mmssm.Pose3dVisualizer'
            )
        if self.args.mode == 'transformed':
            motion = as_transformed(item, self.encoder)
        else:
            motion = as_original(item)
        if self.args.output_dir is not None:
            path = unused(self.args.output_dir / f'{motion.name}.png')
            named = PoseSequence(path.stem, None, motion.target, motion.keypoints)
            self.visualizer.add_sequence(named, out_dir=path.parent, clip_step=2)
        if not self.args.not_show:
            self.visualizer.add_sequence(
                motion, show=True, wait_time=self.args.show_interval
            )

    def _draw_image(self, item: dict) -> None:
        image, sample, path = image_sample(item, self.args.mode)
        folder = self.args.output_dir
        if folder is not None and self.combined and sample.get('dataset_name'):
            folder = folder / sample.dataset_name
        self.visualizer.add_datasample(
            Path(path).name,
            mmcv.bgr2rgb(image),
            sample,
            draw_pred=False,
            draw_bbox=self.args.mode == 'original',
            draw_heatmap=True,
            show=not self.args.not_show,
            wait_time=self.args.show_interval,
            out_file=folder and str(unused(folder / Path(path).name)),
        )


def prepare(config: Config, args: argparse.Namespace) -> dict:
    """Config of the dataset to draw, by phase and mode."""
    settings = dict(config[f'{args.phase}_dataloader'].dataset)
    pipeline = [dict(step) for step in settings.get('pipeline', [])]
    if args.mode == 'original':
        settings['pipeline'] = []
    elif pipeline and re.search('Pack', str(pipeline[-1]['type'])):
        pipeline[-1]['pack_transformed'] = True
        settings['pipeline'] = pipeline
    return settings


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    args = parse_args(argv)
    if args.not_show and args.output_dir is None:
        sys.exit('error: --not-show without --output-dir draws nothing; give a folder')
    with messages_for_users():
        config = preflight.read_config(args.config)
        merge_options(config, args)
        init_default_scope(config.get('default_scope') or 'mmpose')
        preflight.check_data_files(config, [args.phase])
    with messages_for_users(config):
        dataset = DATASETS.build(prepare(config, args))
        browser = Browser(config, args, dataset)
        chosen = list(indices(dataset, args.max_item_per_dataset))
        progress = ProgressBar(len(chosen))
        for index in chosen:
            browser.draw(dataset[index])
            progress.update()
    print()


if __name__ == '__main__':
    main()
