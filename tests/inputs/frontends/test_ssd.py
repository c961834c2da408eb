import numpy as np
import pytest

from mmssm.inputs.frontends.ssd import Detections, decode, make_anchors, merge_doubles


@pytest.mark.parametrize(
    ('size', 'strides', 'count'),
    [(224, (8, 16, 32, 32, 32), 2254), (192, (8, 16, 16, 16), 2016)],
)
def test_there_are_as_many_anchors_as_the_networks_have(size, strides, count):
    anchors = make_anchors(size, strides)
    assert anchors.shape == (count, 2)
    # two in the first cell, then the next column of the same row
    cell = strides[0] / size
    np.testing.assert_allclose(anchors[:2], cell / 2)
    np.testing.assert_allclose(anchors[2], [1.5 * cell, cell / 2])
    np.testing.assert_allclose(anchors.mean(0), 0.5, atol=1e-6)


def logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def test_boxes_and_points_are_relative_to_their_anchor():
    anchors = np.float32([[0.5, 0.5], [0.25, 0.75], [0.1, 0.1]])
    raw = np.zeros((3, 8), np.float32)
    raw[1] = [10, -20, 40, 20, 5, 5, -5, 0]  # centre, size, two points; pixels of 100
    logits = np.array([logit(0.6), logit(0.9), logit(0.4)])
    found = decode(raw, logits, anchors, size=100, min_score=0.5)
    np.testing.assert_allclose(found.scores, [0.9, 0.6], atol=1e-6)
    np.testing.assert_allclose(found.bboxes[0], [0.15, 0.45, 0.55, 0.65], atol=1e-6)
    np.testing.assert_allclose(found.points[0], [[0.3, 0.8], [0.2, 0.75]], atol=1e-6)


def test_large_logits_do_not_overflow():
    logits = np.float32([-1e5, 1e5])
    found = decode(np.zeros((2, 6)), logits, np.zeros((2, 2)), 10, 0.5)
    assert found.scores.tolist() == [1.0]


def test_doubles_become_their_mean_weighted_by_score():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.8], [3, 3, 4, 4], [0, 0.5, 1, 1.5]])
    points = boxes[:, None, :2] + 0.5
    scores = np.array([0.8, 0.4, 0.6, 0.5])
    order = np.argsort(-scores)
    found = merge_doubles(Detections(boxes[order], points[order], scores[order]))
    np.testing.assert_allclose(found.scores, [0.8, 0.6])
    mean = (0.8 * boxes[0] + 0.5 * boxes[3] + 0.4 * boxes[1]) / 1.7
    np.testing.assert_allclose(found.bboxes, [mean, boxes[2]])
    np.testing.assert_allclose(found.points[1], points[2])


def test_nothing_stays_nothing():
    raw, anchors = np.zeros((4, 12), np.float32), np.zeros((4, 2), np.float32)
    found = merge_doubles(decode(raw, np.full(4, -9.0), anchors, 10, 0.5))
    assert (len(found), found.bboxes.shape, found.points.shape) == (
        0,
        (0, 4),
        (0, 4, 2),
    )
