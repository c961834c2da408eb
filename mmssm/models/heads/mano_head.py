"""The plain head for hand meshes: pooled features, an MLP."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from mmssm.registry import MODELS

from .mesh_head import MeshHead
from .mesh_prediction import MeshPrediction, MeshRegressor, predict_mesh


@MODELS.register_module()
class MANOHead(MeshHead):
    """Regresses a hand from the mean of the last feature map.

    The yardstick for `HambaHead`: the same parameters, mean hand, camera and
    losses, without tokens or scans.

    Args:
        in_channels: Channels of the backbone's last map, of any size.
        hidden_dims: Widths of the hidden layers, each linear with ReLU.
        mano, loss: See `MeshHead`.
        init_cfg: Config of the initialisation. Default: linear layers from a
            normal distribution of deviation 0.02 cut off at 2; the last ones begin
            close to the mean hand.

    Raises:
        ValueError: On widths below 1.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_dims: Sequence[int] = (1024, 1024),
        mano: dict | None = None,
        loss: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(mano, loss, init_cfg)
        widths = (in_channels, *hidden_dims)
        if min(widths) < 1:
            raise ValueError(
                f'in_channels and hidden_dims must be at least 1, got {list(widths)}'
            )
        self.in_channels = in_channels
        self.mlp = nn.Sequential(
            *(
                layer
                for width, out in pairwise(widths)
                for layer in (nn.Linear(width, out), nn.ReLU())
            )
        )
        self.regressor = MeshRegressor(widths[-1], self.mano)

    def forward(self, feats: Sequence[Tensor]) -> tuple[MeshPrediction, ...]:
        """Predicts hands.

        Args:
            feats: Feature maps; the last one, ``(N, in_channels, rows, columns)``,
                is used.

        Returns:
            One prediction.

        Raises:
            ValueError: If the map has another number of channels.
        """
        x = feats[-1]
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f'expected a feature map (N, {self.in_channels}, rows, columns), as '
                f'in_channels says, got {tuple(x.shape)}'
            )
        features = self.mlp(x.mean((2, 3)))
        return (predict_mesh(self.mano, *self.regressor(features)),)
