"""Parts of a model that keep their precision under autocast."""

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device_type: str) -> AbstractContextManager:
    """A context in which autocast changes nothing.

    For what cannot do with the three digits of bfloat16: coordinates, rotations.

    Args:
        device_type: Type of the device that computes, such as ``'cpu'``.
    """
    # The meta device knows no autocast and refuses to be asked.
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)
