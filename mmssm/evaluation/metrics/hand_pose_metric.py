"""Errors of 3D hand poses, in millimetres, for all data sets of one hand a sample."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmssm.evaluation.functional import hand
from mmssm.evaluation.metrics import hand_samples
from mmssm.registry import METRICS

Poses = tuple[np.ndarray, np.ndarray, np.ndarray, int]
"""Predictions and ground truth ``(N, K, 3)``, mask ``(N, K)``, index of the root."""


def _absolute(poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    pred, gt, mask, _ = poses
    return hand.joint_errors(pred, gt), mask


def _root_relative(poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    pred, gt, mask, root = poses
    # without its root, a hand has no root-relative pose
    return hand.root_relative_errors(pred, gt, root), mask & mask[:, root, None]


def _official(poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    pred, gt, mask, _ = poses
    return hand.joint_errors(hand.official_align(pred, gt, mask), gt), mask


def _proper(poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    pred, gt, mask, _ = poses
    return hand.joint_errors(hand.proper_align(pred, gt, mask), gt), mask


ERRORS: dict[str, tuple[str, Callable, Callable]] = {
    'MPJPE': ('AUC', _root_relative, hand.mean_of_joints),
    'EPE': ('AUC', _root_relative, hand.mean_of_joints),
    'PA-MPJPE': ('PA-AUC', _official, hand.mean_of_joints),
    'PA-MPJPE-proper': ('PA-AUC-proper', _proper, hand.mean_of_joints),
    'MPJPE-abs': ('AUC-abs', _absolute, hand.mean_of_joints),
    'mean-error': ('AUC-abs', _absolute, hand.pooled_mean),
}
"""Name in the log: name of its AUC, alignment, mean."""


def _xyz(sample: dict, keypoints_3d: np.ndarray) -> np.ndarray:
    return keypoints_3d


def _uvd(sample: dict, keypoints_3d: np.ndarray) -> np.ndarray:
    pixels = np.asarray(sample['pred_instances']['keypoints'])[0, :, :2]
    return np.concatenate([pixels, keypoints_3d[:, 2:]], -1)


RESULT_FORMATS: dict[str, tuple[str, bool, Callable[..., np.ndarray]]] = {
    'dexycb': (',', True, _xyz),
    'nyu': (' ', False, _uvd),
}
"""Separator, whether a line starts with the number of its image, what it holds."""


_REMEDY = (
    'use mmssm.TopdownHandEstimator, with focal and principal_pt among the meta_keys '
    'of PackPoseInputs'
)


@METRICS.register_module()
class HandPoseMetric(BaseMetric):
    """The official errors of 3D hand poses.

    MMPose's ``EPE`` and ``AUC`` are of 2D keypoints, its ``MPJPE`` reads Human3.6M's
    file names and pools joints, and its ``InterHandMetric`` is of two hands. Errors
    that can be asked for, in millimetres, each the mean over the frames of a
    joint and then over joints:

    - ``MPJPE``: relative to the root (DexYCB, AssemblyHands); ``EPE`` is the same,
      under the name that papers give it on RHD,
    - ``PA-MPJPE``: after the official alignment of FreiHAND, HO-3D and DexYCB,
      reflections allowed; ``PA-MPJPE-proper``: without reflections,
    - ``MPJPE-abs``: in the camera's frame, as predicted,
    - ``mean-error``: the same, over all joints of all frames at once (NYU).

    For each range of ``auc_ranges`` there is the area under the PCK curve in percent
    with its range in its name, such as ``AUC_0-50``, and for the other alignments
    ``PA-AUC_0-50``, ``PA-AUC-proper_0-50`` and ``AUC-abs_0-50``.

    The root is the data set's (``root_index`` in its meta information). Joints with
    ``keypoints_visible`` 0 do not count; relative to the root, nor do hands
    whose root is one of them.

    Args:
        errors: Which errors.
        auc_ranges: Ranges of the AUC, millimetres, the official one by default.
        per_joint: Also the first error of each joint, as ``MPJPE_wrist``.
        result_format: ``'dexycb'`` (a line a sample, the number of its image and
            63 millimetres, commas between them) or ``'nyu'`` (u, v in pixels and d in
            millimetres of each joint, spaces between them): write predictions
            in the order of ``img_id`` to ``outfile_prefix``.txt.
        outfile_prefix: Path of that file without its suffix.
        format_only: Only write the file: for test sets without ground truth.
        collect_device: As in MMEngine.
        prefix: As in MMEngine.

    Raises:
        ValueError: An error, a range or a format is unknown, or a file is asked
            for but not all of what it needs.
    """

    def __init__(
        self,
        errors: Sequence[str] = ('MPJPE', 'PA-MPJPE'),
        auc_ranges: Sequence[tuple[float, float]] = ((0, 50),),
        per_joint: bool = False,
        result_format: str | None = None,
        outfile_prefix: str | None = None,
        format_only: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        unknown = [name for name in errors if name not in ERRORS]
        if unknown or isinstance(errors, str) or not errors:
            raise ValueError(
                f'errors must be a list of names among {list(ERRORS)}, got {errors!r}'
            )
        for low, high in auc_ranges:
            hand.auc_thresholds(low, high)
        if result_format not in (None, *RESULT_FORMATS):
            raise ValueError(
                f'result_format must be one of {list(RESULT_FORMATS)}, got '
                f'{result_format!r}'
            )
        if (result_format is None) != (outfile_prefix is None):
            raise ValueError(
                'result_format and outfile_prefix are needed together, got '
                f'{result_format!r} and {outfile_prefix!r}'
            )
        if format_only and result_format is None:
            raise ValueError('format_only needs result_format and outfile_prefix')
        self.errors = list(errors)
        self.auc_ranges = [tuple(bounds) for bounds in auc_ranges]
        self.per_joint = per_joint
        self.result_format = result_format
        self.outfile_prefix = outfile_prefix
        self.format_only = format_only

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes one batch.

        Args:
            data_batch: Not used.
            data_samples: With ``pred_instances.keypoints_3d (1, K, 3)`` and, but for
                ``format_only``, ``gt_instances.keypoints_cam (1, K, 3)``, both in
                metres in the camera's frame, and ``keypoints_visible (1, K)``;
                with a file to write ``img_id`` and ``pred_instances.keypoints``.

        Raises:
            KeyError: A prediction is not in the camera's frame.
            ValueError: A prediction is not finite, or its shape is not that of
                the ground truth.
        """
        for sample in data_samples:
            keypoints_3d = hand_samples.prediction(sample, 'keypoints_3d', _REMEDY)
            result = dict(pred=keypoints_3d)
            if self.result_format:
                row = RESULT_FORMATS[self.result_format][-1](sample, keypoints_3d[0])
                result['img_id'], result['row'] = sample['img_id'], row
            if not self.format_only:
                result['gt'] = hand_samples.truth(
                    sample, 'keypoints_cam', keypoints_3d, 'the data set has none'
                )
                result['mask'] = hand_samples.known_in_space(sample, keypoints_3d)
            self.results.append(result)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Averages over all samples of all processes, and writes the file.

        Args:
            results: What :meth:`process` stored.

        Returns:
            Metric names and values: millimetres and percent; nothing if
            ``format_only``.

        Raises:
            ValueError: No joint counts, or two samples are of one image.
        """
        if self.result_format:
            self._write(results)
        if self.format_only:
            return {}
        pred, gt, mask = (
            np.concatenate([result[key] for result in results])
            for key in ('pred', 'gt', 'mask')
        )
        poses = pred, gt, mask, self._root()
        metrics: dict[str, float] = {}
        for name in self.errors:
            auc_name, align, mean = ERRORS[name]
            errors, mask = align(poses)
            if not mask.any():
                raise ValueError(
                    f'no joint to evaluate {name} on: {len(results)} samples, none '
                    'with its root and a joint known'
                )
            metrics[name] = 1000 * mean(errors, mask)
            for low, high in self.auc_ranges:
                area = hand.pck_auc(errors, low / 1000, high / 1000, mask)
                metrics[f'{auc_name}_{low:g}-{high:g}'] = 100 * area
        if self.per_joint:
            metrics.update(self._joints(poses))
        return metrics

    def _root(self) -> int:
        meta = self.dataset_meta or {}
        if 'root_index' not in meta:
            raise ValueError(
                'HandPoseMetric needs root_index in the meta information of the '
                f'data set, found {sorted(meta)}'
            )
        return meta['root_index']

    def _joints(self, poses: Poses) -> dict[str, float]:
        first = self.errors[0]
        errors = 1000 * hand.per_joint(*ERRORS[first][1](poses))
        names = (self.dataset_meta or {})['keypoint_id2name']
        return {
            f'{first}_{names[joint]}': float(error)
            for joint, error in enumerate(errors)
            if np.isfinite(error)
        }

    def _write(self, results: list[dict]) -> None:
        assert self.result_format and self.outfile_prefix  # checked on construction
        separator, with_id, _ = RESULT_FORMATS[self.result_format]
        rows = {result['img_id']: result['row'] for result in results}
        if len(rows) < len(results):
            raise ValueError(
                f'{len(results)} samples are of {len(rows)} images; a result file '
                'needs one line for each'
            )
        scale = np.array([1, 1, 1000] if self.result_format == 'nyu' else 1000)
        lines = []
        for number in sorted(rows):
            values = [f'{value:.4f}' for value in np.ravel(rows[number] * scale)]
            lines.append(separator.join([*([str(number)] * with_id), *values]))
        path = Path(f'{self.outfile_prefix}.txt')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(lines) + '\n')
        print_log(f'{len(lines)} predictions written to {path}', 'current')
