"""Where a network runs, and in which precision."""

import torch
from mmengine.device import get_device

from mmssm.utils.errors import UserError


def find_device(device: str | torch.device | None) -> torch.device:
    """The device of a name.

    Args:
        device: Such as ``'cuda:0'`` or ``'cpu'``; None: a GPU if there is one.

    Raises:
        UserError: There is no such device here.
    """
    try:
        found = torch.device(get_device() if device is None else device)
        if found.type == 'cuda' and not torch.cuda.is_available():
            raise UserError(
                f'the device {device} is a GPU, and PyTorch {torch.__version__} sees '
                "none: take 'cpu', or install a CUDA build of PyTorch and a driver"
            )
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].split('. ')[0]
        raise UserError(f'there is no device {str(device)!r}: {reason}') from error
    return found


def find_dtype(
    dtype: str | torch.dtype,
    allowed: tuple[str, ...] = ('float32', 'bfloat16', 'float16'),
) -> torch.dtype:
    """The precision of a name.

    Args:
        dtype: Its name, or PyTorch's own.
        allowed: Names that will do.

    Raises:
        ValueError: It is none of them.
    """
    name = str(dtype).removeprefix('torch.')
    if name not in allowed:
        raise ValueError(f'dtype is one of {", ".join(allowed)}, got {dtype!r}')
    return getattr(torch, name)
