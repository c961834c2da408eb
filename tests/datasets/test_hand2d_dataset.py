import numpy as np
import pytest
from helpers import coco_hands
from mmengine.registry import DATASETS

KIND = {'type': 'mmssm.Hand2DDataset', 'serialize_data': False}
CLASSES = {'coco': 'CocoWholeBodyDataset', 'halpe': 'HalpeDataset'}


def build(inner, hands, **changes):
    return DATASETS.build({**KIND, 'dataset': inner, 'hands': hands, **changes})


@pytest.mark.parametrize('kind', CLASSES)
def test_every_hand_of_a_person_is_a_sample(tmp_path, kind):
    rng = np.random.default_rng(0)
    people = [
        coco_hands.person(rng, kind, sides)
        for sides in (('left', 'right'), (), ('right',))
    ]
    inner = coco_hands.write_people(tmp_path, kind, [one for one, _ in people])
    dataset = build({'type': CLASSES[kind], **inner}, coco_hands.STARTS[kind])
    wanted = [(0, 'left'), (0, 'right'), (2, 'right')]
    assert len(dataset) == 3
    for sample, (place, side) in zip(dataset, wanted, strict=True):
        points = people[place][1][side]
        assert sample['img_path'].endswith(f'images/{place}.jpg')
        np.testing.assert_allclose(sample['keypoints'][0], points, rtol=1e-6)
        assert sample['keypoints_visible'].tolist() == [[1] * 21]
        assert sample['hand_type'].tolist() == [[side == 'right', side == 'left']]
        np.testing.assert_allclose(
            sample['bbox'][0], [*points.min(0), *points.max(0)], rtol=1e-6
        )
        assert 'keypoints_cam' not in sample and 'focal' not in sample


def test_few_joints_are_no_hand_and_unknown_ones_no_part_of_its_box(tmp_path):
    rng = np.random.default_rng(0)
    one, found = coco_hands.person(rng, 'coco')
    one['lefthand_kpts'][3 * 4 :] = [0] * (3 * 17)
    one['righthand_kpts'][3 * 5 :] = [0] * (3 * 16)
    inner = coco_hands.write_people(tmp_path, 'coco', [one])
    inner = {'type': 'CocoWholeBodyDataset', **inner}
    dataset = build(inner, coco_hands.STARTS['coco'])
    assert len(dataset) == 1
    points = found['right'][:5]
    np.testing.assert_allclose(dataset[0]['bbox'][0, :2], points.min(0), rtol=1e-6)
    assert dataset[0]['keypoints_visible'].sum() == 5
    assert len(build(inner, coco_hands.STARTS['coco'], min_joints=4)) == 2
    with pytest.raises(ValueError, match=r'all\.json holds no hand of 6 joints'):
        build(inner, coco_hands.STARTS['coco'], min_joints=6)


def test_file_names_say_which_hand_it_is(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmssm.datasets.datasets.hand2d_dataset.print_log',
        lambda text, *_: said.append(text),
    )
    names = ('a_l.jpg', 'b_r.jpg', '0001.jpg')
    inner, _ = coco_hands.write_panoptic(tmp_path, names)
    dataset = build({'type': 'PanopticHand2DDataset', **inner}, 'file_name')
    assert [one['hand_type'].tolist() for one in dataset] == [[[0, 1]], [[1, 0]]]
    assert 'names of 1 images do not say' in said[0]


def test_what_does_not_hold_is_named(tmp_path):
    inner, _ = coco_hands.write_panoptic(tmp_path, ('a_r.jpg',))
    inner = {'type': 'PanopticHand2DDataset', **inner}
    with pytest.raises(ValueError, match=r'all\.json: expected the left hand from'):
        build(inner, {'left': 21})
    with pytest.raises(FileNotFoundError, match=r'no\.json does not exist'):
        build({**inner, 'ann_file': 'no.json'}, 'file_name')
    (tmp_path / 'all.json').write_text('{"images": [')
    with pytest.raises(ValueError, match=r'all\.json cannot be read by PanopticHand2'):
        build(inner, 'file_name')
    for hands in ('name', {}, {'both': 0}, {'left': -1}):
        with pytest.raises(ValueError, match='hands must be'):
            build(inner, hands)
    with pytest.raises(ValueError, match='min_joints must be at least 1'):
        build(inner, 'file_name', min_joints=0)
