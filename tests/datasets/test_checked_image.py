import numpy as np
import pytest
from helpers import freihand, hands
from mmengine.registry import DATASETS, TRANSFORMS
from PIL import Image

from mmssm.datasets.transforms.checked_image import UnreadableImage

KIND = {'type': 'mmssm.FreiHAND3DDataset', 'serialize_data': False}

LOAD = {'type': 'mmssm.LoadCheckedImage'}


def load(path, **changes):
    settings = {key: changes.pop(key) for key in list(changes) if key in ARGUMENTS}
    step = TRANSFORMS.build({**LOAD, **settings})
    return step({'img_path': str(path), 'sample_idx': 7, **changes})


ARGUMENTS = ('max_pixels', 'replace_corrupted', 'to_float32')


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_a_whole_image_is_loaded_as_mmpose_loads_it(tmp_path, suffix):
    path = tmp_path / f'image.{suffix}'
    hands.save_image(path, 40, 30)
    stock = TRANSFORMS.build({'type': 'LoadImage'})({'img_path': str(path)})
    ours = load(path, image_size=(40, 30))
    for key in ('img', 'img_shape', 'ori_shape'):
        np.testing.assert_array_equal(ours[key], stock[key])
    assert load(path, to_float32=True)['img'].dtype == np.float32


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_spoiled_images_are_named(tmp_path, suffix):
    path = tmp_path / f'image.{suffix}'
    named = rf'image .*image\.{suffix} of sample 7: '
    with pytest.raises(UnreadableImage, match=named + 'there is no such file'):
        load(path)
    hands.save_image(path, 40, 30)
    whole = path.read_bytes()
    for size in (0, 1, 10, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:size])
        with pytest.raises(UnreadableImage, match=named):
            load(path)
    path.write_bytes(b'not an image' * 100)
    with pytest.raises(UnreadableImage, match=named + 'it is no image'):
        load(path)
    path.write_bytes(whole)
    with pytest.raises(UnreadableImage, match=r'40 x 30 .* annotations are for 30 x 4'):
        load(path, image_size=(30, 40))


def test_a_damaged_body_is_named(tmp_path):
    """The ends of the file are whole."""
    path = tmp_path / 'image.png'
    hands.save_image(path, 40, 30)
    data = bytearray(path.read_bytes())
    start = data.index(b'IDAT')
    data[start + 4 : start + 40] = bytes(36)
    path.write_bytes(data)
    with pytest.raises(UnreadableImage, match=r'image\.png of sample 7'):
        load(path)


def test_large_images_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / 'image.png'
    hands.save_image(path, 40, 30)
    with pytest.raises(UnreadableImage, match=r'40 x 30 pixels .* max_pixels=1,199'):
        load(path, max_pixels=1199)
    load(path, max_pixels=1200)
    with pytest.raises(ValueError, match='max_pixels must be at least 1, got 0'):
        load(path, max_pixels=0)
    # a header that promises 4 gigapixels
    data = bytearray(path.read_bytes())
    data[16:24] = (65535).to_bytes(4, 'big') * 2
    path.write_bytes(data)
    monkeypatch.setattr('mmcv.imread', lambda *_, **__: pytest.fail('decoded'))
    with pytest.raises(UnreadableImage, match=r'image\.png of sample 7'):
        load(path)


def build(tmp_path, mode, **load_changes):
    pipeline = [{**LOAD, **load_changes}]
    settings = freihand.write(tmp_path, versions=1)
    (tmp_path / 'training/rgb/00000001.jpg').write_bytes(b'spoiled')
    return DATASETS.build(
        {
            **KIND,
            **settings,
            'pipeline': pipeline,
            'test_mode': mode == 'test',
        }
    )


def test_training_replaces_a_spoiled_image_only_if_told_to(tmp_path, caplog):
    strict = build(tmp_path, 'train')
    assert strict[0]['img_id'] == 0
    with pytest.raises(UnreadableImage, match=r'00000001\.jpg of sample 1'):
        strict[1]
    lenient = build(tmp_path, 'train', replace_corrupted=True)
    assert lenient[0]['img_id'] == 0
    with caplog.at_level('WARNING'):
        assert lenient[1]['img_id'] in (0, 2)


def test_testing_never_replaces(tmp_path):
    dataset = build(tmp_path, 'test', replace_corrupted=True)
    assert dataset[2]['img_id'] == 2
    with pytest.raises(ValueError, match=r'dropped sample 1 .*00000001\.jpg'):
        dataset[1]


def test_a_replacement_is_reported(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(
        'mmssm.datasets.transforms.checked_image.print_log',
        lambda message, *_: logged.append(message),
    )
    build(tmp_path, 'train', replace_corrupted=True)[1]
    assert '00000001.jpg of sample 1: it is no image' in logged[0]


@pytest.mark.parametrize('mode', ['RGB', 'L'])
def test_grey_images_get_three_channels(tmp_path, mode):
    path = tmp_path / 'image.jpg'
    Image.new(mode, (9, 5)).save(path)
    assert load(path)['img'].shape == (5, 9, 3)
