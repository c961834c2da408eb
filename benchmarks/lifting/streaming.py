"""What going frame by frame costs and gains: a causal lifter beside windows.

    python benchmarks/lifting/streaming.py --out DIR

The shipped models lift the validation videos of their fold, whole, from the same noisy
2D joints, without the mirrored pass:

- the causal models, one frame after the other;
- the causal PoseMamba, begun anew every 27 frames: what its memory is worth;
- the PoseMamba that looks both ways, in windows of 27 frames side by side, for
  recordings;
- that model as a stream would have to use it: at every frame a whole window, of which
  one frame's pose is kept: the last one, which waits for nothing, or the middle one,
  which waits for 13 frames.

Errors are the evaluator's; the times are of the network for one frame of one person, in
one thread: the processor's time, which on a core of its own is the latency and does not
grow with what else runs. What it waits for at 50 frames per second comes on top. The
results go to ``DIR/streaming.json`` and ``DIR/streaming.md``.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.checkpoint import build_from_checkpoint
from mmssm.apis.robustness import evaluate
from mmssm.apis.streaming import StreamingLifter

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # where a run by this file's path does not look

from benchmarks._measure import describe_machine  # noqa: E402

CONFIG = (
    'configs/body_3d_keypoint/posemamba/mocap/'
    'posemamba_xs-causal-27frm_1xb4_mocap-fold0.py'
)
CAUSAL = 'mmssm/weights/posemamba-mocap-causal-27frm.safetensors'
SASMAMBA = 'mmssm/weights/sasmamba-mocap-causal-27frm.safetensors'
BOTH_WAYS = 'mmssm/weights/posemamba-mocap-27frm.safetensors'
WINDOW = 27
FPS = 50
ERRORS = ('MPJPE', 'P-MPJPE', 'MPJVE', 'ACCEL')


class Whole(nn.Module):
    """A backbone that is given a whole video and sees it in some other way."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone


class Steps(Whole):
    """Frame after frame."""

    def forward(self, x: Tensor) -> Tensor:
        """Features of ``(N, T, J, C)``."""
        state = self.backbone.init_stream(len(x))
        return torch.stack([self.backbone.step(f, state) for f in x.unbind(1)], 1)


class SideBySide(Whole):
    """Windows side by side."""

    def forward(self, x: Tensor) -> Tensor:
        """Features of ``(N, T, J, C)``."""
        return torch.cat([self.backbone(part) for part in x.split(WINDOW, 1)], 1)


class Sliding(Whole):
    """At every frame the last frames, of whose features one frame's are kept.

    Args:
        backbone: The backbone.
        delay: Frames behind the one that is kept.
    """

    def __init__(self, backbone: nn.Module, delay: int) -> None:
        super().__init__(backbone)
        self.delay = delay

    def forward(self, x: Tensor) -> Tensor:
        """Features of ``(N, T, J, C)``; at the end the last frame stays."""
        last = x[:, -1:].expand(-1, self.delay, -1, -1)
        x = torch.cat([x, last], 1)
        kept = []
        for frame in range(x.shape[1] - self.delay):
            end = frame + self.delay + 1
            window = self.backbone(x[:, max(0, end - WINDOW) : end])
            kept.append(window[:, -1 - self.delay])
        return torch.stack(kept, 1)


@dataclass(frozen=True)
class Way:
    """A way to lift a video.

    Attributes:
        name: What it is called in the table.
        weights: Of which model.
        wrap: Makes the backbone that sees the video so.
        delay: Frames that it waits for: the most, where it differs.
        unit: What runs, and for how many frames: a key of the timings.
    """

    name: str
    weights: str
    wrap: Callable[[nn.Module], nn.Module]
    delay: int
    unit: str


