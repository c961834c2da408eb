"""Human3.6M's protocols for 2D-to-3D lifters, in millimetres."""

from collections import defaultdict
from collections.abc import Sequence
from os import path as osp

import numpy as np
from mmengine.evaluator import BaseMetric

from mmssm.evaluation import functional
from mmssm.registry import METRICS
from mmssm.structures import h36m

POSE_ERRORS = {
    'MPJPE': functional.mpjpe,
    'P-MPJPE': functional.p_mpjpe,
    'N-MPJPE': functional.n_mpjpe,
}
"""Errors of single frames."""

MOTION_ERRORS = {
    'MPJVE': functional.velocity_error,
    'ACCEL': functional.acceleration_error,
}
"""Errors of successive frames, per sample."""


@METRICS.register_module()
class LiftingMetric(BaseMetric):
    """P1 and P2 of 2D-to-3D lifting as the official evaluation computes them.

    What MMPose's ``MPJPE`` cannot do: it gives the mean over frames only, in
    metres for the usual codecs, one mode at a time, with a Python loop over
    frames for Procrustes; it averages NaN into a NaN without a word about
    the sample. This metric gives, all in millimetres, for each error asked for

    - ``MPJPE``: mean over all frames,
    - ``MPJPE_action_mean``: mean over actions of their frames' mean, which is
      the number papers print,
    - ``MPJPE_Walk`` and so on: each action's mean. The part of the name before
      an underscore is the action (``Walk_1`` and ``Walk`` are one).

    and the same with ``P-MPJPE`` (similarity Procrustes per frame, P2) and the
    others. Frames whose joints all have ``lifting_target_visible`` 0 do not
    count; joints of that kind neither count nor take part in an alignment.

    With 2D input that is the projected ground truth, MotionBERT, PoseMamba and
    SasMamba overwrite the x and y of each prediction by those of the input, so
    that the error is one of depth alone. ``given_xy`` does so, and says so in
    the names: ``MPJPE-given-xy`` and so on.

    Args:
        errors: Which errors: ``'MPJPE'``, ``'P-MPJPE'``, ``'N-MPJPE'``
            (scale only), ``'MPJVE'`` (step between frames, mm), ``'ACCEL'``
            (second difference, mm).
        skip_list: Sequences to leave out, such as ``'S9_Greeting'``: subject
            and action as the file name spells them up to the first dot. For
            Human3.6M's official ones see MMPose's MotionBERT config.
        given_xy: Overwrite x and y of the predictions by the input's, relative
            to the root and scaled by ``factor``; ``keypoints`` and ``factor``
            must be among the ``meta_keys`` of ``PackPoseInputs``.
        collect_device: As in MMEngine.
        prefix: As in MMEngine.

    Raises:
        ValueError: An error asked for is unknown.
    """

    def __init__(
        self,
        errors: Sequence[str] = ('MPJPE', 'P-MPJPE'),
        skip_list: Sequence[str] = (),
        given_xy: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        known = [*POSE_ERRORS, *MOTION_ERRORS]
        unknown = [name for name in errors if name not in known]
        if unknown or isinstance(errors, str):
            raise ValueError(f'errors must be a list out of {known}, got {errors!r}')
        self.errors = tuple(errors)
        self.skip_list = frozenset(skip_list)
        self.given_xy = given_xy

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes one batch.

        Args:
            data_batch: Not used.
            data_samples: With ``pred_instances.keypoints (T, K, 3)`` or
                ``(1, T, K, 3)``, ``gt_instances.lifting_target (T, K, 3)`` and
                ``lifting_target_visible (T, K)``, both poses in metres, and
                ``target_img_path`` with names like ``S9_Greeting.cam_000001.jpg``.

        Raises:
            KeyError: ``given_xy``, and a sample has no ``keypoints`` or ``factor``.
            ValueError: A prediction is not finite, or its shape is not that of
                the ground truth.
        """
        for sample in data_samples:
            name = osp.basename(sample['target_img_path'][0])
            gt = np.asarray(sample['gt_instances']['lifting_target'])
            pred = np.asarray(sample['pred_instances']['keypoints'])
            if pred.ndim == gt.ndim + 1 and len(pred) == 1:
                pred = pred[0]
            if pred.shape != gt.shape:
                raise ValueError(
                    f'prediction for {name} has shape {pred.shape}, its ground '
                    f'truth {gt.shape}'
                )
            mask = np.asarray(sample['gt_instances']['lifting_target_visible'])
            mask = mask.reshape(gt.shape[:2]) > 0.5
            bad = ~np.isfinite(pred).all((-2, -1))
            if bad.any():
                raise ValueError(
                    f'prediction for {name} is not finite in {bad.sum()} of '
                    f'{len(bad)} frames, first in frame {bad.argmax()} of the '
                    'sample; look for NaN in the weights or in the input'
                )
            if self.given_xy:
                pred = _with_given_xy(pred, sample)
            if not set(self.errors) & MOTION_ERRORS.keys():
                kept = mask.any(-1)
                pred, gt, mask = pred[kept], gt[kept], mask[kept]
            self.results.append((self.sequence(name), pred, gt, mask))

    @staticmethod
    def sequence(name: str) -> str:
        """Sequence that the file name of a frame belongs to: ``S9_Greeting``."""
        return name.split('.')[0]

    @staticmethod
    def group(sequence: str) -> str:
        """Group that a sequence is averaged in: its action."""
        return sequence.split('_')[1]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Averages over all samples of all processes.

        Args:
            results: What :meth:`process` stored.

        Returns:
            Metric names and values, millimetres.

        Raises:
            ValueError: Nothing is left to evaluate.
        """
        kept = [entry for entry in results if entry[0] not in self.skip_list]
        if not any(mask.any() for *_, mask in kept):
            raise ValueError(
                f'no frame to evaluate: {len(results)} samples, of which '
                f'{len(results) - len(kept)} are in skip_list'
            )
        metrics = {}
        for error in self.errors:
            suffix = '-given-xy' if self.given_xy else ''
            values = self._frame_errors(error, kept)
            metrics.update(self._summary(error + suffix, values))
        return metrics

    def _frame_errors(self, error: str, kept: list) -> dict[str, np.ndarray]:
        """Action to its frames' errors, metres."""
        names, preds, gts, masks = zip(*kept, strict=True)
        if error in POSE_ERRORS:
            values = POSE_ERRORS[error](*map(np.concatenate, (preds, gts, masks)))
            parts = np.split(values, np.cumsum([len(gt) for gt in gts])[:-1])
        else:
            parts = [
                MOTION_ERRORS[error](*clip)
                for clip in zip(preds, gts, masks, strict=True)
            ]
        actions = defaultdict(list)
        for name, part in zip(names, parts, strict=True):
            actions[self.group(name)].append(part[np.isfinite(part)])
        pooled = {action: np.concatenate(part) for action, part in actions.items()}
        return {action: part for action, part in pooled.items() if len(part)}

    @staticmethod
    def _summary(error: str, actions: dict[str, np.ndarray]) -> dict[str, float]:
        if not actions:
            raise ValueError(
                f'{error} needs successive frames, but no sample has enough of them'
            )
        means = {action: 1000 * float(part.mean()) for action, part in actions.items()}
        frames = np.concatenate(list(actions.values()))
        return {
            error: 1000 * float(frames.mean()),
            f'{error}_action_mean': float(np.mean(list(means.values()))),
            **{f'{error}_{action}': means[action] for action in sorted(means)},
        }


def _with_given_xy(pred: np.ndarray, sample: dict) -> np.ndarray:
    """The prediction ``(T, K, 3)``, metres, with the x and y of the input."""
    keypoints = np.asarray(sample['keypoints'], pred.dtype)[..., :2]
    if keypoints.shape[:-1] != pred.shape[:-1]:
        raise ValueError(
            f'given_xy needs 2D input for each predicted frame: expected '
            f'{pred.shape[:-1]} joints, found {keypoints.shape[:-1]}'
        )
    factor = np.reshape(sample['factor'], (-1, 1, 1)) / 1000
    root = slice(h36m.ROOT, h36m.ROOT + 1)
    given = (keypoints - keypoints[:, root]) * factor
    depth = pred[..., 2:] - pred[:, root, 2:]
    return np.concatenate([given, depth], -1).astype(pred.dtype)
