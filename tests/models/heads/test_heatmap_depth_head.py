import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401

K = 3


def head(size=(128, 128), **arguments):
    decoder = dict(type='mmssm.HeatmapDepth', input_size=size)
    settings = dict(
        type='mmssm.HeatmapDepthHead',
        in_channels=4,
        num_joints=K,
        deconv_out_channels=(8, 8, 8),
        decoder=decoder,
    )
    torch.manual_seed(0)
    model = MODELS.build(settings | arguments)
    model.init_weights()
    return model


class Maps(torch.nn.Module):
    """Takes the place of the last layer and gives these maps."""

    def __init__(self, heatmaps, depths):
        super().__init__()
        self.maps = torch.cat([heatmaps, depths], 1)

    def forward(self, x):
        return self.maps


def with_maps(heatmaps, depths, size=(128, 128), **arguments):
    model = head(size, **arguments)
    model.deconv_layers = torch.nn.Identity()
    model.final_layer = Maps(heatmaps, depths)
    return model


def peaks(places, columns=32, rows=32):
    heatmaps = torch.zeros(1, len(places), rows, columns)
    for joint, (column, row) in enumerate(places):
        heatmaps[0, joint, row, column] = 100.0
    return heatmaps


def samples(count=1, size=(128, 128)):
    made = []
    for number in range(count):
        one = PoseDataSample(
            metainfo=dict(flip_indices=list(range(K)), input_size=size)
        )
        rng = np.random.default_rng(number)
        one.gt_instance_labels = InstanceData(
            keypoint_labels=torch.tensor(rng.random((1, K, 2)), dtype=torch.float32),
            keypoint_weights=torch.ones(1, K),
            depth_labels=torch.tensor(rng.normal(size=(1, K)), dtype=torch.float32),
            depth_weights=torch.ones(1, K),
        )
        made.append(one)
    return made


def test_a_sharp_heatmap_says_where_and_how_deep():
    places = [(10, 3), (31, 0), (5, 31)]
    depths = torch.randn(1, K, 32, 32)
    model = with_maps(peaks(places), depths)
    (pred,) = model.predict((torch.zeros(1, 4, 4, 4),), samples())
    np.testing.assert_allclose(
        pred.keypoints, [[[4 * x, 4 * y] for x, y in places]], atol=1e-4
    )
    expected = [depths[0, joint, y, x] for joint, (x, y) in enumerate(places)]
    np.testing.assert_allclose(pred.keypoint_depths[0], expected, atol=1e-5)
    np.testing.assert_allclose(pred.keypoint_scores, np.ones((1, K)), atol=1e-5)
    assert pred.keypoints.shape == (1, K, 2)


def test_two_peaks_mean_the_middle_weighted():
    heatmaps = torch.full((1, K, 32, 32), -1e4)
    heatmaps[..., 8, 4] = np.log(3)
    heatmaps[..., 8, 12] = 0.0
    depths = torch.zeros(1, K, 32, 32)
    depths[..., 8, 4], depths[..., 8, 12] = 0.1, -0.1
    places, depth, maps = with_maps(heatmaps, depths, beta=1.0)(
        (torch.zeros(1, 4, 4, 4),)
    )
    torch.testing.assert_close(places[0, 0] * 128, torch.tensor([24.0, 32.0]))
    torch.testing.assert_close(depth, torch.full((1, K), 0.05))
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(1, K))


def test_cells_lie_where_their_stride_puts_them():
    """176 pixels have 6 cells of 32: 48 after the deconvolutions, of 4 pixels."""
    size = (176, 88)
    model = with_maps(
        peaks([(43, 21)] * K, columns=48, rows=24), torch.zeros(1, K, 24, 48), size
    )
    (pred,) = model.predict((torch.zeros(1, 4, 3, 6),), samples(size=size))
    np.testing.assert_allclose(pred.keypoints[0, 0], [172, 84], atol=1e-4)


def test_shapes_follow_the_feature_map():
    model = head((176, 88))
    places, depths, heatmaps = model((None, torch.randn(2, 4, 3, 6)))
    assert places.shape == (2, K, 2)
    assert depths.shape == (2, K)
    assert heatmaps.shape == (2, K, 24, 48)


def test_labels_as_predictions_have_no_loss():
    model = head()
    batch = samples(2)
    labels = [one.gt_instance_labels for one in batch]
    perfect = [
        torch.cat([label[name] for label in labels])
        for name in ('keypoint_labels', 'depth_labels')
    ]
    model.forward = lambda feats: (*perfect, None)
    losses = model.loss(None, batch)
    assert losses.keys() == {
        'loss_kpt',
        'loss_depth',
        'error_px',
        'error_depth_mm',
    }
    assert all(value == 0 for value in losses.values())


def test_losses_are_l1_in_units_of_the_crop_and_of_its_cube():
    model = head()
    (one,) = batch = samples()
    label = one.gt_instance_labels
    model.forward = lambda feats: (
        label.keypoint_labels + 0.5,
        label.depth_labels + 0.4,
        None,
    )
    losses = model.loss(None, batch)
    assert losses['loss_kpt'].item() == pytest.approx(0.5)
    assert losses['loss_depth'].item() == pytest.approx(1.0)
    assert losses['error_px'].item() == pytest.approx(64 * 2**0.5)
    assert losses['error_depth_mm'].item() == pytest.approx(400)


