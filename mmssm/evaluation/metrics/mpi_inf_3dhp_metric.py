"""The official evaluation of MPI-INF-3DHP."""

from collections.abc import Callable, Sequence

import numpy as np

from mmssm.evaluation import functional
from mmssm.evaluation.metrics.lifting_metric import LiftingMetric
from mmssm.registry import METRICS
from mmssm.structures.mpi_inf_3dhp import EVALUATED

SCORES: dict[str, Callable[..., np.ndarray]] = {
    'PCK@150': functional.pck,
    'AUC': functional.auc,
}
"""Scores of the 14 joints that the official evaluation takes."""


@METRICS.register_module()
class MpiInf3dhpMetric(LiftingMetric):
    """MPJPE, 3DPCK and AUC of MPI-INF-3DHP as the official scripts define them.

    MMPose 1.x has none of the last two in 3D. Poses are in Human3.6M's order and
    relative to the pelvis, as MMPose's ``MotionBERTLabel`` gives them. Over all
    valid frames, and over those of each test sequence (``MPJPE_TS1`` and so on):

    - ``MPJPE``, ``P-MPJPE``: millimetres, all 17 joints, the root included,
    - ``PCK@150``: percent of joints nearer than 150 mm (not at it),
    - ``AUC``: mean of that percentage over 0, 5, ... 150 mm (31 thresholds),

    the last two over 14 joints: without pelvis, spine and head (the head's top
    counts). The official overall numbers are means over sequences weighted by
    their valid frames, which is the mean over frames.

    Args:
        errors: Which of ``'MPJPE'``, ``'P-MPJPE'``, ``'N-MPJPE'``, ``'MPJVE'``,
            ``'ACCEL'`` besides the scores.
        collect_device: As in MMEngine.
        prefix: As in MMEngine.

    Raises:
        ValueError: An error asked for is unknown.
    """

    def __init__(
        self,
        errors: Sequence[str] = ('MPJPE', 'P-MPJPE'),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(errors, collect_device=collect_device, prefix=prefix)

    @staticmethod
    def sequence(name: str) -> str:
        """``TS1`` of ``TS1_002001.jpg``."""
        return name.rpartition('_')[0]

    @staticmethod
    def group(sequence: str) -> str:
        """A sequence is a group of its own."""
        return sequence

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Averages over all samples of all processes.

        Args:
            results: What :meth:`process` stored.

        Returns:
            Metric names and values: millimetres and percent.

        Raises:
            ValueError: Nothing is left to evaluate.
        """
        metrics = super().compute_metrics(results)
        joints = list(EVALUATED)
        for name, score in SCORES.items():
            groups: dict[str, list[np.ndarray]] = {}
            for sequence, pred, gt, mask in results:
                values = score(pred[:, joints], gt[:, joints], mask[:, joints])
                groups.setdefault(sequence, []).append(values[np.isfinite(values)])
            pooled = {key: np.concatenate(part) for key, part in groups.items()}
            frames = np.concatenate(list(pooled.values()))
            metrics[name] = 100 * float(frames.mean())
            for key in sorted(pooled):
                if len(pooled[key]):
                    metrics[f'{name}_{key}'] = 100 * float(pooled[key].mean())
        return metrics

    @staticmethod
    def _summary(error: str, actions: dict[str, np.ndarray]) -> dict[str, float]:
        metrics = LiftingMetric._summary(error, actions)
        # a mean of sequences that counts them alike is no number of this benchmark
        metrics.pop(f'{error}_action_mean')
        return metrics
