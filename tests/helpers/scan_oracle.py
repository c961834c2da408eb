"""The scans as loops over time in float64 NumPy: what the ops are held to.

Nothing here knows PyTorch or the kernels. Forward and gradient are written from the
recurrence, one step after the other; only batch, channels and states are arrays.
"""

import numpy as np


def softplus(value):
    """With the threshold that everybody has, beyond which it is the identity."""
    return np.where(value > 20, value, np.logaddexp(0, value))


def softplus_slope(value):
    return np.where(value > 20, 1.0, sigmoid(value))


def sigmoid(value):
    return np.exp(-np.logaddexp(0, -value))


def selective_scan(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, h0=None
):
    """Returns the output ``(N, E, L)`` and the last state ``(N, E, d_state)``."""
    step = _steps(delta, delta_bias, delta_softplus)
    B, C = _per_channel(B, u), _per_channel(C, u)
    state = np.zeros((*u.shape[:2], A.shape[1])) if h0 is None else h0.copy()
    out = np.zeros(u.shape)
    for t in range(u.shape[2]):
        drive = step[:, :, t, None] * B[..., t] * u[:, :, t, None]
        state = np.exp(step[:, :, t, None] * A) * state + drive
        out[:, :, t] = (C[..., t] * state).sum(-1)
    if D is not None:
        out += D[:, None] * u
    return (out if z is None else out * z * sigmoid(z)), state


def selective_scan_gradients(
    grad_out, grad_last, u, delta, A, B, C, D=None, z=None, delta_bias=None,
    delta_softplus=False, h0=None,
):  # fmt: skip
    """Returns the gradient of every argument that is there, by its name.

    It takes the gradients of the output and of the last state, then what
    `selective_scan` takes, with ``B`` and ``C`` in groups.
    """
    step = _steps(delta, delta_bias, delta_softplus)
    wide_B, wide_C = _per_channel(B, u), _per_channel(C, u)
    state = np.zeros((*u.shape[:2], A.shape[1])) if h0 is None else h0
    states = [state]
    for t in range(u.shape[2]):
        drive = step[:, :, t, None] * wide_B[..., t] * u[:, :, t, None]
        state = np.exp(step[:, :, t, None] * A) * state + drive
        states.append(state)

    grads = {}
    if z is not None:
        y, _ = selective_scan(
            u, delta, A, B, C, D, None, delta_bias, delta_softplus, h0
        )
        gate = sigmoid(z)
        grads['z'] = grad_out * y * gate * (1 + z * (1 - gate))
        grad_out = grad_out * z * gate
    du, dstep = np.zeros(u.shape), np.zeros(u.shape)
    dA, dB, dC = np.zeros(A.shape), np.zeros(wide_B.shape), np.zeros(wide_C.shape)
    dh = grad_last.copy()
    for t in reversed(range(u.shape[2])):
        now, value = step[:, :, t, None], u[:, :, t, None]
        dh += grad_out[:, :, t, None] * wide_C[..., t]
        dC[..., t] = grad_out[:, :, t, None] * states[t + 1]
        dB[..., t] = dh * now * value
        du[:, :, t] = (dh * now * wide_B[..., t]).sum(-1)
        decay = np.exp(now * A)
        dexponent = dh * decay * states[t]
        dstep[:, :, t] = (dexponent * A + dh * wide_B[..., t] * value).sum(-1)
        dA += (dexponent * now).sum(0)
        dh = dh * decay
    if delta_softplus:
        raw = delta if delta_bias is None else delta + delta_bias[:, None]
        dstep *= softplus_slope(raw)
    if D is not None:
        du += D[:, None] * grad_out
        grads['D'] = (grad_out * u).sum((0, 2))
    if delta_bias is not None:
        grads['delta_bias'] = dstep.sum((0, 2))
    if h0 is not None:
        grads['h0'] = dh
    dB, dC = _sum_groups(dB, B), _sum_groups(dC, C)
    return grads | {'u': du, 'delta': dstep, 'A': dA, 'B': dB, 'C': dC}


