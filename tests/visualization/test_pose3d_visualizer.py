import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from PIL import Image

from mmssm.registry import VISUALIZERS


@pytest.fixture
def visualizer(tmp_path, h36m_meta, request):
    visualizer = VISUALIZERS.build(
        {
            'type': 'mmssm.Pose3dVisualizer',
            # instances are global, by name
            'name': request.node.name,
            'vis_backends': [{'type': 'LocalVisBackend'}],
            'save_dir': str(tmp_path / 'run'),
        }
    )
    visualizer.set_dataset_meta(h36m_meta)
    return visualizer


def people(count, keypoints):
    sample = PoseDataSample()
    shift = np.arange(count)[:, None, None] * np.array([0.8, 0, 0])
    sample.pred_instances = InstanceData(
        keypoints=keypoints + shift, keypoint_scores=np.ones((count, 17))
    )
    sample.gt_instances = InstanceData(lifting_target=keypoints + shift + 0.02)
    return sample


def test_sequence_becomes_a_picture_and_a_clip(visualizer, sequence, tmp_path):
    visualizer.add_sequence(sequence, tmp_path / 'out', num_frames=2, clip_step=3)
    with Image.open(tmp_path / 'out' / 'S9_Walk.cam0.png') as picture:
        assert picture.size[0] > 400
    with Image.open(tmp_path / 'out' / 'S9_Walk.cam0.gif') as clip:
        assert clip.n_frames == 2 or not sequence.predicted.std(axis=0).any()


def test_without_a_folder_the_backends_get_the_picture(visualizer, sequence, tmp_path):
    visualizer.add_sequence(sequence, num_frames=2, step=7)
    pictures = list((tmp_path / 'run').rglob('S9_Walk.cam0_7.png'))
    assert len(pictures) == 1


@pytest.mark.parametrize('count', [1, 2, 3])
def test_datasample_of_several_people(visualizer, sequence, count):
    image = np.full((200, 200, 3), 255, np.uint8)
    drawn = visualizer.add_datasample(
        'frame', image, people(count, sequence.target[:1]), draw_2d=False
    )
    # However many people there are, they share one scene.
    assert drawn.shape == (200, 200, 3)
    assert drawn.std() > 0


def test_unsure_joints_and_surplus_people_are_left_out(visualizer, sequence):
    image = np.full((200, 200, 3), 255, np.uint8)
    sample = people(2, sequence.target[:1])
    draw = visualizer._draw_3d_data_samples
    both = draw(image, sample, draw_gt=False)
    sample.pred_instances.keypoint_scores[:] = [[1.0], [0.1]] * np.ones((2, 17))
    sure = draw(image, sample, draw_gt=False)
    first = draw(image, sample, draw_gt=False, num_instances=1)
    assert not np.array_equal(both, sure)
    assert np.array_equal(first, sure)


def test_sample_without_people_is_an_empty_picture(visualizer):
    image = np.full((100, 100, 3), 255, np.uint8)
    empty = visualizer._draw_3d_data_samples(image, PoseDataSample(), draw_gt=False)
    assert empty.shape == (100, 100, 3) and empty.std() == 0
