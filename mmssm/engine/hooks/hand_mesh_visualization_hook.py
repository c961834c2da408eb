"""Draws hand meshes of the validation and test loops."""

from collections.abc import Sequence

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.structures import PoseDataSample

from mmssm.models.layers import MANO
from mmssm.registry import HOOKS
from mmssm.visualization import HandMeshVisualizer


@HOOKS.register_module()
class HandMeshVisualizationHook(PoseVisualizationHook):
    """MMPose's hook, which also tells the visualizer the faces of the hands.

    Vertices are joined as in the network's ``mmssm.MANO``; predictions hold the
    vertices alone. Arguments are those of MMPose's hook; the visualizer must be
    ``mmssm.HandMeshVisualizer``. In tests, too, ``interval`` counts samples;
    MMPose's hook draws them all.
    """

    _tested = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Prepares the visualizer."""
        self._set_faces(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        """Prepares the visualizer."""
        self._tested = 0
        self._set_faces(runner)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[PoseDataSample],
    ) -> None:
        """Draws every ``interval``-th sample, beginning with the first."""
        places = range(self._tested, self._tested + len(outputs))
        self._tested += len(outputs)
        drawn = [
            sample
            for place, sample in zip(places, outputs, strict=True)
            if place % self.interval == 0
        ]
        super().after_test_iter(runner, batch_idx, data_batch, drawn)

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
