"""Errors of hand meshes and their joints, and result files for servers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmssm.evaluation.functional import hand
from mmssm.evaluation.functional.hand_mesh import f_scores
from mmssm.evaluation.metrics import hand_samples
from mmssm.evaluation.submissions import (
    NUM_VERTICES,
    SUBMISSIONS,
    write_submission,
)
from mmssm.registry import METRICS
from mmssm.structures.hand import MIDDLE_BASE, WRIST

AUC_RANGE = (0.0, 0.05)
"""Metres, as FreiHAND and HO-3D have it."""


class Hands(NamedTuple):
    """Some hands, predicted and true.

    Attributes:
        pred: ``(N, P, 3)`` joints or vertices, metres.
        gt: ``(N, P, 3)`` the true ones.
        mask: ``(N, P)`` which are known.
        roots: ``(N, 1, 3)`` predicted and true root joint.
        root_known: ``(N,)``.
    """

    pred: np.ndarray
    gt: np.ndarray
    mask: np.ndarray
    roots: tuple[np.ndarray, np.ndarray]
    root_known: np.ndarray


Aligned = tuple[np.ndarray, np.ndarray]
"""Errors ``(N, P)`` in metres, and which of them count."""


def _official(hands: Hands) -> Aligned:
    aligned = hand.official_align(hands.pred, hands.gt, hands.mask)
    return hand.joint_errors(aligned, hands.gt), hands.mask


def _proper(hands: Hands) -> Aligned:
    aligned = hand.proper_align(hands.pred, hands.gt, hands.mask)
    return hand.joint_errors(aligned, hands.gt), hands.mask


def _scale_translation(hands: Hands) -> Aligned:
    aligned = hand.scale_translation_align(hands.pred, hands.gt)
    known = hands.mask[:, [WRIST, MIDDLE_BASE]].all(1, keepdims=True)
    return hand.joint_errors(aligned, hands.gt), hands.mask & known


def _root_relative(hands: Hands) -> Aligned:
    pred_root, gt_root = hands.roots
    errors = hand.joint_errors(hands.pred - pred_root, hands.gt - gt_root)
    return errors, hands.mask & hands.root_known[:, None]


ERRORS: dict[str, tuple[str, str, Callable[[Hands], Aligned]]] = {
    'PA-MPJPE': ('joints', 'AUC_J', _official),
    'PA-MPVPE': ('vertices', 'AUC_V', _official),
    'PA-MPJPE-proper': ('joints', 'AUC_J-proper', _proper),
    'PA-MPVPE-proper': ('vertices', 'AUC_V-proper', _proper),
    'ST-MPJPE': ('joints', 'ST-AUC_J', _scale_translation),
    'MPJPE': ('joints', 'RR-AUC_J', _root_relative),
    'MPVPE': ('vertices', 'RR-AUC_V', _root_relative),
}
"""Name in the log: of what, name of its AUC, alignment."""

_MODEL = 'the metric is of heads that predict meshes, under mmssm.HandMeshEstimator'
_DATA = (
    'the data set must yield it (with_vertices=True of mmssm.FreiHAND3DDataset, '
    'for vertices); sets without it can only be written to a file (format_only)'
)


@METRICS.register_module()
class HandMeshMetric(BaseMetric):
    """The official errors of hand meshes, of FreiHAND and HO-3D.

    ``mmssm.HandPoseMetric`` is of joints alone, and MMPose has nothing for meshes.
    Errors that can be asked for, in millimetres, each the mean over the frames of a
    joint or vertex and then over those:

    - ``PA-MPJPE``, ``PA-MPVPE``: after the official alignment, reflections
      allowed, vertices aligned by themselves; ``…-proper``: without reflections,
    - ``ST-MPJPE``: HO-3D's, scaled by the bone from the wrist to the middle
      finger's base and moved to the wrist,
    - ``MPJPE``, ``MPVPE``: relative to the root joint.

    With each goes the area under its PCK curve over 0 to 50 mm, **from 0 to 1**:
    ``AUC_J`` and ``AUC_V`` of the official alignment, ``AUC_J-proper``,
    ``AUC_V-proper``, ``ST-AUC_J``, ``RR-AUC_J``, ``RR-AUC_V``. ``F@5`` and ``F@15``
    are the mean F-scores of the officially aligned meshes, from 0 to 1.

    Each process reduces a mesh to its errors at once, and only these are gathered.

    Args:
        errors: Which errors.
        f_thresholds: Thresholds of the F-scores, millimetres; none: ``()``.
        submission: The server a result file is for: ``'freihand'``, ``'ho3d_v2'``
            or ``'ho3d_v3'``. FreiHAND gets hands where the camera sees them
            (``full_cam_t``), HO-3D's are put where the set says the wrist is.
        outfile_prefix: Write that file, ``pred.json`` in ``outfile_prefix``.zip.
        format_only: Only write it: for test sets without ground truth.
        num_samples: Images the server expects. Default: those of the released set.
        num_vertices: Vertices it expects.
        collect_device: As in MMEngine.
        prefix: As in MMEngine.

    Raises:
        ValueError: An error or a server is unknown, a threshold is not positive, or a
            file is asked for but not all of what it needs.
    """

    def __init__(
        self,
        errors: Sequence[str] = ('PA-MPJPE', 'PA-MPVPE'),
        f_thresholds: Sequence[float] = (5, 15),
        submission: str | None = None,
        outfile_prefix: str | None = None,
        format_only: bool = False,
        num_samples: int | None = None,
        num_vertices: int = NUM_VERTICES,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        unknown = [name for name in errors if name not in ERRORS]
        if unknown or isinstance(errors, str) or not errors:
            raise ValueError(
                f'errors must be a list of names among {list(ERRORS)}, got {errors!r}'
            )
        if not all(threshold > 0 for threshold in f_thresholds):
            raise ValueError(
                f'f_thresholds must be positive, millimetres, got {f_thresholds}'
            )
        if submission not in (None, *SUBMISSIONS):
            raise ValueError(
                f'submission must be one of {list(SUBMISSIONS)}, got {submission!r}'
            )
        if outfile_prefix is not None and submission is None:
            raise ValueError('outfile_prefix needs submission, the server it is for')
        if format_only and outfile_prefix is None:
            raise ValueError('format_only needs submission and outfile_prefix')
        self.errors = list(errors)
        self.f_thresholds = list(f_thresholds)
        self.submission = submission
        self.outfile_prefix = outfile_prefix
        self.format_only = format_only
        self.num_samples = num_samples
        self.num_vertices = num_vertices

    @property
    def _with_vertices(self) -> bool:
        return bool(self.f_thresholds) or any(
            ERRORS[name][0] == 'vertices' for name in self.errors
        )

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes one batch.

        Args:
            data_batch: Not used.
            data_samples: With ``pred_instances.keypoints_3d (1, 21, 3)`` and
                ``mesh_vertices (1, V, 3)`` and, but for ``format_only``,
                ``gt_instances.keypoints_cam (1, 21, 3)``, ``keypoints_visible
                (1, 21)`` or ``keypoints_cam_weights``, and ``vertices (1, V, 3)``,
                all in metres along the camera's axes. With a file to write
                ``img_id``, and ``pred_instances.full_cam_t (1, 3)`` (FreiHAND) or
                the true root in ``gt_instances.keypoints_cam`` (HO-3D).

        Raises:
            KeyError: A prediction or the ground truth is missing.
            ValueError: A prediction is not finite, or its shape is not that of
                the ground truth.
        """
        results: list[dict] = [{} for _ in data_samples]
        if not self.format_only:
            self._measure(data_samples, results)
        if self.outfile_prefix is not None:
            for sample, result in zip(data_samples, results, strict=True):
                result.update(self._row(sample))
        self.results.extend(results)

    def _measure(self, samples: Sequence[dict], results: list[dict]) -> None:
        hands = {'joints': self._joints(samples)}
        if self._with_vertices:
            hands['vertices'] = self._vertices(samples, hands['joints'])
        for name in self.errors:
            points, _, align = ERRORS[name]
            for result, errors, mask in zip(
                results, *align(hands[points]), strict=True
            ):
                result[name] = errors, mask
        if self.f_thresholds:
            pred, gt = hands['vertices'].pred, hands['vertices'].gt
            limits = np.array(self.f_thresholds) / 1000
            scores = f_scores(hand.official_align(pred, gt), gt, limits)
            for number, result in enumerate(results):
                result['F'] = scores[number]

    def _joints(self, samples: Sequence[dict]) -> Hands:
        root = self._root()
        pairs = [_pair(s, 'keypoints_3d', 'keypoints_cam') for s in samples]
        pred, gt = (np.concatenate(column) for column in zip(*pairs, strict=True))
        seen = [
            hand_samples.known_in_space(s, p)
            for s, (p, _) in zip(samples, pairs, strict=True)
        ]
        mask = np.concatenate(seen)
        roots = pred[:, root, None], gt[:, root, None]
        return Hands(pred, gt, mask, roots, mask[:, root])

    def _vertices(self, samples: Sequence[dict], joints: Hands) -> Hands:
        pairs = [_pair(s, 'mesh_vertices', 'vertices') for s in samples]
        pred, gt = (np.concatenate(column) for column in zip(*pairs, strict=True))
        return joints._replace(pred=pred, gt=gt, mask=np.ones(pred.shape[:2], bool))

    def _row(self, sample: dict) -> dict:
        """What the result file holds of a sample."""
        assert self.submission is not None  # checked on construction
        joints = hand_samples.prediction(sample, 'keypoints_3d', _MODEL)[0]
        vertices = hand_samples.prediction(sample, 'mesh_vertices', _MODEL)[0]
        if SUBMISSIONS[self.submission].root_given:
            root = self._root()
            gt = hand_samples.as_array(sample['gt_instances']['keypoints_cam'])
            if not hand_samples.known_in_space(sample, joints[None])[0, root]:
                raise ValueError(
                    f'{hand_samples.name_of(sample)} does not say where the wrist is, '
                    f'which a submission to {self.submission} needs'
                )
            move = gt[0, root] - joints[root]
        else:
            move = hand_samples.prediction(sample, 'full_cam_t', _MODEL)[0]
        return dict(
            img_id=int(sample['img_id']),
            joints=(joints + move).astype(np.float32),
            vertices=(vertices + move).astype(np.float32),
        )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Averages over all samples of all processes, and writes the file.

        Args:
            results: What :meth:`process` stored.

        Returns:
            Metric names and values: millimetres, and from 0 to 1 for AUC and
            F-scores; nothing if ``format_only``.

        Raises:
            ValueError: There is no sample, no joint counts, or the file cannot be
                what the server expects.
        """
        if not results:
            raise ValueError('there is no hand to evaluate')
        if self.outfile_prefix is not None:
            self._write(results)
        if self.format_only:
            return {}
        metrics: dict[str, float] = {}
        for name in self.errors:
            errors, mask = (
                np.stack(column)
                for column in zip(*(result[name] for result in results), strict=True)
            )
            if not mask.any():
                raise ValueError(
                    f'no joint to evaluate {name} on: {len(results)} samples, none '
                    'with what it needs known'
                )
            metrics[name] = 1000 * hand.mean_of_joints(errors, mask)
            metrics[ERRORS[name][1]] = hand.pck_auc(errors, *AUC_RANGE, mask)
        if self.f_thresholds:
            scores = np.mean([result['F'] for result in results], 0)
            for threshold, score in zip(self.f_thresholds, scores, strict=True):
                metrics[f'F@{threshold:g}'] = float(score)
        return metrics

    def _root(self) -> int:
        meta = self.dataset_meta or {}
        if 'root_index' not in meta:
            raise ValueError(
                'HandMeshMetric needs root_index in the meta information of the '
                f'data set, found {sorted(meta)}'
            )
        return meta['root_index']

    def _write(self, results: list[dict]) -> None:
        assert self.submission is not None  # checked on construction
        expected = self.num_samples or SUBMISSIONS[self.submission].num_samples
        ordered = sorted(results, key=lambda result: result['img_id'])
        numbers = [result['img_id'] for result in ordered]
        if numbers != list(range(expected)):
            missing = sorted(set(range(expected)) - set(numbers))
            raise ValueError(
                f'a submission to {self.submission} needs the images 0 to '
                f'{expected - 1} once each: there are {len(numbers)} predictions of '
                f'{len(set(numbers))} images, {len(missing)} missing, first '
                f'{missing[:5]}'
            )
        path = write_submission(
            f'{self.outfile_prefix}.zip',
            self.submission,
            np.stack([result['joints'] for result in ordered]),
            np.stack([result['vertices'] for result in ordered]),
            expected,
            self.num_vertices,
        )
        print_log(f'{len(ordered)} hands written to {path}', 'current')


def _pair(sample: dict, key: str, gt_key: str) -> tuple[np.ndarray, np.ndarray]:
    pred = hand_samples.prediction(sample, key, _MODEL)
    return pred, hand_samples.truth(sample, gt_key, pred, _DATA)
