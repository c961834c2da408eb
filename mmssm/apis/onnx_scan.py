"""The recurrence of all scans in ONNX: one ``Scan`` node, whatever its length.

Inputs and outputs are those of `mmssm.ops.decomposed`. onnxscript reads the source of
this function, which is why it is as plain as it is.
"""

from typing import Any

import torch
from onnxscript import FLOAT, graph, script
from onnxscript import opset18 as op
from onnxscript.values import Opset

from mmssm.ops import decomposed  # noqa: F401  registers what is translated here

_DOMAIN = Opset('mmssm', 1)


@script(_DOMAIN)
def scan_steps(  # type: ignore[misc]
    state, A, delta, delta_x, B, C
) -> tuple[FLOAT[...], FLOAT[...]]:  # type: ignore[type-arg]
    """``mmssm::scan_steps``."""

    @graph()
    def step(h, delta_t, delta_x_t, B_t, C_t):
        next_h = op.Exp(delta_t * A) * h + delta_x_t * B_t
        y = op.MatMul(C_t, next_h)
        return next_h, y

    last, outputs = op.Scan(state, delta, delta_x, B, C, body=step, num_scan_inputs=4)
    return outputs, last


TRANSLATIONS: dict[Any, Any] = {torch.ops.mmssm.scan_steps.default: scan_steps}
