import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from mmssm.datasets import DetectorNoise


def run(frames=400, seed=0, **kwargs):
    np.random.seed(seed)
    results = {
        'keypoints': np.full((frames, 17, 2), 500, np.float32),
        'keypoints_visible': np.ones((frames, 17), np.float32),
    }
    results = DetectorNoise(**kwargs).transform(results)
    return results['keypoints'] - 500, results['keypoints_visible']


def test_is_built_by_name():
    assert isinstance(TRANSFORMS.build({'type': 'mmssm.DetectorNoise'}), DetectorNoise)


def test_noise_has_the_given_size_and_memory():
    noise, confidence = run(frames=3000, std=5.0, occlusion_rate=0.0, memory=0.7)
    assert noise.dtype == np.float32
    assert noise.std() == pytest.approx(5, rel=0.02)
    assert noise[0].std() == pytest.approx(5, rel=0.4)
    correlation = (noise[1:] * noise[:-1]).mean() / noise.var()
    assert correlation == pytest.approx(0.7, abs=0.02)
    assert 0.8 <= confidence.min() <= confidence.max() <= 1


@pytest.mark.parametrize('frames', [27, 243])
def test_occlusions_have_the_given_rate_and_low_confidence(frames):
    rates = []
    for seed in range(200):
        noise, confidence = run(frames, seed=seed, occlusion_rate=0.1)
        rates.append((confidence < 0.6).mean())
    assert np.mean(rates) == pytest.approx(0.1, abs=0.012)
    occluded = confidence < 0.6
    assert noise[occluded].std() > 3 * noise[~occluded].std()


def test_occlusions_last():
    _, confidence = run(frames=600, occlusion_rate=0.05, occlusion_length=(5, 5))
    occluded = (confidence < 0.6).astype(int)
    edges = np.diff(np.pad(occluded, ((1, 1), (0, 0))), axis=0)
    for joint in range(17):
        starts = np.flatnonzero(edges[:, joint] == 1)
        ends = np.flatnonzero(edges[:, joint] == -1)
        inner = (starts > 0) & (ends < 600)
        assert ((ends - starts)[inner] >= 5).all()


def test_no_noise_is_no_change():
    noise, confidence = run(std=0, occlusion_rate=0, confidence=(1.0, 1.0))
    assert not noise.any()
    assert (confidence == 1).all()


@pytest.mark.parametrize(
    ('argument', 'value'),
    [
        ('std', -1.0),
        ('memory', 1.0),
        ('occlusion_rate', 1.0),
        ('occlusion_length', (5, 3)),
        ('occlusion_length', (0, 3)),
    ],
)
def test_an_argument_out_of_range_is_named(argument, value):
    with pytest.raises(ValueError, match=argument):
        DetectorNoise(**{argument: value})
