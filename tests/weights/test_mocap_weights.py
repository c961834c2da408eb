import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import mmssm
from mmssm.apis import build_from_checkpoint, find_model

WEIGHTS = [
    Path(mmssm.__file__).parent / 'weights' / f'{name}.safetensors'
    for name in (
        'posemamba-mocap-27frm',
        'posemamba-mocap-causal-27frm',
        'sasmamba-mocap-causal-27frm',
    )
]


def evaluate(model, config):
    loader = Runner.build_dataloader(config.val_dataloader, seed=0)
    evaluator = Runner.build_evaluator(None, config.val_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    with torch.no_grad():
        for batch in loader:
            evaluator.process(model.test_step(batch), batch)
    return evaluator.evaluate(len(loader.dataset))


@pytest.mark.parametrize('weights', WEIGHTS, ids=lambda path: path.stem)
def test_shipped_weights_have_the_error_that_their_log_ends_with(weights):
    log = weights.with_suffix('.txt').read_text()
    recorded = dict(re.findall(r'(?<=\s)([\w-]+): (\d+\.\d+)', log.splitlines()[-1]))
    entry = find_model(weights.stem)
    assert entry.weights == weights
    config = Config.fromfile(entry.config)
    with DefaultScope.overwrite_default_scope('mmpose'):
        metrics = evaluate(build_from_checkpoint(weights), config)
    for error in ('MPJPE', 'P-MPJPE', 'MPJPE_Walk'):
        assert metrics[error] == pytest.approx(float(recorded[error]), abs=0.1)
    for error, printed in entry.metrics.items():
        assert metrics[error] == pytest.approx(printed, abs=0.1)


@pytest.mark.parametrize('weights', WEIGHTS, ids=lambda path: path.stem)
def test_shipped_weights_are_small(weights):
    assert weights.stat().st_size < 4 * 2**20
