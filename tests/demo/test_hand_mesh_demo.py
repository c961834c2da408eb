import json
import os

import cv2
import numpy as np
import pytest
import torch
from helpers.modules import ROOT, load_script
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.utils.errors import UserError

BOXES = ['--bbox', '10', '12', '50', '52']


@pytest.fixture(scope='module')
def demo():
    return load_script('demo/hand_mesh_demo.py')


@pytest.fixture(scope='module')
def network(demo, tmp_path_factory):
    """Arguments that name a tiny untrained network."""
    folder = tmp_path_factory.mktemp('network')
    config = Config.fromfile(ROOT / demo.CONFIG)
    config.model.backbone.update(stem_channels=4, base_channels=4)
    config.model.head.update(in_channels=16, embed_dims=32)
    path = folder / 'tiny.py'
    config.dump(path)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(config.model)
    weights = folder / 'tiny.pth'
    torch.save({'state_dict': model.state_dict()}, weights)
    return ['--config', str(path), '--checkpoint', str(weights)]


def save(path, channels=3, height=60, width=80):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (height, width, channels), np.uint8)
    assert cv2.imwrite(str(path), image.squeeze())
    return path


def run(demo, tmp_path, network, *arguments):
    out = tmp_path / 'out'
    code = demo.main([*map(str, arguments), '--out', str(out), *network])
    return code, out


def test_each_image_has_its_files(demo, tmp_path, network):
    image = save(tmp_path / 'a photo.png')
    boxes = [*BOXES, '30', '5', '75', '55']
    code, out = run(demo, tmp_path, network, image, *boxes, '--hand', 'right', 'left')
    assert code == 0
    (name,) = (path.stem for path in out.glob('*.json'))
    assert name.startswith('a_photo.png-')
    found = sorted(path.name for path in out.iterdir())
    ends = ['.json', '_hand0.obj', '_hand1.obj', '_overlay.png', '_views.png']
    assert found == [name + end for end in ends]
    told = json.loads((out / f'{name}.json').read_text())
    assert told['size'] == [80, 60]
    right, left = told['hands']
    assert (right['hand'], left['hand']) == ('right', 'left')
    assert right['bbox'] == [10, 12, 50, 52]
    assert np.shape(right['keypoints']) == (21, 2)
    # small images are enlarged by a whole number
    assert cv2.imread(str(out / f'{name}_overlay.png')).shape == (300, 400, 3)
    assert cv2.imread(str(out / f'{name}_views.png')).shape[0] == 300

    # joints before the image's camera are where the image has them
    for hand in (right, left):
        points = np.array(hand['keypoints_3d']) + hand['full_cam_t']
        pixels = points[:, :2] / points[:, 2:] * hand['focal_length']
        np.testing.assert_allclose(
            pixels + hand['principal_pt'], hand['keypoints'], atol=0.1
        )
    lines = (out / f'{name}_hand0.obj').read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line[0] == 'v'], float)
    assert vertices[:, 2].min() > 0


def test_a_left_hand_is_the_mirror_image_of_a_right_one(demo, tmp_path, network):
    """Of a mirrored image, with the box mirrored and the other side named."""
    image = save(tmp_path / 'a.png')
    mirrored = tmp_path / 'b.png'
    cv2.imwrite(str(mirrored), cv2.imread(str(image))[:, ::-1])
    found = []
    for path, left, right, side in (
        (image, 10, 50, 'right'),
        (mirrored, 29, 69, 'left'),
    ):
        box = ['--bbox', left, 12, right, 52]
        _, out = run(demo, tmp_path, network, path, *box, '--hand', side)
        found.append(json.loads((out / f'{path.name}.json').read_text())['hands'][0])
    one, other = (np.array(hand['keypoints_3d']) for hand in found)
    np.testing.assert_allclose(one * [-1, 1, 1], other, atol=2e-3)


def test_a_folder_with_a_bad_image_goes_on(demo, tmp_path, network, capsys):
    folder = tmp_path / 'folder'
    folder.mkdir()
    save(folder / '1.png', channels=1)
    (folder / '2.jpg').write_bytes(b'no image')
    save(folder / '3.png', channels=4)
    (folder / 'notes.txt').write_text('not looked at')
    code, out = run(demo, tmp_path, network, folder, *BOXES)
    assert code == 1
    assert sorted(path.name for path in out.glob('*.json')) == [
        '1.png.json',
        '3.png.json',
    ]
    printed = capsys.readouterr()
    assert '2.jpg: ' in printed.err and 'is no image' in printed.err
    assert '2 images in' in printed.out and '1 could not be used' in printed.out


