"""The device that a test of the ops runs on, which is PyTorch's default device.

What is random is drawn on the CPU first, so that it is the same on every device.
"""

import os

import numpy as np
import torch
from torch import Tensor

NO_GPU = 'PyTorch finds no NVIDIA GPU here'


def devices() -> tuple[str, ...]:
    """Types of the devices to test on: all there are, or ``MMSSM_TEST_DEVICES``."""
    asked = os.environ.get('MMSSM_TEST_DEVICES', '')
    there = ('cpu', 'cuda') if torch.cuda.is_available() else ('cpu',)
    return tuple(asked.replace(',', ' ').split()) or there


def here(value):
    """Moves a tensor, or scan paths, to the device of the test."""
    return value.to(torch.get_default_device())


def normal(
    *shape: int, generator: torch.Generator, dtype: torch.dtype | None = None
) -> Tensor:
    """Draws normal numbers with a generator of the CPU."""
    return here(torch.randn(*shape, generator=generator, dtype=dtype, device='cpu'))


def permutation(size: int, generator: torch.Generator) -> Tensor:
    """Draws an order with a generator of the CPU."""
    return here(torch.randperm(size, generator=generator, device='cpu'))


def exact(tensor: Tensor) -> np.ndarray:
    """Returns the values of a tensor in double precision, for the oracles."""
    return tensor.detach().cpu().double().numpy()


def autocast(dtype: torch.dtype = torch.bfloat16) -> torch.autocast:
    """Autocast on the device of the test."""
    return torch.autocast(torch.get_default_device().type, dtype=dtype)
