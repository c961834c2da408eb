"""Two optimizers: of a network, and of the prior it is trained against."""

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from torch import nn

from mmssm.registry import OPTIM_WRAPPER_CONSTRUCTORS

PARTS = ('network', 'prior')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PriorOptimWrapperConstructor:
    """Builds the optimizers of a model with a ``prior``.

    MMEngine has the container, ``OptimWrapperDict``, but nothing that builds one
    from a config::

        optim_wrapper = dict(
            constructor='mmssm.PriorOptimWrapperConstructor',
            network=dict(optimizer=dict(type='AdamW', lr=1e-5, weight_decay=1e-4)),
            prior=dict(optimizer=dict(type='AdamW', lr=1e-5, weight_decay=1e-4)),
        )

    Each part is what ``optim_wrapper`` usually is, with constructor, parameter-wise
    options, clipping or mixed precision of its own. ``network`` gets all that is not
    the prior's. Schedules in ``param_scheduler`` go for both, or are given as a dict
    of the same names.

    Args:
        optim_wrapper_cfg: The dict, without its constructor.
        paramwise_cfg: None: it belongs into the parts.

    Raises:
        ValueError: There are other parts.
    """

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None
    ) -> None:
        if set(optim_wrapper_cfg) != set(PARTS) or paramwise_cfg:
            found = sorted(optim_wrapper_cfg) + ['paramwise_cfg'] * bool(paramwise_cfg)
            raise ValueError(
                'optim_wrapper with the constructor PriorOptimWrapperConstructor '
                f'takes {list(PARTS)}, each with what an optim_wrapper usually has; '
                f'found {found}'
            )
        self.parts = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Builds the optimizers.

        Args:
            model: A model with a module ``prior``.

        Returns:
            Their wrappers by the names ``network`` and ``prior``.

        Raises:
            ValueError: The model has no prior, or is distributed.
        """
        if is_model_wrapper(model):
            raise ValueError(
                "training against a prior runs in one process: MMEngine's "
                f'{type(model).__name__} knows one optimizer'
            )
        if not isinstance(getattr(model, 'prior', None), nn.Module):
            raise ValueError(
                f'{type(model).__name__} has no prior to optimize; set prior='
                "dict(type='mmssm.HandPosePrior', ...) of HandMeshEstimator, or take "
                'another constructor of optim_wrapper'
            )
        network = nn.Module()
        for name, child in model.named_children():
            if name != 'prior':
                network.add_module(name, child)
        return OptimWrapperDict(
            network=build_optim_wrapper(network, self.parts['network']),
            prior=build_optim_wrapper(model.prior, self.parts['prior']),
        )
