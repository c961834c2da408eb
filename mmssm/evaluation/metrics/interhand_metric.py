"""The official errors of InterHand2.6M."""

import numpy as np
from mmpose.evaluation.metrics import InterHandMetric as MMPoseInterHandMetric

from mmssm.evaluation.functional import hand
from mmssm.registry import METRICS

_GROUPS = {
    'MPJPE_all': 'mask',
    'MPJPE_single': 'single_mask',
    'MPJPE_interacting': 'interacting_mask',
}


@METRICS.register_module()
class InterHand3DMetric(MMPoseInterHandMetric):
    """MMPose's ``InterHandMetric`` with the means of the official evaluation.

    What that class takes from a sample is right, and taken over: wrist-relative
    joints of each hand, MRRPE, handedness, all in millimetres. But it pools the
    joints of all frames, where InterNet's evaluation takes the mean of each of 42
    joints and then their mean, so that joints often out of sight count as much as
    others; and a set without interacting hands gets the error 0 for them. Here a
    number that nothing was measured for is left out.

    Arguments are those of ``InterHandMetric``.
    """

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Averages over all samples of all processes.

        Args:
            results: What :meth:`process` stored.

        Returns:
            ``MPJPE_all``, ``MPJPE_single``, ``MPJPE_interacting`` and ``MRRPE`` in
            millimetres, ``HandednessAcc`` from 0 to 1, as far as there are samples.

        Raises:
            ValueError: A prediction is not finite, or no joint is known.
        """
        metrics: dict[str, float] = {}
        if 'MPJPE' in self.modes:
            pred, gt = (_stack(results, key) for key in ('pred_coords', 'gt_coords'))
            if not np.isfinite(pred).all():
                raise ValueError(
                    f'{(~np.isfinite(pred).all((1, 2))).sum()} of {len(pred)} '
                    'predictions are not finite; look for NaN in the weights'
                )
            errors = hand.joint_errors(pred, gt)
            for name, key in _GROUPS.items():
                metrics[name] = hand.mean_of_joints(errors, _stack(results, key))
        if 'MRRPE' in self.modes:
            known = np.ravel([result['rel_root_mask'] for result in results])
            pred, gt = (
                _stack(results, f'{which}_rel_root_coords') for which in ('pred', 'gt')
            )
            error = hand.joint_errors(pred, gt)
            metrics['MRRPE'] = hand.pooled_mean(error, known[:, None])
        if 'HandednessAcc' in self.modes:
            right = _stack(results, 'pred_hand_type') == _stack(results, 'gt_hand_type')
            known = _stack(results, 'hand_type_mask')
            right = right.all(-1)[known]
            metrics['HandednessAcc'] = float(right.mean()) if len(right) else np.nan
        measured = {name: value for name, value in metrics.items() if value == value}
        if not measured:
            raise ValueError(
                f'none of {self.modes} can be measured on {len(results)} samples: no '
                'joint is known'
            )
        return measured


def _stack(results: list[dict], key: str) -> np.ndarray:
    return np.concatenate([result[key] for result in results])
