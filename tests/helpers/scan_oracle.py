"""The scans as loops over every number, in float64 NumPy: what ops are held to."""

import numpy as np


def softplus(value):
    return value if value > 20 else np.log1p(np.exp(value))


def selective_scan(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, h0=None
):
    """Returns the output ``(N, E, L)`` and the last state ``(N, E, d_state)``."""
    N, E, L = u.shape
    d_state = A.shape[1]
    out, last = np.zeros((N, E, L)), np.zeros((N, E, d_state))
    for n in range(N):
        for e in range(E):
            h = np.zeros(d_state) if h0 is None else h0[n, e].copy()
            for t in range(L):
                step = delta[n, e, t]
                step = step if delta_bias is None else step + delta_bias[e]
                step = softplus(step) if delta_softplus else step
                B_t, C_t = weights(B, n, e, t, E), weights(C, n, e, t, E)
                h = np.exp(step * A[e]) * h + step * B_t * u[n, e, t]
                y = (C_t * h).sum() + (0 if D is None else D[e] * u[n, e, t])
                if z is not None:
                    y = y * z[n, e, t] / (1 + np.exp(-z[n, e, t]))
                out[n, e, t] = y
            last[n, e] = h
    return out, last


def weights(B, n, e, t, E):
    if B.ndim == 2:
        return B[e]
    if B.ndim == 3:
        return B[n, :, t]
    return B[n, e // (E // B.shape[1]), :, t]


def path_scan(x, dt, A, B, C, D, dt_bias, index, steps, segment, dt_weight, h0):
    """Returns ``y (N, L, E)`` and states ``(N, K, segments, E, d_state)``."""
    N, L, E = x[0].shape
    d_state = A.shape[2]
    segment = segment or max(L, 1)
    segments = max(1, -(-L // segment))
    y = np.zeros((N, L, E))
    states = np.zeros((N, len(steps), segments, E, d_state))
    if h0 is not None:
        states[:] = h0
    for n in range(N):
        for k, (row, source, reverse) in enumerate(steps):
            order = index[row][::-1] if reverse else index[row]
            for t, i in enumerate(order):
                for e in range(E):
                    step = dt[n, k, i]
                    step = step[e] if dt_weight is None else step @ dt_weight[k, e]
                    step = softplus(step + (0 if dt_bias is None else dt_bias[k, e]))
                    value = x[source][n, i, e]
                    h = states[n, k, t // segment, e]
                    h = np.exp(step * A[k, e]) * h + step * B[n, k, i] * value
                    states[n, k, t // segment, e] = h
                    skip = 0 if D is None else D[k, e] * value
                    y[n, i, e] += C[n, k, i] @ h + skip
    return y, states