def test_joints_without_weight_change_nothing():
    model = head()
    feats = (torch.randn(1, 4, 4, 4),)
    (one,) = batch = samples()
    label = one.gt_instance_labels
    label.keypoint_weights[0, 0] = label.depth_weights[0, 1] = 0
    before = model.loss(feats, batch)
    label.keypoint_labels[0, 0] += 9
    label.depth_labels[0, 1] += 9
    after = model.loss(feats, batch)
    for name in before:
        assert before[name] == after[name]


def test_it_learns_a_place_and_a_depth():
    torch.manual_seed(0)
    model = head().train()
    feats = (torch.randn(2, 4, 4, 4),)
    batch = samples(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    totals = []
    for _ in range(20):
        losses = model.loss(feats, batch)
        total = losses['loss_kpt'] + losses['loss_depth']
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]
    assert all(p.grad is not None for p in model.parameters())


def test_the_mirror_image_of_a_mirror_image_is_the_image():
    """A network that sees all mirrored predicts the same with a flip test."""
    plain = head(deconv_out_channels=(), deconv_kernel_sizes=(), stride=4)
    heatmaps, depths = torch.randn(2, 1, K, 32, 32)

    def outputs(mirrored):
        plain.final_layer = (
            Maps(heatmaps.flip(-1), depths.flip(-1))
            if mirrored
            else Maps(heatmaps, depths)
        )
        # a pixel x of the crop is w - 1 - x in its mirror image, a cell 4 of them
        places, depth, maps = type(plain).forward(plain, (None,))
        return (
            (places + torch.tensor([3 / 128, 0])) if mirrored else places,
            depth,
            maps,
        )

    plain.forward = outputs
    (alone,) = plain.predict(False, samples())
    (both,) = plain.predict([False, True], samples(), dict(flip_test=True))
    np.testing.assert_allclose(both.keypoints, alone.keypoints, atol=1e-3)
    np.testing.assert_allclose(both.keypoint_depths, alone.keypoint_depths, atol=1e-5)
    np.testing.assert_allclose(both.keypoint_scores, alone.keypoint_scores, atol=1e-6)


def test_heatmaps_can_be_had_too():
    model = head()
    preds, fields = model.predict(
        (torch.randn(2, 4, 4, 4),), samples(2), dict(output_heatmaps=True)
    )
    assert len(preds) == len(fields) == 2
    assert fields[0].heatmaps.shape == (K, 32, 32)


def test_half_precision_features_keep_places_whole():
    """A softmax over 1024 cells in bfloat16 would round places to pixels."""
    model = head()
    feats = (torch.randn(1, 4, 4, 4),)
    exact = model(feats)
    with torch.autocast('cpu', torch.bfloat16):
        cast = model(feats)
    assert all(output.dtype == torch.float32 for output in cast)
    assert (cast[0] - exact[0]).abs().max() < 0.002


def test_it_needs_its_codec():
    with pytest.raises(ValueError, match=r"decoder=dict\(type='mmssm\.HeatmapDepth'"):
        head(decoder=None)


def test_beta_sharpens_the_heatmaps():
    scores = torch.randn(1, K, 8, 8)
    for beta in (0.5, 10.0):
        _, _, maps = with_maps(scores, torch.zeros(1, K, 8, 8), beta=beta)(
            (torch.zeros(1, 4, 4, 4),)
        )
        expected = (beta * scores).flatten(2).softmax(-1).view_as(scores)
        torch.testing.assert_close(maps, expected)


def test_the_heatmap_loss_is_least_at_its_gaussian():
    sample = samples()[0]
    labels = sample.gt_instance_labels
    labels.keypoint_weights[0, 1] = 0
    cells = labels.keypoint_labels[0] * 32
    # Gaussians cell by cell, apart from how the head makes them
    target = torch.zeros(1, K, 32, 32, dtype=torch.float64)
    for joint, (x, y) in enumerate(cells.double()):
        for row in range(32):
            for column in range(32):
                square = (row - y) ** 2 + (column - x) ** 2
                target[0, joint, row, column] = torch.exp(-square / (2 * 2.0**2))
    target /= target.sum((2, 3), keepdim=True)
    entropy = -(target * target.log()).sum((2, 3))[0, [0, 2]].mean()

    def loss(heatmaps):
        model = with_maps(
            heatmaps.float(),
            torch.zeros(1, K, 32, 32),
            heatmap_loss_weight=0.5,
            sigma=2.0,
            beta=1.0,
        )
        return model.loss((torch.zeros(1, 4, 4, 4),), [sample])['loss_heatmap']

    least = loss(target.log())
    torch.testing.assert_close(least.double(), 0.5 * entropy, rtol=1e-4, atol=0)
    assert loss(target.log() + 0.3 * torch.randn(1, K, 32, 32)) > least
    assert loss(target.log().roll(3, -1)) > least
    # without evidence: of two that are far off, still a number and a gradient
    assert torch.isfinite(loss(peaks([(0, 0), (0, 0), (0, 0)])))


def test_no_heatmap_loss_unless_asked_for():
    losses = head().loss((torch.randn(1, 4, 4, 4),), samples())
    assert set(losses) == {'loss_kpt', 'loss_depth', 'error_px', 'error_depth_mm'}


@pytest.mark.parametrize(
    'arguments', [dict(heatmap_loss_weight=-1.0), dict(sigma=0.0), dict(beta=0.0)]
)
def test_weights_out_of_range(arguments):
    with pytest.raises(ValueError, match='must be positive, got'):
        head(**arguments)
