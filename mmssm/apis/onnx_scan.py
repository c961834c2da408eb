"""The recurrence of all scans in ONNX: one ``Scan`` node, whatever its length.

Inputs and outputs are those of `mmssm.ops.decomposed`. onnxscript reads the source of
these functions, which is why they are as plain as they are.
"""

from typing import Any

import torch
from onnxscript import FLOAT, graph, script
from onnxscript import opset18 as op
from onnxscript.values import Opset

from mmssm.ops import decomposed  # noqa: F401  registers what is translated here

_DOMAIN = Opset('mmssm', 1)


@script(_DOMAIN)
def scan_steps(state, A, delta, delta_x, B, C) -> FLOAT[...]:  # type: ignore[type-arg, misc]
    """``mmssm::scan_steps``."""

    @graph()
    def step(h, delta_t, delta_x_t, B_t, C_t):
        next_h = op.Exp(delta_t * A) * h + delta_x_t * B_t
        y = op.MatMul(C_t, next_h)
        return next_h, y

    _last, outputs = op.Scan(state, delta, delta_x, B, C, body=step, num_scan_inputs=4)
    return outputs


@script(_DOMAIN)
def scan_last(state, A, delta, delta_x, B) -> FLOAT[...]:  # type: ignore[type-arg, misc]
    """``mmssm::scan_last``."""

    @graph()
    def step_on(h, delta_t, delta_x_t, B_t):
        next_h = op.Exp(delta_t * A) * h + delta_x_t * B_t
        return next_h

    last = op.Scan(state, delta, delta_x, B, body=step_on, num_scan_inputs=3)
    return last


TRANSLATIONS: dict[Any, Any] = {
    torch.ops.mmssm.scan_steps.default: scan_steps,
    torch.ops.mmssm.scan_last.default: scan_last,
}
