from mmssm.evaluation.functional.lifting import (
    AUC_THRESHOLDS,
    acceleration_error,
    auc,
    mpjpe,
    n_mpjpe,
    p_mpjpe,
    pck,
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
    'velocity_error',
]
