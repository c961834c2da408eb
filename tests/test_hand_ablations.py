"""Every row of the paper's Tables 7, 8 and 10 is a config; small copies train."""

import importlib.util
from pathlib import Path

import pytest
import torch
from helpers.configs import metafile_models, read
from helpers.drop_ins import batch_of, shrink_model
from helpers.hand_configs import ABLATIONS
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401

# What a row of Table 7, 8 or 10 changes in DF-Mamba, and on how many sets.
ROWS = {
    'plain-scan': ({'num_anchors': 0}, 3),
    'cccccc': ({'blocks': 'CCCCCC'}, 2),
    'gggggg': ({'blocks': 'GGGGGG'}, 2),
    'dddddd': ({'blocks': 'DDDDDD'}, 2),
    'ccgggg': ({'blocks': 'CCGGGG'}, 3),
    'ccdddd': ({'blocks': 'CCDDDD'}, 2),
    'k1': ({'num_anchors': 1}, 2),
    'k25': ({'num_anchors': 25}, 2),
    'g6-g2': ({'depths': (3, 3, 5, 6, 2, 2)}, 2),
}
# The other backbones of Table 10, their width, and on how many sets they are here:
# ResNet-50 on DexYCB is no ablation but a config of its own.
PEERS = {
    'res50': ({'type': 'ResNet', 'depth': 50}, 2048, 1),
    'res152': ({'type': 'ResNet', 'depth': 152}, 2048, 2),
    'convnext-tiny': ({'type': 'mmpretrain.ConvNeXt', 'arch': 'tiny'}, 768, 2),
    'convnext-small': ({'type': 'mmpretrain.ConvNeXt', 'arch': 'small'}, 768, 2),
    'vmamba-tiny': ({'type': 'mmssm.VMamba', 'arch': 'tiny'}, 768, 2),
    'vmamba-small': ({'type': 'mmssm.VMamba', 'arch': 'small'}, 768, 2),
}


def row_of(path):
    """``k25`` of ``heatmap-depth_df-mamba-a-k25_1xb64-20e_....py``."""
    return path.stem.split('_')[1].removeprefix('df-mamba-a-')


def base_of(path):
    [base] = path.parents[1].glob(
        path.name.replace(path.stem.split('_')[1], 'df-mamba-a')
    )
    return read(base)


def test_every_row_is_there():
    found = [row_of(path) for path in ABLATIONS]
    expected = {row: sets for row, (*_, sets) in (ROWS | PEERS).items()}
    assert {row: found.count(row) for row in set(found)} == expected


@pytest.mark.parametrize('path', ABLATIONS, ids=lambda path: path.stem)
def test_a_row_changes_the_backbone_alone(path):
    ours, base = read(path).to_dict(), base_of(path).to_dict()
    model, base_model = ours.pop('model'), base.pop('model')
    assert ours == base
    row = row_of(path)
    if row in ROWS:
        base_model['backbone'].update(ROWS[row][0])
        assert model == base_model
        return
    changes, width, _ = PEERS[row]
    backbone = model.pop('backbone')
    assert changes.items() <= backbone.items()
    base_model.pop('backbone')
    base_model['head']['in_channels'] = width
    assert model == base_model


def needs_mmpretrain(path):
    return 'mmpretrain.' in Path(path).read_text()


BUILDABLE = [
    path
    for path in ABLATIONS
    if not needs_mmpretrain(path) or importlib.util.find_spec('mmpretrain')
]


# The sets share their models; the peers' sizes do not depend on the set either.
@pytest.mark.parametrize(
    'path',
    [path for path in BUILDABLE if path.parts[-3] != 'assemblyhands'],
    ids=row_of,
)
def test_built_and_counted(path):
    config = read(path)
    # mmpretrain's ConvNeXt reads numbers while it is built.
    with torch.device('cpu' if needs_mmpretrain(path) else 'meta'):
        model = MODELS.build(config.model)
    count = sum(parameter.numel() for parameter in model.parameters())
    described = metafile_models()
    assert described[path.stem]['Metadata']['Parameters'] == count
    twin = described.get(path.stem.replace('dexycb-s1', 'assemblyhands'))
    assert twin['Metadata']['Parameters'] == count


@pytest.mark.parametrize(
    'path',
    [path for path in BUILDABLE if path.parts[-3] != 'assemblyhands'],
    ids=row_of,
)
def test_a_small_copy_takes_a_step(path):
    torch.manual_seed(0)
    config = read(path)
    shrink_model(config.model)
    model = MODELS.build(config.model).train()
    data = batch_of(model, config, 'train')
    before = [p.detach().clone() for p in model.backbone.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    for old, new in zip(before, model.backbone.parameters(), strict=True):
        assert not torch.equal(old, new)
