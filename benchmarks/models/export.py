"""Models as ONNX files: size, agreement and latency beside PyTorch.

    python benchmarks/models/export.py --out DIR [--models NAME ...]

Each model gets random weights (hands the free hand model), is exported by
`mmssm.apis.export_onnx` (which compares onnxruntime with PyTorch on batches of 1, 2 and
5), and then both run in turns on one input; the shortest time counts. PyTorch runs the
compiled scans, onnxruntime its ``Scan``. The results are written after each model, to
``DIR/export.json`` and, as the table of docs/export.md, to ``DIR/export.md``.
"""

import argparse
import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS
from torch import nn

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis import export_onnx, open_onnx
from mmssm.apis.catalog import resolve_config
from mmssm.apis.onnx_ports import Network, StepNetwork, random_inputs
from mmssm.engine import preflight
from mmssm.models.layers import DSSM
from mmssm.ops import backend

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # where a run by this file's path does not look

from benchmarks._measure import describe_machine, interleave  # noqa: E402

FOLDERS = {
    'posemamba': 'configs/body_3d_keypoint/posemamba',
    'sasmamba': 'configs/body_3d_keypoint/sasmamba',
    '2d': 'configs/hand_2d_keypoint',
    'mesh': 'configs/hand_mesh/hamba',
}
STEP = 'PoseMamba, causal, one frame'
CASES = {
    'PoseMamba, that of the demo': f'{FOLDERS["posemamba"]}/mocap/'
    'posemamba_xs-27frm_1xb4_mocap-fold0.py',
    'PoseMamba-S': f'{FOLDERS["posemamba"]}/h36m/'
    'posemamba_s-243frm_1xb4-120e_h36m-original.py',
    'PoseMamba-L': f'{FOLDERS["posemamba"]}/h36m/'
    'posemamba_l-243frm_1xb4-120e_h36m-original.py',
    'SasMamba': f'{FOLDERS["sasmamba"]}/h36m/'
    'sasmamba-243frm_1xb16-150e_h36m-original.py',
    'DF-Mamba a, heatmaps': f'{FOLDERS["2d"]}/df_mamba/freihand2d/'
    'td-hm_df-mamba-a_8xb64-100e_freihand2d-224x224.py',
    'VMamba tiny, heatmaps': f'{FOLDERS["2d"]}/vmamba/freihand2d/'
    'td-hm_vmamba-tiny_8xb64-100e_freihand2d-224x224.py',
    'Hamba, small': f'{FOLDERS["mesh"]}/synthhand/'
    'hamba-small_res18_1xb16_synthhand-128x128.py',
    STEP: f'{FOLDERS["posemamba"]}/mocap/posemamba_xs-causal-27frm_1xb4_mocap-fold0.py',
    'Hamba on ResNet-50': f'{FOLDERS["mesh"]}/freihand/'
    'hamba_res50_2xb28-60k_freihand-256x256.py',
}
"""What is exported, by the name in the table."""


@dataclass(frozen=True)
class Result:
    """What was measured of a model.

    Attributes:
        name: Its name in the table.
        shape: Of one input.
        params: How many numbers are learnt.
        megabytes: Size of the file.
        error: Largest difference from PyTorch, of any output.
        torch_ms: Shortest time of one input in PyTorch.
        onnxruntime_ms: The same in onnxruntime.
    """

    name: str
    shape: tuple[int, ...]
    params: int
    megabytes: float
    error: float
    torch_ms: float
    onnxruntime_ms: float

    def cells(self) -> list[str]:
        """The row of the table."""
        return [
            self.name,
            ' x '.join(map(str, self.shape)),
            f'{self.params / 1e6:.2f} M',
            f'{self.megabytes:.1f}',
            f'{self.error:.0e}',
            f'{self.torch_ms:.1f}',
            f'{self.onnxruntime_ms:.1f}',
        ]


HEADER = (
    'model', 'one input', 'parameters', 'file, MB', 'largest difference', 'PyTorch, ms',
    'onnxruntime, ms',
)  # fmt: skip


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for results')
    parser.add_argument(
        '--models', nargs='+', choices=CASES, default=list(CASES), help='some of them'
    )
    parser.add_argument(
        '--seconds', type=float, default=10.0, help='time for each comparison'
    )
    parser.add_argument(
        '--threads', type=int, default=os.cpu_count() or 1, help='threads of both'
    )
    return parser.parse_args(argv)


def build(config_path: str) -> nn.Module:
    """A model of a config, with random weights and samples beside their places."""
    config = preflight.read_config(str(resolve_config(config_path)))
    config.model.backbone.pop('init_cfg', None)  # weights of ImageNet
    if 'mano' in config.model.head:
        config.model.head.mano.model = None  # MANO's file is its owners' to give
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpose')):
        model = MODELS.build(config.model).eval()
    for module in model.modules():
        if isinstance(module, DSSM):
            nn.init.normal_(module.sample_weight, std=0.1)
    return model


def measure(name: str, args: argparse.Namespace) -> Result:
    """Exports a model and times it."""
    model = build(CASES[name])
    path = args.out / 'model.onnx'
    report = export_onnx(model, path, step=name == STEP, repeats=1)
    network = (StepNetwork if name == STEP else Network)(model).eval()
    one = random_inputs(report.inputs, 1, seed=0)
    session = open_onnx(path, args.threads)
    feed = {port.name: x.numpy() for port, x in zip(report.inputs, one, strict=True)}

    def in_torch() -> None:
        with torch.inference_mode():
            network(*one)

    best = interleave(
        dict(torch=in_torch, onnxruntime=lambda: session.run(None, feed)),
        args.seconds,
        rounds=(3, 100),
    )
    path.unlink()
    return Result(
        name=name,
        shape=tuple(one[0].shape[1:]),
        params=sum(p.numel() for p in model.parameters()),
        megabytes=report.num_bytes / 1e6,
        error=max(report.max_abs_error.values()),
        torch_ms=1000 * best['torch'],
        onnxruntime_ms=1000 * best['onnxruntime'],
    )


def main(argv: list[str] | None = None) -> None:
    """Measures all models and writes the results."""
    args = parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    context = dict(describe_machine('onnx', 'onnxruntime'), threads=args.threads)
    results = []
    with backend('native'):  # figures of the fallback would mislead
        for name in args.models:
            results.append(measure(name, args))
            print(' | '.join(results[-1].cells()), flush=True)
            write(results, context, args.out)


def write(results: list[Result], context: dict, folder: Path) -> None:
    """Writes what has been measured so far."""
    rows = [HEADER, ('---', '---', *['---:'] * 5), *(r.cells() for r in results)]
    page = '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in rows)
    said = ', '.join(f'{key} {value}' for key, value in context.items())
    content = dict(context=context, rows=[dataclasses.asdict(r) for r in results])
    (folder / 'export.json').write_text(json.dumps(content, indent=1) + '\n')
    (folder / 'export.md').write_text(f'{page}\n\n{said}\n')


if __name__ == '__main__':
    main()
