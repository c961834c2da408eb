from mmssm.evaluation.functional.lifting import (
    acceleration_error,
    mpjpe,
    n_mpjpe,
    p_mpjpe,
    velocity_error,
)

__all__ = ['acceleration_error', 'mpjpe', 'n_mpjpe', 'p_mpjpe', 'velocity_error']
