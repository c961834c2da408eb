from mmssm.evaluation.functional.lifting import (
    AUC_THRESHOLDS,
    acceleration_error,
    auc,
    mpjpe,
    n_mpjpe,
    p_mpjpe,
    pck,
    pck_curve,
    velocity_error,
)

__all__ = [
    'AUC_THRESHOLDS',
    'acceleration_error',
    'auc',
    'mpjpe',
    'n_mpjpe',
    'p_mpjpe',
    'pck',
    'pck_curve',
    'velocity_error',
]