WAYS = (
    Way('causal, frame by frame', CAUSAL, Steps, 0, 'step'),
    Way('causal SasMamba, frame by frame', SASMAMBA, Steps, 0, 'SasMamba step'),
    Way('causal, begun anew every 27 frames', CAUSAL, SideBySide, 0, 'step'),
    Way('both ways, windows side by side', BOTH_WAYS, SideBySide, 26, 'window / 27'),
    Way(
        'both ways, a window a frame, last pose',
        BOTH_WAYS,
        lambda backbone: Sliding(backbone, 0),
        0,
        'window',
    ),
    Way(
        'both ways, a window a frame, middle pose',
        BOTH_WAYS,
        lambda backbone: Sliding(backbone, WINDOW // 2),
        WINDOW // 2,
        'window',
    ),
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for results')
    parser.add_argument(
        '--seconds', type=float, default=20, help='time to spend on the timings'
    )
    parser.add_argument(
        '--videos', type=int, help='only so many of the validation videos'
    )
    parser.add_argument('--frames', type=int, help='only so many frames of a video')
    return parser.parse_args(argv)


def errors_of(way: Way, config: Config) -> dict[str, float]:
    """Errors of one way on whole videos, millimetres."""
    model = build_from_checkpoint(REPOSITORY / way.weights)
    model.test_cfg['flip_test'] = False
    model.backbone = way.wrap(model.backbone).eval()
    metrics = evaluate(config, model)
    return {name: float(metrics[name]) for name in ERRORS}


@torch.no_grad()
def timings(seconds: float) -> dict[str, float]:
    """Milliseconds of a step, of a window and of the whole way from pixels to metres.

    A step is timed after a thousand frames too.
    """
    both_ways = build_from_checkpoint(REPOSITORY / BOTH_WAYS)
    clip = torch.rand(1, WINDOW, 17, 3)
    causal, first, later = stepper(CAUSAL, clip[:, 0])
    lifter = StreamingLifter(causal, (1000, 1000), flip_test=False)
    points = np.random.default_rng(0).uniform(0, 1000, (1, 17, 2))
    functions: dict[str, Callable[[], object]] = {
        'step': first,
        'step after 1,000 frames': later,
        'SasMamba step': stepper(SASMAMBA, clip[:, 0])[1],
        'window': lambda: both_ways.head(both_ways.backbone(clip)),
        'pixels to metres': lambda: lifter.step(points),
    }
    found: dict[str, list[float]] = {name: [] for name in functions}
    deadline = time.perf_counter() + seconds
    while not found['step'] or time.perf_counter() < deadline:
        for name, function in functions.items():
            found[name].append(processor_time(function))
    middle = {name: 1000 * statistics.median(times) for name, times in found.items()}
    return {**middle, 'window / 27': middle['window'] / WINDOW}


def stepper(
    weights: str, frame: Tensor
) -> tuple[nn.Module, Callable[[], object], Callable[[], object]]:
    """A causal model, its first step, and its step after a thousand frames."""
    model = build_from_checkpoint(REPOSITORY / weights)
    new, old = model.backbone.init_stream(), model.backbone.init_stream()
    model.backbone.step(frame.unsqueeze(1).expand(-1, 1000, -1, -1), old)

    def first() -> None:
        new.reset()
        model.head(model.backbone.step(frame, new))

    return model, first, lambda: model.head(model.backbone.step(frame, old))


def processor_time(function: Callable[[], object]) -> float:
    """Seconds that this process computes in a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def table(
    errors: dict[str, dict[str, float]], times: dict[str, float], kept: int
) -> str:
    """The Markdown table."""
    lines = [
        '| way | MPJPE, mm | P-MPJPE, mm | velocity error, mm | acceleration error, mm '
        '| time per frame, ms | waits for |',
        '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ]
    for way in WAYS:
        found = errors[way.name]
        numbers = ' | '.join(
            f'{found[name]:.{1 if "MPJPE" in name else 2}f}' for name in ERRORS
        )
        wait = f'{way.delay} frames, {1000 * way.delay // FPS} ms' if way.delay else '-'
        if way.wrap is SideBySide and way.delay:
            wait = f'up to {wait}'
        lines.append(f'| {way.name} | {numbers} | {times[way.unit]:.2f} | {wait} |')
    lines += [
        '',
        f'A step after 1,000 frames takes {times["step after 1,000 frames"]:.2f} ms, '
        f'from pixels to metres {times["pixels to metres"]:.2f} ms; the state of one '
        f'person is {kept:,} bytes.',
        '',
    ]
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark."""
    args = parse_args(argv)
    torch.set_num_threads(1)
    config = Config.fromfile(REPOSITORY / CONFIG)
    config.val_evaluator.errors = list(ERRORS)
    if args.videos is not None:
        config.val_dataloader.dataset.indices = args.videos
    if args.frames is not None:
        config.val_dataloader.dataset.seq_len = args.frames
    errors = {}
    for way in WAYS:
        errors[way.name] = errors_of(way, config)
        print(f'{way.name}: {errors[way.name]}', flush=True)
    times = timings(args.seconds)
    state = build_from_checkpoint(REPOSITORY / CAUSAL).backbone.init_stream()
    context = dict(describe_machine('mmpose'), threads='1')
    text = table(errors, times, state.nbytes)
    text += '\n' + '\n'.join(f'- {name}: {value}' for name, value in context.items())
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'streaming.json').write_text(
        json.dumps(dict(context=context, errors=errors, milliseconds=times), indent=1)
        + '\n'
    )
    (args.out / 'streaming.md').write_text(text + '\n')
    print('\n' + text)


if __name__ == '__main__':
    main()
