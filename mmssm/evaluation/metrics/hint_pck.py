"""PCK of 2D joints of hands, visible and hidden ones apart: HInt."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmssm.evaluation.functional import hand
from mmssm.evaluation.metrics import hand_samples
from mmssm.registry import METRICS

SETS = ('all', 'visible', 'occluded')


@METRICS.register_module()
class HIntPCK(BaseMetric):
    """The percentage of correct keypoints of HInt.

    What MMPose's ``PCKAccuracy`` does otherwise: it measures against the box's width
    and height apart, and knows no hidden joints. Here a joint is correct if it is off
    by no more than a part of the **longer side of the annotated box, before any
    padding**; of each joint the ratio over the set, then the mean of the joints that
    the set has. Results are percent: ``PCK@0.05_all``, ``PCK@0.05_visible``,
    ``PCK@0.05_occluded``, and so on.

    (The text of Hamba's paper names the length of a head segment, as for bodies; its
    numbers are of boxes, as HaMeR's.)

    Args:
        thresholds: Parts of the box.
        sets: Which joints: ``'all'`` annotated ones, ``'visible'`` and
            ``'occluded'`` ones of these.
        collect_device: As in MMEngine.
        prefix: As in MMEngine.

    Raises:
        ValueError: A threshold is not positive or a set unknown.
    """

    def __init__(
        self,
        thresholds: Sequence[float] = (0.05, 0.1, 0.15),
        sets: Sequence[str] = SETS,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not thresholds or not all(threshold > 0 for threshold in thresholds):
            raise ValueError(
                f'thresholds must be positive, parts of a box, got {thresholds}'
            )
        unknown = [name for name in sets if name not in SETS]
        if unknown or isinstance(sets, str) or not sets:
            raise ValueError(f'sets must be a list out of {list(SETS)}, got {sets!r}')
        self.thresholds = list(thresholds)
        self.sets = list(sets)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes one batch.

        Args:
            data_batch: Not used.
            data_samples: With ``pred_instances.keypoints (1, 21, 2)`` and
                ``gt_instances.keypoints (1, 21, 2)``, pixels of the image;
                ``keypoints_visible (1, 21)``, above 0.5 where a joint is
                annotated; ``bboxes (1, 4)``, the annotated box; and, unless only
                ``'all'`` is asked for, ``keypoints_occluded (1, 21)``, above 0.5
                where it is hidden.

        Raises:
            KeyError: Something is missing.
            ValueError: A prediction is not finite, its shape is not that of the
                ground truth, or a box has no size.
        """
        for sample in data_samples:
            pred = hand_samples.prediction(
                sample, 'keypoints', 'the model predicts no 2D joints'
            )
            gt = hand_samples.truth(
                sample, 'keypoints', pred, 'the data set must yield 2D joints'
            )
            known = hand_samples.known_in_plane(sample, pred)
            masks = {'all': known}
            if set(self.sets) != {'all'}:
                occluded = hand_samples.truth(
                    sample,
                    'keypoints_occluded',
                    known,
                    "only HInt's own files say which joints are hidden; ask for "
                    "sets=['all'] on others",
                )
                masks['visible'] = known & (occluded <= 0.5)
                masks['occluded'] = known & (occluded > 0.5)
            self.results.append(
                dict(
                    errors=hand.joint_errors(pred, gt),
                    size=_longer_side(sample),
                    **{name: masks[name] for name in self.sets},
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Averages over all samples of all processes.

        Args:
            results: What :meth:`process` stored.

        Returns:
            Percent of each set at each threshold; NaN for sets without a joint.

        Raises:
            ValueError: There is no sample.
        """
        if not results:
            raise ValueError('there is no hand to evaluate')
        errors = np.concatenate([result['errors'] for result in results])
        sizes = np.array([result['size'] for result in results])
        metrics: dict[str, float] = {}
        for name in self.sets:
            mask = np.concatenate([result[name] for result in results])
            ratios = hand.box_pck(errors, sizes, np.array(self.thresholds), mask)
            ratios = ratios[mask.any(0)]
            means = ratios.mean(0) if len(ratios) else [np.nan] * len(self.thresholds)
            for threshold, mean in zip(self.thresholds, means, strict=True):
                metrics[f'PCK@{threshold:g}_{name}'] = 100 * float(mean)
        return metrics


def _longer_side(sample: dict) -> float:
    box = hand_samples.as_array(sample['gt_instances']['bboxes'])[0]
    size = float(max(box[2] - box[0], box[3] - box[1]))
    if not 0 < size < np.inf:
        raise ValueError(
            f'the box of {hand_samples.name_of(sample)} has no size: {box.tolist()}'
        )
    return size
