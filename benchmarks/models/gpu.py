"""How fast are the models on a GPU, and do they train with AMP?

    python -m benchmarks.models.gpu --out results.json [--device cuda] [--steps 200]

End to end, in float32: PoseMamba-S beside itself on mamba-ssm's kernel with explicit
permutations, DF-Mamba beside MMPose's ResNet-50, Hamba's joints regressor and decoder
on one crop in a CUDA graph. Then a few hundred steps of training of each family, on
data that comes with the project, in float32 and with AMP: from the same weights and on
the same batches, the mean loss of the last quarter must agree within a tenth.

It needs MMPose and says so, with exit status 77, where that is missing.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks._gpu import (
    Comparison,
    Results,
    add_arguments,
    check_device,
    compare,
    graphed,
    peak_bytes,
    synchronize,
    tf32,
)
from benchmarks._measure import REPOSITORY, Row
from benchmarks.gpu_check import SKIPPED
from benchmarks.ops.peers import MAMBA, CopiedPaths, find_mamba
from mmssm.ops import backend, selective_scan

if TYPE_CHECKING:
    from mmengine.config import Config

TITLE = 'The models on a GPU'
LIFTERS = 'configs/body_3d_keypoint'
POSEMAMBA = f'{LIFTERS}/posemamba/h36m/posemamba_s-243frm_1xb4-120e_h36m-original.py'
FRAMES, JOINTS, CLIPS = 243, 17, 64
FAMILIES = {
    'PoseMamba': f'{LIFTERS}/posemamba/mocap/posemamba_xs-27frm_1xb4_mocap-fold0.py',
    'SasMamba': f'{LIFTERS}/sasmamba/mocap/sasmamba_xs-27frm_1xb4_mocap-fold0.py',
    'DF-Mamba': 'configs/hand_3d_keypoint/df_mamba/synthhand/'
    'heatmap-depth_df-mamba-a_1xb8_synthhand-128x128.py',
    'Hamba': 'configs/hand_mesh/hamba/synthhand/'
    'hamba-small_res18_1xb16_synthhand-128x128.py',
}
"""A config of each, on generated hands or on the embedded motion data."""
AMP = ('bfloat16', 'float16')
BAND = 0.1
"""How far the loss with AMP may be from that in float32, of the latter."""
BATCHES = 8
"""How many batches the training goes round and round on."""
PICTURES = BATCHES * 16


class Benchmark:
    """All rows of this benchmark.

    Args:
        results: Where rows go.
        device: Where the models run.
        seconds: Time for each comparison.
        steps: Training steps of each run.
        tiny: Whether to shrink all sizes.
    """

    def __init__(
        self,
        results: Results,
        device: torch.device,
        seconds: float,
        steps: int,
        tiny: bool,
    ) -> None:
        self.results = results
        self.device = device
        self.seconds = seconds
        self.steps = steps
        self.tiny = tiny
        self.mamba = find_mamba()

    def run(self) -> None:
        """Measures everything; a case that fails does not end the others."""
        cases: dict[str, Callable[[], list[Row]]] = {
            'PoseMamba-S': self.posemamba,
            'DF-Mamba a': self.df_mamba,
            'Hamba': self.hamba,
        }
        for name, measure in cases.items():
            with self.results.case(name), torch.device(self.device):
                self.results.add(*measure())
        # Without a default device, under which the compiler cannot look into all
        # methods of tensors.
        with self.results.case('torch.compile'):
            self.results.add(*self.compiled())
        with tempfile.TemporaryDirectory(prefix='mmssm-gpu-') as folder:
            for family in FAMILIES:
                with self.results.case(f'training of {family}'):
                    self.train(family, Path(folder) / 'hands')

    def posemamba(self) -> list[Row]:
        """A whole lifter on clips of 243 frames."""
        from mmssm.models.layers import s6

        frames, clips = (9, 2) if self.tiny else (FRAMES, CLIPS)
        config = load_config(POSEMAMBA)
        if self.tiny:
            del config.model.backbone.arch
            config.model.backbone.update(embed_dims=64, depth=1)
        model = self.build(config)
        peer = MAMBA if not isinstance(self.mamba, str) else 'our scan'
        scan = (
            partial(selective_scan, delta_softplus=True)
            if isinstance(self.mamba, str)
            else self.mamba
        )
        copies = f'copies around {peer}'
        ways = {'ours': s6.path_scan, copies: CopiedPaths(scan, frames, JOINTS)}

        def forward(way: Callable[..., Tensor], batch: Tensor) -> Tensor:
            with torch.inference_mode(), mock.patch.object(s6, 'path_scan', way):
                return model.head(model.backbone(batch))

        rows = []
        for number in (clips, 1):
            shape = number, frames, JOINTS, model.backbone.in_channels
            sets = [torch.randn(shape) for _ in range(1 if number > 1 else 3)]
            variants = {
                name: [partial(forward, way, batch) for batch in sets]
                for name, way in ways.items()
            }
            if number == 1:
                replay = graphed(variants['ours'][0], self.device)
                variants['ours, CUDA graph'] = [replay]
            times = compare(variants, self.device, self.seconds)
            times.check('ours')
            gated = number > 1
            where = f'PoseMamba-S, {number if not self.tiny else "few"} x 243 frames'
            known = copies in times.seconds
            value = times.seconds[copies] / times.seconds['ours'] if known else None
            peaks = {
                f'{name} MB': (peak_bytes(calls[0], self.device) or 0) / 1e6
                for name, calls in variants.items()
                if name in ways and self.device.type == 'cuda'
            }
            rows.append(
                Row(
                    where,
                    f'{copies} / ours',
                    value,
                    2.5 if gated else None,
                    4 if gated else None,
                    details=times.milliseconds() | peaks,
                    note=self._without_mamba(times),
                    counts=peer == MAMBA,
                )
            )
            if number == 1:
                rows.append(_graph_row(where, times, 'ours'))
        return rows

    def df_mamba(self) -> list[Row]:
        """DF-Mamba a beside ResNet-50, each in its faster layout."""
        from benchmarks.models import backbones

        asked = backbones.GPU_BATCH, backbones.GATE_SIZE
        images, side = (1, 64) if self.tiny else asked
        batch = torch.randn(images, 3, side, side)
        names = backbones.GATED, backbones.YARDSTICK
        variants = {}
        for name, layout in itertools.product(names, backbones.LAYOUTS):
            torch.manual_seed(0)
            network = backbones.build(name, side)
            network.eval()  # which MMPose's backbones return nothing from
            memory = backbones.LAYOUTS[layout]
            network = network.to(memory_format=memory)
            inputs = batch.contiguous(memory_format=memory)
            variants[f'{name} {layout}'] = [torch.no_grad()(partial(network, inputs))]
        rows = []
        for allowed in (None, False):
            where = f'{asked[0]} images of {asked[1]} pixels'
            if allowed is None:
                times = compare(variants, self.device, self.seconds)
            else:
                where += ', TF32 not allowed'
                with tf32(allowed):
                    times = compare(variants, self.device, self.seconds)
            best = {}
            for name in names:
                found = times.best([f'{name} {layout}' for layout in backbones.LAYOUTS])
                if found is None:
                    raise RuntimeError(times.note())
                best[name] = times.seconds[found]
            rows.append(
                Row(
                    where,
                    f'{names[0]} / {names[1]}, images a second',
                    best[names[1]] / best[names[0]],
                    backbones.GPU_GATE if allowed is None else None,
                    backbones.GPU_AIM if allowed is None else None,
                    details=times.milliseconds(),
                    note=times.note(),
                )
            )
        return rows

    def hamba(self) -> list[Row]:
        """Joints regressor and decoder of Hamba on one crop."""
        from benchmarks.models import hamba

        arch = 'small' if self.tiny else 'base'
        parts = hamba.Parts(hamba.build(hamba.GATED, arch)).eval()
        features = parts.features(1)
        forward = torch.inference_mode()(lambda: parts(features))
        times = compare(
            {'eager': [forward], 'CUDA graph': [graphed(forward, self.device)]},
            self.device,
            self.seconds,
        )
        times.check('CUDA graph')
        where = "Hamba's joints regressor and decoder, one crop"
        return [
            Row(
                where,
                'time with a CUDA graph',
                1e3 * times.seconds['CUDA graph'],
                2,
                at_least=False,
                unit=' ms',
                details=times.milliseconds(),
                note=times.note(),
            )
        ]

    def compiled(self) -> list[Row]:
        """A small lifter with `torch.compile`."""
        model = self.build(FAMILIES['PoseMamba'])
        shape = 1, 27, JOINTS, model.backbone.in_channels
        clip = torch.randn(shape, device=self.device)

        def network(clip: Tensor) -> Tensor:
            return model.head(model.backbone(clip))

        how: dict[str, Any] = dict(mode='reduce-overhead')
        if self.device.type != 'cuda':
            how = dict(backend='eager')
        fast = torch.compile(network, fullgraph=True, **how)
        with torch.no_grad():
            # The paths of a size are made at the first call, outside of any graph.
            expected = network(clip)
            error = (fast(clip) - expected).abs().max().item()
            times = compare(
                {
                    'eager': [partial(network, clip)],
                    'compiled': [partial(fast, clip)],
                    'CUDA graph': [graphed(partial(network, clip), self.device)],
                },
                self.device,
                self.seconds,
            )
        times.check('compiled')
        where = 'PoseMamba of the demo, one clip of 27 frames'
        return [
            Row(
                where,
                'eager / torch.compile',
                times.seconds['eager'] / times.seconds['compiled'],
                details=times.milliseconds(),
                note=f'they differ by {error:.1e} at most',
            )
        ]

    def train(self, family: str, hands: Path) -> None:
        """Trains one family in float32 and with AMP.

        Raises:
            ValueError: If a loss with AMP leaves the band.
        """
        config = load_config(FAMILIES[family])
        if self.tiny:
            config.train_dataloader.batch_size = 2
        batches = make_batches(config, hands, 1 if self.tiny else BATCHES)
        losses, seconds = {}, {}
        outside = []
        for dtype in (None, *(AMP[:1] if self.tiny else AMP)):
            name = dtype or 'float32'
            losses[name], seconds[name] = self.losses(config, batches, dtype)
            if dtype is None:
                continue
            last, expected = (
                statistics.mean(losses[key][-max(1, self.steps // 4) :])
                for key in (name, 'float32')
            )
            row = Row(
                f'{family}, {self.steps} steps',
                f'loss with {name}, off that in float32',
                abs(last / expected - 1),
                BAND,
                at_least=False,
                unit='',
                details={
                    'float32 loss': expected,
                    f'{name} loss': last,
                    'first loss': losses['float32'][0],
                    'float32 ms a step': 1e3 * seconds['float32'],
                    f'{name} ms a step': 1e3 * seconds[name],
                },
            )
            self.results.add(row)
            if not row.value <= BAND:  # NaN is outside too
                outside.append(f'{row.what}: {row.value:.3g}')
        if outside:
            raise ValueError(f'outside of the band of {BAND}: {"; ".join(outside)}')

    def losses(
        self, config: 'Config', batches: Sequence[dict], dtype: str | None
    ) -> tuple[list[float], float]:
        """Trains from the same weights; returns the losses and seconds a step."""
        model = self.build(config).train()
        wrapper = make_wrapper(model, config, self.device, dtype)
        values = []
        start = time.perf_counter()
        for batch in itertools.islice(itertools.cycle(batches), self.steps):
            # The preprocessor may change what it is given.
            data = {key: list(value) for key, value in batch.items()}
            values.append(model.train_step(data, wrapper)['loss'].detach())
        synchronize(self.device)
        seconds = (time.perf_counter() - start) / self.steps
        return torch.stack(values).tolist(), seconds

    def build(self, config: 'str | Config') -> nn.Module:
        """Builds the model of a config on the device, always with the same weights."""
        from mmengine.registry import DefaultScope

        from mmssm.registry import MODELS

        if isinstance(config, str):
            config = load_config(config)
        torch.manual_seed(0)
        # On the CPU first: the same weights wherever it goes then.
        with torch.device('cpu'), DefaultScope.overwrite_default_scope('mmpose'):
            model = MODELS.build(config.model)
            model.init_weights()
        return model.to(self.device).eval()

    def _without_mamba(self, times: Comparison) -> str:
        notes = [times.note()]
        if isinstance(self.mamba, str):
            notes.append(f'{MAMBA} is {self.mamba}')
        return '; '.join(note for note in notes if note)


def _graph_row(where: str, times: Comparison, name: str) -> Row:
    graph = f'{name}, CUDA graph'
    known = graph in times.seconds
    return Row(
        where,
        f'{name} / {graph}',
        times.seconds[name] / times.seconds[graph] if known else None,
        note=times.note(),
    )


def load_config(path: str) -> 'Config':
    """Reads a config of the repository."""
    from mmengine.config import Config

    import mmssm.registry  # noqa: F401  cures the host before it is used

    return Config.fromfile(REPOSITORY / path)


def make_batches(config: 'Config', hands: Path, count: int) -> list[dict]:
    """Returns training batches of a config, on the CPU.

    Args:
        config: Its ``train_dataloader`` says what they are made of.
        hands: Folder of generated hands, which are made if a config wants them.
        count: How many batches.
    """
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DefaultScope

    from mmssm.registry import DATASETS

    loader = config.train_dataloader
    if 'data_root' in loader.dataset:
        make_hands(hands, count * loader.batch_size)
        loader.dataset.data_root = str(hands)
    with torch.device('cpu'), DefaultScope.overwrite_default_scope('mmpose'):
        torch.manual_seed(0)
        dataset = DATASETS.build(loader.dataset)
        dataset.full_init()
        length = len(dataset)
        return [
            pseudo_collate(
                [dataset[(number * loader.batch_size + i) % length]
                 for i in range(loader.batch_size)]
            )
            for number in range(count)
        ]  # fmt: skip


def make_hands(folder: Path, number: int) -> None:
    """Generates pictures of hands, unless there are some."""
    from benchmarks import _runs

    if folder.exists():
        return
    _runs.run(
        [
            'tools/dataset_converters/synthhand.py',
            *('--out', str(folder)),
            *('--num', str(min(number, PICTURES))),
            *('--num-evaluation', '1'),
        ],
        folder.with_suffix('.log'),
        1,
    )


def make_wrapper(
    model: nn.Module, config: 'Config', device: torch.device, dtype: str | None
) -> Any:
    """Returns the optimizer of a config; with AMP, the way MMEngine trains with it."""
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import DefaultScope

    settings = dict(config.optim_wrapper)
    if dtype is not None and device.type == 'cuda':
        settings |= dict(type='AmpOptimWrapper', dtype=dtype)
    with DefaultScope.overwrite_default_scope('mmpose'):
        wrapper = build_optim_wrapper(model, settings)
    if dtype is not None and device.type != 'cuda':
        # MMEngine's wrapper wants a GPU; what it does but scale the loss:
        cast = partial(torch.autocast, device.type, getattr(torch, dtype))
        wrapper.optim_context = lambda _: cast()
    return wrapper


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.models.gpu',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.add_argument(
        '--steps', type=int, default=200, help='training steps of each run'
    )
    args = parser.parse_args(argv)
    check_device(parser, args.device)
    try:
        import mmssm.registry  # noqa: F401  cures the host before it is used
    except ImportError as error:
        print(f'the models are not checked: {" ".join(str(error).split())}')
        return SKIPPED
    from mmengine.logging import MMLogger

    # Every parameter's options would be a line, for each training.
    MMLogger.get_instance('mmengine', log_level='WARNING')
    device = torch.device(args.device)
    # Figures of the fallback would mislead.
    with backend('native'):
        results = Results(args.out, 'models', TITLE, device, ['mmpose', 'mmengine'])
        steps = 1 if args.tiny else args.steps
        Benchmark(results, device, args.seconds, steps, args.tiny).run()
        return results.finish()


if __name__ == '__main__':
    sys.exit(main())
