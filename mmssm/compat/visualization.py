"""MMPose's 3D visualizer calls a method that matplotlib 3.10 removed."""

from matplotlib.backends.backend_agg import FigureCanvasAgg


def give_canvas_tostring_rgb() -> None:
    """Gives matplotlib's canvas back its method ``tostring_rgb``.

    ``Pose3dLocalVisualizer`` reads its figure through ``tostring_rgb``, which
    matplotlib deprecated in 3.8 and removed in 3.10.

    Link: https://github.com/open-mmlab/mmpose/issues/3163
    Delete when: ``Pose3dLocalVisualizer`` reads ``buffer_rgba``.
    """
    if hasattr(FigureCanvasAgg, 'tostring_rgb'):
        return

    def tostring_rgb(self: FigureCanvasAgg) -> bytes:
        """The image as RGB bytes, row by row."""
        import numpy as np

        return np.asarray(self.buffer_rgba())[..., :3].tobytes()

    setattr(FigureCanvasAgg, 'tostring_rgb', tostring_rgb)  # noqa: B010
