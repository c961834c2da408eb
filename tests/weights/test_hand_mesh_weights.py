from pathlib import Path

import torch

import mmssm
from mmssm.apis import build_from_checkpoint, load_checkpoint

WEIGHTS = Path(mmssm.__file__).parent / 'weights' / 'hamba-small-synthhand.safetensors'
CONFIGS = Path(__file__).resolve().parents[2] / 'configs/hand_mesh/hamba/synthhand'


def test_shipped_weights_build_and_give_hands_of_human_size():
    _, meta = load_checkpoint(WEIGHTS)
    assert (CONFIGS / meta['config']).is_file()
    model = build_from_checkpoint(WEIGHTS).eval()
    with torch.no_grad():
        crops = torch.randn(2, 3, 128, 128)
        *_, hands = model.head(model.extract_feat(crops))
    palms = (hands.joints[:, 9] - hands.joints[:, 0]).norm(dim=-1)
    assert ((palms > 0.05) & (palms < 0.15)).all()
    assert torch.isfinite(hands.vertices).all()


def test_the_command_and_the_log_stand_beside_them():
    log = WEIGHTS.with_suffix('.txt').read_text()
    assert '$ python demo/train_hand_mesh.py' in log
    assert 'Iter(val)' in log


def test_shipped_weights_are_small():
    assert WEIGHTS.stat().st_size < 8 * 2**20