def path_scan(x, dt, A, B, C, D, dt_bias, index, steps, segment, dt_weight, h0):
    """Returns ``y (N, L, E)`` and states ``(N, K, segments, E, d_state)``."""
    y = np.zeros(x[0].shape)
    states = np.zeros(_states_shape(x, A, segment))
    if h0 is not None:
        states[:] = h0
    for k, s, tokens in _stretches(index, steps, segment):
        out, states[:, k, s] = selective_scan(
            **_along(x[steps[k][1]], dt, A, B, C, D, dt_bias, dt_weight, k, tokens),
            h0=states[:, k, s],
        )
        y[:, tokens] += out.swapaxes(1, 2)
    return y, states


def path_scan_gradients(
    grad_y, grad_last, x, dt, A, B, C, D, dt_bias, index, steps, segment, dt_weight, h0
):
    """Returns the gradient of every argument that is there, by its name.

    Those of ``x`` are ``x0``, ``x1``, ... by source.
    """
    arguments = {
        **{f'x{s}': source for s, source in enumerate(x)},
        **dict(dt=dt, A=A, B=B, C=C, D=D, dt_bias=dt_bias, dt_weight=dt_weight, h0=h0),
    }
    grads = {k: np.zeros(v.shape) for k, v in arguments.items() if v is not None}
    for k, s, tokens in _stretches(index, steps, segment):
        source = steps[k][1]
        part = selective_scan_gradients(
            grad_y[:, tokens].swapaxes(1, 2),
            grad_last[:, k, s],
            **_along(x[source], dt, A, B, C, D, dt_bias, dt_weight, k, tokens),
            h0=np.zeros(grad_last[:, k, s].shape) if h0 is None else h0[:, k, s],
        )
        grads[f'x{source}'][:, tokens] += part['u'].swapaxes(1, 2)
        grads['A'][k] += part['A']
        grads['B'][:, k, tokens] = part['B'][:, 0].swapaxes(1, 2)
        grads['C'][:, k, tokens] = part['C'][:, 0].swapaxes(1, 2)
        if D is not None:
            grads['D'][k] += part['D']
        if dt_bias is not None:
            grads['dt_bias'][k] += part['delta'].sum((0, 2))
        if h0 is not None:
            grads['h0'][:, k, s] = part['h0']
        ddelta = part['delta'].swapaxes(1, 2)
        if dt_weight is None:
            grads['dt'][:, k, tokens] = ddelta
        else:
            grads['dt'][:, k, tokens] = ddelta @ dt_weight[k]
            grads['dt_weight'][k] += np.einsum('nle,nlr->er', ddelta, dt[:, k, tokens])
    return grads


def _steps(delta, delta_bias, delta_softplus):
    step = delta if delta_bias is None else delta + delta_bias[:, None]
    return softplus(step) if delta_softplus else step


def _per_channel(weights, u):
    """Any form of ``B`` as ``(N, E, d_state, L)``."""
    N, E, L = u.shape
    if weights.ndim == 2:
        return np.broadcast_to(weights[None, :, :, None], (N, *weights.shape, L))
    if weights.ndim == 3:
        weights = weights[:, None]
    return weights.repeat(E // weights.shape[1], axis=1)


def _sum_groups(gradient, weights):
    """The opposite of `_per_channel` for weights in groups."""
    N, G, d_state, L = weights.shape
    E = gradient.shape[1]
    return gradient.reshape(N, G, E // G, d_state, L).sum(2)


def _states_shape(x, A, segment):
    N, L, E = x[0].shape
    segments = max(1, -(-L // (segment or max(L, 1))))
    return N, len(A), segments, E, A.shape[2]


def _stretches(index, steps, segment):
    """Yields path, segment and the tokens that are visited in it, in order."""
    for k, (row, _, reverse) in enumerate(steps):
        order = index[row][::-1] if reverse else index[row]
        length = segment or max(len(order), 1)
        for s, start in enumerate(range(0, max(len(order), 1), length)):
            yield k, s, order[start : start + length]


def _along(x, dt, A, B, C, D, dt_bias, dt_weight, k, tokens):
    """Arguments of the selective scan that visits some tokens of one path."""
    delta = dt[:, k, tokens]
    delta = delta if dt_weight is None else delta @ dt_weight[k].T
    return dict(
        u=x[:, tokens].swapaxes(1, 2),
        delta=delta.swapaxes(1, 2),
        A=A[k],
        B=B[:, k, tokens].swapaxes(1, 2)[:, None],
        C=C[:, k, tokens].swapaxes(1, 2)[:, None],
        D=None if D is None else D[k],
        delta_bias=None if dt_bias is None else dt_bias[k],
        delta_softplus=True,
    )
