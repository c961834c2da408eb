"""Draws hand meshes of the validation and test loops."""

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.engine.hooks import PoseVisualizationHook

from mmssm.models.layers import MANO
from mmssm.registry import HOOKS
from mmssm.visualization import HandMeshVisualizer


@HOOKS.register_module()
class HandMeshVisualizationHook(PoseVisualizationHook):
    """MMPose's hook, which also tells the visualizer the faces of the hands.

    Vertices are joined as in the network's ``mmssm.MANO``; predictions hold the
    vertices alone. Arguments are those of MMPose's hook; the visualizer must be
    ``mmssm.HandMeshVisualizer``.
    """

    def before_val_epoch(self, runner: Runner) -> None:
        """Prepares the visualizer."""
        self._set_faces(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        """Prepares the visualizer."""
        self._set_faces(runner)

    def _set_faces(self, runner: Runner) -> None:
        if not self.enable:
            return
        if not isinstance(self._visualizer, HandMeshVisualizer):
            raise TypeError(
                'HandMeshVisualizationHook draws with mmssm.HandMeshVisualizer, but '
                f'the visualizer is {type(self._visualizer).__name__}; set '
                "visualizer=dict(type='mmssm.HandMeshVisualizer', ...) in the config"
            )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        hands = [part for part in model.modules() if isinstance(part, MANO)]
        if not hands:
            raise TypeError(
                'HandMeshVisualizationHook needs a network with mmssm.MANO in it, '
                f"found {type(model).__name__} without; use MMPose's "
                'PoseVisualizationHook for joints'
            )
        self._visualizer.set_faces(hands[0].faces)