def test_what_was_written_survives_a_kill(demo, tmp_path, network, monkeypatch):
    """The second image ends the process; the first one's files are whole."""
    for name in ('1.png', '2.png'):
        save(tmp_path / name)
    write = demo.write

    def killed(out, picture, *arguments):
        if picture.name == '2.png':
            raise KeyboardInterrupt
        write(out, picture, *arguments)

    monkeypatch.setattr(demo, 'write', killed)
    with pytest.raises(KeyboardInterrupt):
        run(demo, tmp_path, network, tmp_path / '1.png', tmp_path / '2.png', *BOXES)
    out = tmp_path / 'out'
    assert json.loads((out / '1.png.json').read_text())['hands']
    assert not [path for path in out.iterdir() if 'partial' in path.name]


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        (('nan', 1, 2, 3), 'NaN'),
        ((50, 10, 20, 30), 'has no size'),
        ((500, 10, 600, 30), 'lies outside the image of 80 x 60'),
    ],
)
def test_a_box_that_cannot_be_is_named(demo, tmp_path, network, box, message, capsys):
    image = save(tmp_path / 'a.png')
    code, out = run(demo, tmp_path, network, image, '--bbox', *box)
    assert code == 1
    assert message in capsys.readouterr().err
    assert not list(out.iterdir())


def test_a_video_is_looked_at_frame_by_frame(demo, tmp_path, network):
    path = tmp_path / 'clip.avi'
    code = cv2.VideoWriter.fourcc(*'MJPG')
    video = cv2.VideoWriter(str(path), code, 10, (80, 60))
    if not video.isOpened():
        pytest.skip('OpenCV cannot write videos here')
    for value in (40, 200):
        video.write(np.full((60, 80, 3), value, np.uint8))
    video.release()
    code, out = run(demo, tmp_path, network, path, *BOXES)
    assert code == 0
    assert sorted(path.stem for path in out.glob('*.json')) == [
        'clip.avi_000000',
        'clip.avi_000001',
    ]


def test_without_boxes_both_remedies_are_named(demo, tmp_path, network, monkeypatch):
    image = save(tmp_path / 'a.png')
    monkeypatch.setitem(__import__('sys').modules, 'mmdet.apis', None)
    with pytest.raises(SystemExit) as error:
        run(demo, tmp_path, network, image)
    for part in ('--bbox', 'mmdet', '--det-config', 'make full'):
        assert part in str(error.value.code)


def test_a_detector_s_boxes_are_used(demo, tmp_path, network, monkeypatch):
    monkeypatch.setattr(
        demo, 'make_detector', lambda args: lambda image: np.array([[10, 12, 50, 52.0]])
    )
    image = save(tmp_path / 'a.png')
    _, out = run(demo, tmp_path, network, image)
    assert len(json.loads((out / 'a.png.json').read_text())['hands']) == 1
    monkeypatch.setattr(
        demo, 'make_detector', lambda args: lambda image: np.zeros((0, 4))
    )
    empty = save(tmp_path / 'empty.png')
    code, _ = run(demo, tmp_path, network, empty)
    assert code == 0
    assert json.loads((out / 'empty.png.json').read_text())['hands'] == []
    assert (out / 'empty.png_overlay.png').is_file()


@pytest.mark.parametrize(
    'arguments',
    [
        ['a.png', '--bbox', '1', '2', '3'],
        ['a.png', *BOXES, '--hand', 'right', 'left'],
        ['a.png', '--hand', 'right', 'left'],
        ['a.png', *BOXES, '--config', 'c.py'],
        ['a.png', *BOXES, '--hand', 'middle'],
    ],
)
def test_arguments_that_do_not_fit(demo, arguments):
    with pytest.raises(SystemExit):
        demo.parse_args(arguments)


def test_inputs_that_are_not_there(demo, tmp_path):
    with pytest.raises(UserError, match='there is no file'):
        list(demo.pictures([tmp_path / 'a.png']))
    with pytest.raises(UserError, match='no image in the folder'):
        list(demo.pictures([tmp_path]))
    (tmp_path / 'a.mp4').write_bytes(b'no video')
    with pytest.raises(UserError, match='no video that OpenCV can read'):
        list(demo.pictures([tmp_path / 'a.mp4']))


def test_weights_of_another_network_are_refused(demo, tmp_path, network):
    weights = tmp_path / 'other.pth'
    torch.save({'state_dict': {'a': torch.zeros(1)}}, weights)
    image = save(tmp_path / 'a.png')
    with pytest.raises(SystemExit) as error:
        run(demo, tmp_path, [*network[:2], '--checkpoint', str(weights)], image, *BOXES)
    assert 'does not fit the model' in str(error.value.code)
    for name in ('none.pth', 'none.safetensors'):
        missing = [*network[:2], '--checkpoint', str(tmp_path / name)]
        with pytest.raises(SystemExit) as error:
            run(demo, tmp_path, missing, image, *BOXES)
        assert name in str(error.value.code)


def test_names_are_plain_and_apart(demo):
    taken: set[str] = set()
    names = [
        demo.safe_name(os.path.basename(path), path, taken)
        for path in (
            '/a/x.jpg',
            '/b/x.jpg',
            '/a/-rf.jpg',
            '/a/$(touch y);.jpg',
            '/a/' + 'z' * 250,
            '/a/手.jpg',
            '/a/足.jpg',
        )
    ]
    assert names[0] == 'x.jpg'
    assert len(set(names)) == len(names)
    for name in names:
        assert set(name) <= set(
            'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-'
        )
        assert not name.startswith(('.', '-')) and len(name) < 140
