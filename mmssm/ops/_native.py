"""What the compiled ops share.

Each compiled scan ``mmssm::<name>`` takes its tensors first, then constants, and
returns (output, last state, checkpoints), ``deform_scan`` without the last state;
the checkpoints are the states that
its gradient starts its recomputation from, and empty if none is asked for. The
gradient is a compiled op too: ``mmssm::<name>_backward(grad_out,
grad_last_state, checkpoints, tensors..., constants...)`` returns one gradient
per tensor. An op cannot return None, so an absent tensor has an empty gradient
there.
"""

from collections.abc import Iterable
from typing import Any, NoReturn

import torch
from torch import Tensor

# The same number as `kCheckpointSteps` of csrc/common/scan.h.
CHECKPOINT_STEPS = 64


def needs_gradient(inputs: Iterable[Tensor | None]) -> bool:
    """Whether autograd will record the call, which then keeps checkpoints."""
    return torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in inputs
    )


def fake_gradients(inputs: Iterable[Tensor | None], like: Tensor) -> list[Tensor]:
    """Returns one fake gradient per input, an empty one where it is absent."""
    return [like.new_empty(0) if t is None else t.new_empty(t.shape) for t in inputs]


def drop_absent(
    gradients: Iterable[Tensor], inputs: Iterable[Tensor | None]
) -> list[Tensor | None]:
    """Puts None in the place of gradients of absent inputs."""
    return [
        None if t is None else gradient
        for gradient, t in zip(gradients, inputs, strict=True)
    ]


def register_backward(name: str, fake: Any) -> None:
    """Registers a gradient op: its fake, and an error for its own gradient."""
    torch.library.register_fake(f'mmssm::{name}', fake)
    torch.library.register_autograd(f'mmssm::{name}', _no_second_gradient)


def _no_second_gradient(ctx: Any, *_: Any) -> NoReturn:
    raise NotImplementedError(
        'the compiled ops have no second gradient; run the forward under '
        "mmssm.ops.backend('reference') to differentiate twice"
    )
