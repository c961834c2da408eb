"""The shapes that the scan is measured on, and what is asked of it there."""

import dataclasses

import torch
from torch import Tensor

YARDSTICK_SIZE = 2**20


@dataclasses.dataclass(frozen=True)
class Shape:
    """One shape: batch N, groups K, channels C of each, length L.

    ``forward`` and ``training`` are (gate, aim): how many times faster than the lean
    loop, and than the best PyTorch form. ``lean`` is how long the lean loop took
    beside the yardstick where the gates were set.
    """

    name: str
    N: int
    K: int
    C: int
    L: int
    d_state: int = 16
    forward: tuple[float, float] | None = None
    training: tuple[float, float] | None = None
    lean: float | None = None

    def __str__(self) -> str:
        groups = f'{self.K}x' if self.K > 1 else ''
        state = '' if self.d_state == 16 else f', d_state {self.d_state}'
        return f'{self.name} ({self.N}, {groups}{self.C}, {self.L}{state})'

    @property
    def elements(self) -> int:
        """State updates, each of which takes one exponential."""
        return self.N * self.K * self.C * self.L * self.d_state

    def arguments(
        self, dtype: torch.dtype = torch.float32, seed: int = 0
    ) -> dict[str, Tensor]:
        """Returns arguments as a freshly initialised model has them.

        Args:
            dtype: Of what varies over the steps; the weights are float32.
            seed: Of the random numbers.
        """
        generator = torch.Generator(torch.get_default_device()).manual_seed(seed)

        def normal(*sizes: int) -> Tensor:
            return torch.randn(*sizes, generator=generator, dtype=dtype)

        E = self.K * self.C
        step = torch.rand(E, generator=generator) * 0.099 + 0.001
        return dict(
            u=normal(self.N, E, self.L),
            delta=normal(self.N, E, self.L) / 2,
            A=-torch.arange(1.0, self.d_state + 1).repeat(E, 1),
            B=normal(self.N, self.K, self.d_state, self.L),
            C=normal(self.N, self.K, self.d_state, self.L),
            D=torch.ones(E),
            delta_bias=step + torch.log(-torch.expm1(-step)),
        )


SHAPES = (
    Shape('a', 4, 1, 128, 243, 16, (20, 40), (15, 30), lean=37),
    Shape('b', 1, 4, 128, 4131, 16, (20, 40), (15, 30), lean=42),
    Shape("b'", 8, 4, 128, 459, 16, (7, 12), (8, 16)),
    Shape('d', 1, 4, 320, 1024, 16, (20, 40), (15, 30)),
    Shape("d'", 8, 1, 320, 256, 16, (6, 9), (5, 9)),
    Shape("d'", 8, 1, 640, 64, 16, (6, 9), (5, 9)),
    Shape('f', 8, 4, 1024, 192, 1, (4, 8), (4, 8)),
    Shape('g', 1, 4, 1024, 22, 1, (4, 8), (4, 8)),
    Shape('h', 1, 4, 192, 3136, 1, (4, 8), (4, 8)),
)
A, B = SHAPES[:2]
SMALL = (
    Shape('', 1, 1, 16, 17, 1),
    Shape('', 1, 1, 16, 17, 16),
    Shape('', 64, 4, 128, 17, 16),
)
