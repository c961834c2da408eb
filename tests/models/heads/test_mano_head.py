"""The plain head for meshes."""

import pytest
import torch
from helpers import hand_meshes
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401


def head(**arguments):
    torch.manual_seed(0)
    settings = dict(type='mmssm.MANOHead', in_channels=6, hidden_dims=(8, 8))
    return MODELS.build(settings | arguments)


def samples(count=2):
    labels = hand_meshes.labels(count, dtype=torch.float32)
    made = []
    for number in range(count):
        one = PoseDataSample(metainfo=dict(input_size=(64, 64)))
        one.gt_instance_labels = InstanceData(
            **{name: value[number, None] for name, value in labels.items()}
        )
        made.append(one)
    return made


def test_the_mean_of_the_map_through_an_mlp():
    model = head()
    x = torch.randn(2, 6, 5, 7)
    (pred,) = model((None, x))
    first, _, second, _ = model.mlp
    hidden = second(first(x.flatten(2).mean(-1)).relu()).relu()
    torch.testing.assert_close(
        pred.cam, torch.tensor([4.0, 0, 0]) + model.regressor.cam(hidden)
    )
    torch.testing.assert_close(pred.betas, model.regressor.betas(hidden))
    assert pred.vertices.shape == (2, model.mano.num_vertices, 3)


def test_it_trains():
    model = head().train()
    feats = (torch.randn(2, 6, 4, 4),)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    totals = []
    for _ in range(30):
        total = sum(model.loss(feats, samples()).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]
    assert all(p.grad.any() for p in model.parameters())


def test_it_predicts():
    preds = head().eval().predict((torch.randn(2, 6, 4, 4),), samples())
    assert len(preds) == 2
    assert preds[0].keypoints.shape == (1, 21, 2)
    assert preds[0].mesh_vertices.ndim == 3


def test_without_hidden_layers():
    (pred,) = head(hidden_dims=())((torch.randn(2, 6, 4, 4),))
    assert pred.cam.shape == (2, 3)


def test_what_cannot_be():
    with pytest.raises(ValueError, match='hidden_dims must be at least 1'):
        head(hidden_dims=(8, 0))
    with pytest.raises(ValueError, match=r'a feature map \(N, 6, rows, columns\)'):
        head()((torch.randn(2, 7, 4, 4),))
