"""MMPose's 3D visualizer draws, whatever matplotlib it meets."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401
from mmssm.compat import visualization


@pytest.fixture
def current_matplotlib(monkeypatch):
    """A matplotlib without ``tostring_rgb``, as it is from 3.10 on."""
    monkeypatch.setattr(FigureCanvasAgg, 'tostring_rgb', None, raising=False)
    monkeypatch.delattr(FigureCanvasAgg, 'tostring_rgb')


def test_the_canvas_gives_its_pixels_row_by_row(current_matplotlib):
    visualization.give_canvas_tostring_rgb()
    figure = Figure(figsize=(3, 2), dpi=10, facecolor=(1, 0, 0))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.frombuffer(canvas.tostring_rgb(), np.uint8).reshape(20, 30, 3)
    np.testing.assert_array_equal(pixels[10, 15], [255, 0, 0])


def test_the_3d_visualizer_draws(current_matplotlib):
    from mmpose.visualization import Pose3dLocalVisualizer

    visualizer = Pose3dLocalVisualizer(kpt_color=np.full((17, 3), 255))
    visualizer.set_dataset_meta({'skeleton_links': [(0, 1)], 'num_keypoints': 17})
    keypoints = np.random.default_rng(0).normal(size=(1, 17, 3))
    sample = PoseDataSample()
    sample.pred_instances = InstanceData(
        keypoints=keypoints, keypoint_scores=np.ones((1, 17))
    )
    image = np.zeros((100, 100, 3), np.uint8)
    arguments = {'draw_gt': False, 'draw_2d': False, 'draw_bbox': False}
    with pytest.raises(AttributeError, match='tostring_rgb'):
        visualizer.add_datasample('x', image, sample, **arguments)
    visualization.give_canvas_tostring_rgb()
    visualizer.add_datasample('x', image, sample, **arguments)
    assert visualizer.get_image().shape[2] == 3


def test_keypoints_are_drawn_on_images(monkeypatch):
    from mmpose.visualization import PoseLocalVisualizer
    from mmpose.visualization.opencv_backend_visualizer import OpencvBackendVisualizer

    visualizer = PoseLocalVisualizer(kpt_color=np.full((1, 3), 255))
    visualizer.set_dataset_meta({'skeleton_links': [], 'num_keypoints': 1})
    sample = PoseDataSample()
    sample.gt_instances = InstanceData(
        keypoints=np.full((1, 1, 2), 50.0), keypoints_visible=np.ones((1, 1))
    )
    image = np.zeros((100, 100, 3), np.uint8)
    arguments = {'draw_pred': False, 'draw_bbox': False}
    try:
        int(np.ones(1))
    except TypeError:
        cured = OpencvBackendVisualizer.draw_circles
        with monkeypatch.context() as patch:
            patch.setattr(OpencvBackendVisualizer, 'draw_circles', cured.__wrapped__)
            with pytest.raises(TypeError, match='0-dimensional'):
                visualizer.add_datasample('x', image, sample, **arguments)
    visualization.draw_circles_of_one_radius()
    visualizer.add_datasample('x', image, sample, **arguments)
    assert visualizer.get_image()[50, 50].max() > 100
