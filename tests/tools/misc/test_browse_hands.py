import numpy as np
import pytest
from helpers import freihand, interhand, nyu
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
