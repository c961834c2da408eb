"""Weight decay as Mamba models want it."""

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmssm.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MambaOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Keeps state-space dynamics and norms out of weight decay.

    A parameter that carries ``_no_weight_decay = True``, the mark of the Mamba
    code, gets none. Our layers set it on ``A_log``, ``D`` and the bias of the
    step size, where decay would pull the time scales to arbitrary ones, and on
    position tables, as vision Mamba models do. Norms get none either unless
    ``paramwise_cfg`` says otherwise; all its other options work as usual.

    MMEngine's default constructor goes by name patterns and cannot see such a
    mark. It also makes one group per parameter, which turns each optimizer
    step into hundreds of small ones; here parameters of equal options share
    one.
    """

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None
    ) -> None:
        if optim_wrapper_cfg.get('optimizer', {}).get('weight_decay') is None:
            raise ValueError(
                'MambaOptimWrapperConstructor decides which parameters decay, but '
                'optim_wrapper.optimizer has no weight_decay; set it, or leave out '
                'the constructor'
            )
        paramwise_cfg = {'norm_decay_mult': 0.0, **(paramwise_cfg or {})}
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Adds the parameters of a module and its children to the groups.

        Args:
            params: Parameter groups, changed in place.
            module: The module.
            prefix: Its name in the model.
            is_dcn_module: Whether its parent is a deformable convolution.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return
        for group in params:
            if getattr(group['params'][0], '_no_weight_decay', False):
                group['weight_decay'] = 0.0
        params[:] = _merge(params)


def _merge(groups: list[dict]) -> list[dict]:
    """Joins groups of equal options."""
    merged: dict[tuple, dict] = {}
    for group in groups:
        options = {key: value for key, value in group.items() if key != 'params'}
        key = tuple(sorted((name, repr(value)) for name, value in options.items()))
        merged.setdefault(key, {'params': [], **options})
        merged[key]['params'].extend(group['params'])
    return list(merged.values())
