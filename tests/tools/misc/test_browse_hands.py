import numpy as np
import pytest
from helpers import freihand, hamer, ho3d, interhand, nyu
from helpers.modules import ROOT, load_script
from PIL import Image


@pytest.fixture(scope='module')
def tool():
    return load_script('tools/misc/browse_dataset.py')


@pytest.fixture
def drawn(monkeypatch):
    """Images and points that were to be drawn."""
    calls = []

    def add(self, name, image, data_sample, **options):
        calls.append((image, data_sample.gt_instances))
        return image

    monkeypatch.setattr('mmpose.visualization.PoseLocalVisualizer.add_datasample', add)
    return calls


def browse(tool, name, root, mode, count=3, **changes):
    changes = {'data_root': root, **changes}
    tool.main(
        [
            str(ROOT / f'configs/_base_/datasets/{name}.py'),
            '--output-dir',
            str(root / 'pictures'),
            '--not-show',
            '--mode',
            mode,
            '--max-item-per-dataset',
            str(count),
            '--cfg-options',
            *(f'train_dataloader.dataset.{key}={changes[key]}' for key in changes),
        ]
    )


LAYOUTS = {'freihand3d': freihand, 'nyu': nyu, 'interhand3d': interhand}


@pytest.mark.parametrize('mode', ['original', 'transformed'])
@pytest.mark.parametrize('name', LAYOUTS)
def test_hands_are_drawn_where_they_are(tmp_path, tool, drawn, name, mode):
    LAYOUTS[name].write(tmp_path)
    browse(tool, name, tmp_path, mode)
    assert len(drawn) == 3
    for image, hands in drawn:
        assert image.dtype == np.uint8 and image.shape[2] == 3
        points = hands.get('transformed_keypoints', hands.keypoints)
        assert points.shape[-1] == 2
        seen = points[hands.keypoints_visible > 0]
        inside = (seen >= 0) & (seen < image.shape[1::-1])
        assert inside.mean() > 0.6


def test_depth_is_grey_from_near_to_far(tmp_path, tool, drawn):
    nyu.write(tmp_path)
    browse(tool, 'nyu', tmp_path, 'original', 1)
    image, _ = drawn[0]
    assert (image[..., 0] == image[..., 1]).all()
    assert image.min() == 0 and (image == 255).mean() > 0.5


def test_a_picture_is_written(tmp_path, tool):
    freihand.write(tmp_path)
    browse(tool, 'freihand3d', tmp_path, 'original', 1)
    [path] = (tmp_path / 'pictures').iterdir()
    assert np.ptp(np.asarray(Image.open(path))) > 0


@pytest.mark.parametrize('mode', ['original', 'transformed'])
def test_hands_of_meshes_are_drawn_where_they_are(tmp_path, tool, drawn, mode):
    ho3d.write(tmp_path)
    browse(tool, 'ho3d', tmp_path, mode, index_file=None)
    assert len(drawn) == 2
    for image, hands in drawn:
        points = hands.get('transformed_keypoints', hands.keypoints)[0]
        assert ((points >= 0) & (points < image.shape[1::-1])).mean() > 0.6


@pytest.mark.parametrize('mode', ['original', 'transformed'])
def test_a_mixture_is_drawn_in_turn(tmp_path, tool, drawn, mode):
    folders = ['mtc-train', 'rhd-train']
    for seed, name in enumerate(folders):
        hamer.write_tar(tmp_path / name / '0.tar', hamer.members(seed))
    base = ROOT / 'configs/_base_/datasets/hand_mesh_mixture_tars.py'
    config = tmp_path / 'mixture.py'
    config.write_text(
        f'_base_ = [{str(base)!r}]\n'
        "parts = [dict(type='mmssm.HandMeshTarDataset', data_root=one) for one in "
        f'{[str(tmp_path / name) for name in folders]}]\n'
        'train_dataloader = dict(dataset=dict('
        'datasets=parts, weights=[1, 1], num_samples=4))\n'
    )
    arguments = ['--output-dir', str(tmp_path / 'pictures'), '--not-show']
    tool.main([str(config), *arguments, '--mode', mode, '--max-item-per-dataset', '2'])
    assert len(drawn) == 4
