"""``mmssm hand``: files of each image, one after the other."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.hand_network import write_hand_network, write_image, write_video

from mmssm.apis import hand_files, read_hand_mesh_result
from mmssm.apis.hand_boxes import FoundHands
from mmssm.cli import main

BOXES = ['--bbox', '10', '12', '50', '52']


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    """Arguments that name a tiny untrained network."""
    config, weights = write_hand_network(tmp_path_factory.mktemp('network'))
    return ['--model', config, '--weights', weights, '--device', 'cpu']


def run(tmp_path, network, *arguments):
    out = tmp_path / 'out'
    code = main(['hand', *map(str, arguments), '--out', str(out), *network])
    return code, out


def test_each_image_has_its_files(tmp_path, network):
    image = write_image(tmp_path / 'a photo.png')
    boxes = [*BOXES, '30', '5', '75', '55']
    code, out = run(tmp_path, network, image, *boxes, '--side', 'right', 'left')
    assert code == 0
    (name,) = (path.stem for path in out.glob('*.json'))
    assert name.startswith('a_photo.png-')
    found = sorted(path.name for path in out.iterdir())
    ends = ['.html', '.json', '_hand0.obj', '_hand1.obj', '_overlay.png', '_views.png']
    assert found == [name + end for end in ends]
    result = read_hand_mesh_result(out / f'{name}.json')
    assert result.image_size == (80, 60)
    assert result.source == str(image)
    ((right, left),) = result.frames
    assert (right.side, left.side) == ('right', 'left')
    assert right.bbox.tolist() == [10, 12, 50, 52]
    # small images are enlarged by a whole number
    assert cv2.imread(str(out / f'{name}_overlay.png')).shape == (300, 400, 3)
    assert cv2.imread(str(out / f'{name}_views.png')).shape[0] == 300
    lines = (out / f'{name}_hand1.obj').read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line[0] == 'v'], float)
    np.testing.assert_allclose(vertices, left.vertices_camera, rtol=1e-5)


def test_a_folder_with_a_bad_image_goes_on(tmp_path, network, capsys):
    folder = tmp_path / 'folder'
    folder.mkdir()
    write_image(folder / '1.png', channels=1)
    (folder / '2.jpg').write_bytes(b'no image')
    write_image(folder / '3.png', channels=4, height=70)
    (folder / 'notes.txt').write_text('not looked at')
    code, out = run(tmp_path, network, folder, *BOXES)
    assert code == 1
    assert sorted(path.name for path in out.glob('*.json')) == [
        '1.png.json',
        '3.png.json',
    ]
    printed = capsys.readouterr()
    assert '2.jpg: ' in printed.err and 'no image' in printed.err
    assert '2 images in' in printed.out and '1 could not be used' in printed.out


def test_a_killed_run_goes_on(tmp_path, network, monkeypatch, capsys):
    """The second image ends the process; the first one is not looked at again."""
    for name in ('1.png', '2.png'):
        write_image(tmp_path / name)
    write_png = hand_files.write_image

    def killed(path, image):
        if path.name.startswith('2.png'):
            raise KeyboardInterrupt
        write_png(path, image)

    inputs = [tmp_path / '1.png', tmp_path / '2.png', *BOXES]
    monkeypatch.setattr(hand_files, 'write_image', killed)
    assert run(tmp_path, network, *inputs)[0] == 130
    out = tmp_path / 'out'
    assert read_hand_mesh_result(out / '1.png.json').frames[0]
    assert not (out / '2.png.json').exists()
    assert not [path for path in out.iterdir() if 'partial' in path.name]

    monkeypatch.setattr(hand_files, 'write_image', write_png)
    before = (out / '1.png.json').stat().st_mtime_ns
    capsys.readouterr()
    assert run(tmp_path, network, *inputs)[0] == 0
    assert (out / '1.png.json').stat().st_mtime_ns == before
    assert (out / '2.png.json').is_file()
    printed = capsys.readouterr().out
    assert '1.png: 1 images were done before' in printed
    assert '2 images in' in printed


@pytest.mark.parametrize('change', ['box', 'image', 'spoilt'])
def test_what_has_changed_is_looked_at_again(tmp_path, network, change):
    image = write_image(tmp_path / 'a.png')
    _, out = run(tmp_path, network, image, *BOXES)
    path = out / 'a.png.json'
    before = path.read_bytes()
    box = BOXES
    if change == 'box':
        box = ['--bbox', '20', '12', '60', '52']
    elif change == 'image':
        write_image(image, height=64)
    else:
        path.write_text('{')
    assert run(tmp_path, network, image, *box)[0] == 0
    assert (path.read_bytes() == before) == (change == 'spoilt')


def test_a_full_disk_ends_with_a_message(tmp_path, network, monkeypatch, capsys):
    def full(handle):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    code, out = run(tmp_path, network, write_image(tmp_path / 'a.png'), *BOXES)
    assert code == 1
    assert 'No space left' in capsys.readouterr().err
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        (('nan', 1, 2, 3), 'NaN'),
        ((50, 10, 20, 30), 'has no size'),
        ((500, 10, 600, 30), 'lies outside the image of 80 x 60'),
    ],
)
def test_a_box_that_cannot_be_is_named(tmp_path, network, box, message, capsys):
    image = write_image(tmp_path / 'a.png')
    code, out = run(tmp_path, network, image, '--bbox', *box)
    assert code == 1
    printed = capsys.readouterr().err
    assert message in printed and 'a.png' in printed
    assert not list(out.iterdir())


def test_a_video_is_looked_at_frame_by_frame(tmp_path, network):
    path = write_video(tmp_path / 'clip.avi', [40, 200])
    if path is None:
        pytest.skip('OpenCV cannot write videos here')
    code, out = run(tmp_path, network, path, *BOXES)
    assert code == 0
    assert sorted(path.stem for path in out.glob('*.json')) == [
        'clip.avi_000000',
        'clip.avi_000001',
    ]
    assert '<html' in (out / 'clip.avi.html').read_text()
    assert (out / 'clip.avi.mp4').stat().st_size > 0
    whole = read_hand_mesh_result(out / 'clip.avi.npz')
    assert [len(hands) for hands in whole.frames] == [1, 1]
    assert whole.fps == 10
    code, out = run(tmp_path / 'b', network, path, *BOXES, '--max-frames', 1)
    assert [path.stem for path in out.glob('*.json')] == ['clip.avi_000000']


def test_a_video_that_is_none_does_not_stop_the_others(tmp_path, network, capsys):
    (tmp_path / 'a.mp4').write_bytes(b'no video')
    image = write_image(tmp_path / 'b.png')
    code, out = run(tmp_path, network, tmp_path / 'a.mp4', image, *BOXES)
    assert code == 1
    assert 'a.mp4' in capsys.readouterr().err
    assert (out / 'b.png.json').is_file()


def test_inputs_that_are_not_there(tmp_path, network, capsys):
    assert run(tmp_path, network, tmp_path / 'none.png', *BOXES)[0] == 1
    assert 'none.png' in capsys.readouterr().err
    (tmp_path / 'empty').mkdir()
    assert run(tmp_path, network, tmp_path / 'empty', *BOXES)[0] == 1
    assert 'no image' in capsys.readouterr().err


def test_the_folder_of_the_pictures_is_none_for_results(tmp_path, network, capsys):
    write_image(tmp_path / 'a.png')
    arguments = [str(tmp_path), '--out', f'{tmp_path}/.', *BOXES, *network]
    assert main(['hand', *arguments]) == 1
    assert 'give another folder' in capsys.readouterr().err
    assert os.listdir(tmp_path) == ['a.png']


def test_without_boxes_all_remedies_are_named(tmp_path, network, monkeypatch, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    image = write_image(tmp_path / 'a.png')
    assert run(tmp_path, network, image)[0] == 1
    printed = capsys.readouterr().err
    for part in ('--bbox', '--det-config', 'mediapipe'):
        assert part in printed
    monkeypatch.setitem(__import__('sys').modules, 'mmdet.apis', None)
    detector = ['--det-config', 'c.py', '--det-checkpoint', 'c.pth']
    assert run(tmp_path, network, image, *detector)[0] == 1
    printed = capsys.readouterr().err
    for part in ('--bbox', 'mmdet', 'make full'):
        assert part in printed
    assert run(tmp_path, network, image, '--frontend', 'mediapip')[0] == 1
    assert "did you mean 'mediapipe'?" in capsys.readouterr().err


def test_what_finds_hands_is_used(tmp_path, network, monkeypatch, capsys):
    boxes = np.array([[10, 12, 50, 52]], np.float32)
    found = [FoundHands(boxes, ('left',)), FoundHands(np.zeros((0, 4)), ())]
    monkeypatch.setattr(
        'mmssm.apis.hand_boxes.make_finder', lambda *_: lambda image: found.pop(0)
    )
    images = [write_image(tmp_path / name) for name in ('a.png', 'empty.png')]
    code, out = run(tmp_path, network, *images)
    assert code == 0
    (hand,) = read_hand_mesh_result(out / 'a.png.json').frames[0]
    assert hand.side == 'left'
    assert read_hand_mesh_result(out / 'empty.png.json').frames == [[]]
    assert (out / 'empty.png_overlay.png').is_file()
    assert not (out / 'empty.png_views.png').exists()


@pytest.mark.parametrize(
    'arguments',
    [
        ['a.png', '--bbox', '1', '2', '3'],
        ['a.png', *BOXES, '--side', 'right', 'left'],
        ['a.png', '--side', 'right', 'left'],
        ['a.png', *BOXES, '--side', 'middle'],
        ['a.png', '--det-config', 'c.py'],
        ['a.png', *BOXES, '--batch-size', '0'],
        ['a.png', *BOXES, '--focal-length', '-5'],
        [],
    ],
)
def test_arguments_that_do_not_fit(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(['hand', *arguments])
    assert error.value.code == 2
    assert 'usage: mmssm hand' in capsys.readouterr().err


def test_weights_of_another_network_are_refused(tmp_path, network, capsys):
    weights = tmp_path / 'other.pth'
    torch.save({'state_dict': {'a': torch.zeros(1)}}, weights)
    image = write_image(tmp_path / 'a.png')
    for name, message in ((weights, 'does not fit the model'), ('none.pth', 'none')):
        other = [*network[:2], '--weights', str(name), '--device', 'cpu']
        assert run(tmp_path, other, image, *BOXES)[0] == 1
        assert message in capsys.readouterr().err
    assert run(tmp_path, ['--model', 'hamba'], image, *BOXES)[0] == 1
    assert 'mmssm train hamba' in capsys.readouterr().err


def test_a_hand_model_that_has_not_been_fetched_is_named(tmp_path, network, capsys):
    _, config, _, *weights = network
    other = Path(config).with_name('mano.py')
    other.write_text(
        f"_base_ = '{config}'\n"
        "model = dict(head=dict(mano=dict(type='mmssm.MANO', model='a/RIGHT.pkl')))\n"
    )
    image = write_image(tmp_path / 'a.png')
    arguments = [image, *BOXES, '--model', other, '--weights', weights[0]]
    assert run(tmp_path, [], *arguments)[0] == 1
    assert 'docs/mano.md' in capsys.readouterr().err


def test_names_are_plain_and_apart():
    taken: set[str] = set()
    names = [
        hand_files.safe_name(Path(path).name, path, taken)
        for path in (
            '/a/x.jpg',
            '/b/x.jpg',
            '/a/-rf.jpg',
            '/a/$(touch y);.jpg',
            '/a/<script>.jpg',
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


def test_files_are_data(tmp_path, network):
    """What is written can be read by anything, and holds no code."""
    _, out = run(tmp_path, network, write_image(tmp_path / 'a.png'), *BOXES)
    told = json.loads((out / 'a.png.json').read_text())
    assert told['format'] == 'mmssm.hand_mesh/1'
    assert told['model'] == 'tiny'
