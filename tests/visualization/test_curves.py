import json

import numpy as np
import pytest

from mmssm.visualization import load_scalars, plot_curves


@pytest.fixture
def scalars(tmp_path):
    path = tmp_path / 'scalars.json'
    lines = [
        {'lr': 1e-3, 'loss': 2.0, 'iter': 10, 'step': 10},
        {'lr': 1e-3, 'loss': 1.0, 'iter': 20, 'step': 20},
        {'MPJPE': 90.0, 'P-MPJPE': 60.0, 'step': 1},
        {'lr': 1e-3, 'loss': 0.5, 'iter': 30, 'step': 30},
        {'MPJPE': 70.0, 'P-MPJPE': 50.0, 'step': 2},
    ]
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return path


def test_validation_is_put_at_the_iteration_it_followed(scalars):
    curves = load_scalars(scalars)
    assert [c.tolist() for c in curves['loss']] == [[10, 20, 30], [2.0, 1.0, 0.5]]
    assert [c.tolist() for c in curves['MPJPE']] == [[20, 30], [90.0, 70.0]]


def test_what_is_no_log_is_refused(tmp_path):
    path = tmp_path / 'scalars.json'
    path.write_text('{"loss": 1.0, "iter": 1}\nTraceback')
    with pytest.raises(ValueError, match='line 2'):
        load_scalars(path)
    path.write_text('')
    with pytest.raises(ValueError, match='holds no values'):
        load_scalars(path)


def test_curves_show_runs_and_levels(scalars):
    curves = load_scalars(scalars)
    plain = plot_curves({'run': curves})
    assert plain.dtype == np.uint8
    for other in (
        plot_curves({'run': curves}, levels={'flat': 80.0}),
        plot_curves({'run': curves, 'again': curves}),
        plot_curves({'run': curves}, metrics=('MPJPE',)),
    ):
        assert other.shape == plain.shape and not np.array_equal(other, plain)
