"""MMPose's visualizers call what matplotlib 3.10 and NumPy 2.4 removed."""

import functools
from typing import Any

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


def draw_circles_of_one_radius() -> None:
    """Lets MMPose draw keypoints on images again.

    ``PoseLocalVisualizer`` gives the radius as an array of one number, and
    ``OpencvBackendVisualizer.draw_circles`` makes it an ``int``, which NumPy
    deprecated in 1.25 and refuses since 2.4.

    Link: none; found here.
    Delete when: ``PoseLocalVisualizer`` gives the radius as a number.
    """
    import numpy as np
    from mmpose.visualization.opencv_backend_visualizer import OpencvBackendVisualizer

    stock = OpencvBackendVisualizer.draw_circles
    try:
        int(np.ones(1))
    except TypeError:
        pass
    else:
        return
    if hasattr(stock, 'takes_arrays'):
        return

    @functools.wraps(stock)
    def draw_circles(
        self: OpencvBackendVisualizer,
        center: Any,
        radius: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if self.backend == 'opencv':
            radius = np.ravel(radius)[0]
        stock(self, center, radius, *args, **kwargs)

    draw_circles.takes_arrays = True  # type: ignore[attr-defined]
    OpencvBackendVisualizer.draw_circles = draw_circles
