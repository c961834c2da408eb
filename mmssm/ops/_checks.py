"""Checks of arguments, with errors that name the argument."""

from collections.abc import Collection

import torch
from torch import Tensor

FLOAT_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def check_floats(optional: Collection[str], **tensors: Tensor | None) -> None:
    """Checks that all tensors are real, of known dtype and on one device.

    float64 is all or none: everything else may be mixed, because the state is
    float32 then.

    Args:
        optional: Names of those that may be None.
        **tensors: Tensors by argument name; the first is the one that others
            are compared with.

    Raises:
        TypeError: If one is no tensor or of an unsupported dtype.
        ValueError: If one is on another device than the first.
    """
    first: Tensor | None = None
    first_name = next(iter(tensors))
    for name, tensor in tensors.items():
        if tensor is None and name in optional:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f'{name} must be a tensor, got {type(tensor).__name__}')
        if tensor.dtype not in FLOAT_DTYPES:
            raise TypeError(
                f'{name} must be float32, float64, bfloat16 or float16, got '
                f'{tensor.dtype}'
            )
        first = tensor if first is None else first
        if (tensor.dtype == torch.float64) != (first.dtype == torch.float64):
            raise TypeError(
                f'{name} is {tensor.dtype} but {first_name} is {first.dtype}: '
                'either all arguments are float64 or none'
            )
        if tensor.device != first.device:
            raise ValueError(
                f'{name} is on {tensor.device} but {first_name} is on '
                f'{first.device}: all must be on one device'
            )


def check_shape(name: str, tensor: Tensor | None, **sizes: int) -> None:
    """Checks the shape of one tensor; ``None`` passes.

    Args:
        name: Name of the argument.
        tensor: The tensor.
        **sizes: Expected sizes in order, by the letters of the docstring.

    Raises:
        ValueError: If the shape differs.
    """
    if tensor is None:
        return
    expected = tuple(sizes.values())
    if tensor.dim() != len(expected) or tuple(tensor.shape) != expected:
        letters = ', '.join(sizes)
        raise ValueError(
            f'{name} must be ({letters}) = {expected}, got {tuple(tensor.shape)}'
        )


def check_dims(name: str, tensor: Tensor, *letters: str) -> None:
    """Checks the number of dimensions of one tensor.

    Args:
        name: Name of the argument.
        tensor: The tensor.
        *letters: Names of its dimensions.

    Raises:
        ValueError: If it has another number of dimensions.
    """
    if tensor.dim() != len(letters):
        raise ValueError(
            f'{name} must be ({", ".join(letters)}), got shape {tuple(tensor.shape)}'
        )


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which states are kept: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32
