"""Cures for defects of the host (MMPose, MMEngine, MMCV) on today's PyTorch.

Each cure is one function that names the defect, where it was reported and when
the cure can be deleted. A cure does nothing where the defect is not met, never
replaces anything of PyTorch, and keeps the signature of what it replaces.
"""

from importlib.util import find_spec

INSTALL_COMMAND = (
    "pip install 'mmssm[optional]' cython && "
    'pip install --no-deps --no-build-isolation --no-binary xtcocotools xtcocotools '
    'mmengine==0.10.7 mmcv-lite==2.1.0 mmpose==1.3.2'
)


def install() -> None:
    """Puts every cure in place; safe to call again.

    Raises:
        ImportError: MMPose or a part of it that is always needed is missing.
    """
    require_host()
    from mmssm.compat import (
        checkpoints,
        configs,
        distributed,
        imports,
        inferencers,
        internet,
        visualization,
    )

    configs.do_without_pkg_resources()
    configs.know_our_package()
    checkpoints.pickle_history_without_functions()
    checkpoints.load_old_checkpoints_safely()
    distributed.start_process_group_without_gpu()
    distributed.wrap_model_without_gpu()
    visualization.give_canvas_tostring_rgb()
    imports.load_torchvision_without_operators()
    imports.import_mmpose()
    visualization.draw_circles_of_one_radius()
    internet.flip_internet_outputs()
    inferencers.lift_clips_in_inferencers()


def require_host() -> None:
    """Raises ImportError with the command that helps if the host is missing."""
    missing = [name for name in ('mmengine', 'mmcv', 'mmpose') if not find_spec(name)]
    if missing:
        raise ImportError(
            f'the models, datasets and tools of mmssm extend MMPose, and '
            f'{", ".join(missing)} is not installed here (mmssm.ops works without '
            f'it). To install it, run:\n    {INSTALL_COMMAND}'
        )
