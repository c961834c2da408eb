"""Models as ONNX files, which onnxruntime runs without PyTorch and without mmssm."""

import copy
import json
import logging
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import mmssm
from mmssm.ops import backend
from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import FileNotWrittenError

from .onnx_ports import (
    BATCH,
    Network,
    Port,
    Ports,
    StepNetwork,
    describe_inputs,
    describe_outputs,
    example_shape,
    joint_names,
    random_inputs,
)
from .speed import median_ms

OPSET = 18
"""Version of the ONNX operators in the files; onnxruntime knows it since 1.14."""

TOLERANCE = 1e-4
"""Largest difference from PyTorch that is let pass.

In units of an output, and where it is larger than 1 as a share of its largest value:
scores and states have no bound, and single precision has seven digits of anything.
"""

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
"""What an export needs besides mmssm; running a file needs the last one alone."""

BATCHES = (2, 1, 5)
"""Batches on which a file is checked; the first is the traced one."""


class ExportError(UserError, RuntimeError):
    """A model cannot be exported, or its file does not agree with it."""


class OnnxFileError(UserError, ValueError):
    """A file is no ONNX model that onnxruntime can run."""


@dataclass(frozen=True)
class ExportReport:
    """What was written and how well it agrees.

    Attributes:
        path: The file; with more than 2 GB of weights they lie beside it in
            ``path`` + ``.data``.
        opset: Version of its operators.
        num_bytes: Size, weights and all.
        inputs: Its inputs.
        outputs: Its outputs.
        joint_names: Names of the joints, if the model says them.
        max_abs_error: Largest difference of each output from PyTorch's, over all
            batches, in units of the output.
        batches: Sizes of the batches that were compared; the first is the traced
            one.
        torch_ms: Median time of one input in PyTorch, milliseconds.
        onnxruntime_ms: The same in onnxruntime, with as many threads.
        num_threads: How many threads both had.
    """

    path: Path
    opset: int
    num_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    joint_names: tuple[str, ...] | None
    max_abs_error: Mapping[str, float]
    batches: tuple[int, ...]
    torch_ms: float
    onnxruntime_ms: float
    num_threads: int

    def __str__(self) -> str:
        ports = [
            f'  {kind:6}  {port.name} ({", ".join(map(str, port.shape))}): {port.units}'
            for kind, some in (('input', self.inputs), ('output', self.outputs))
            for port in some
        ]
        errors = ', '.join(f'{k} {v:.1e}' for k, v in self.max_abs_error.items())
        batches = ', '.join(map(str, self.batches))
        return '\n'.join(
            [
                f'{self.path}: {self.num_bytes / 1e6:.1f} MB, opset {self.opset}',
                *ports,
                f'  largest difference from PyTorch in batches of {batches}: {errors}',
                f'  one input, {self.num_threads} thread(s): PyTorch '
                f'{self.torch_ms:.1f} ms, onnxruntime {self.onnxruntime_ms:.1f} ms',
            ]
        )


def export_onnx(
    model: nn.Module,
    path: str | Path,
    inputs: Tensor | None = None,
    *,
    step: bool = False,
    joints: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
    repeats: int = 5,
) -> ExportReport:
    """Writes a model as an ONNX file and compares it with PyTorch in onnxruntime.

    The file holds the network of a pose estimator (``mode='tensor'``) in single
    precision; normalising, decoding and the flip test stay outside. Any batch goes
    in; all other sizes are those of the traced example. The model goes through
    `torch.export` with the ops decomposed (`mmssm.ops.decomposed`): each scan becomes
    one ONNX ``Scan``, deformable samples become gathers of tokens. Names, units and
    joints stand in the file's metadata (:func:`read_onnx_metadata`).

    The file appears whole and checked, or not at all: what was at ``path`` stays
    there until then. The model itself is not changed, whatever its mode, device and
    precision are.

    With ``step`` the file holds one step of a causal lifter: it takes a frame of each
    stream and ``state``, and gives their poses and ``next_state``. A row of zeros is
    the state before the first frame.

    Args:
        model: A pose estimator, as MMPose's ``MODELS.build`` or
            `mmssm.apis.build_from_checkpoint` makes it, or any module of one tensor.
        path: The file, ending in ``.onnx``; its folder is made if need be.
        inputs: An example of what goes in, ``(N, ...)``, of any batch; only its shape
            is looked at. Default: what the model says it is for.
        step: Whether to write one step of a causal lifter.
        joints: Names of the joints, for the metadata. Default: the model's.
        tolerance: Largest difference from PyTorch, as :data:`TOLERANCE`.
        repeats: Timed runs of each.

    Returns:
        What was written, its errors and latencies.

    Raises:
        ExportError: A package is missing, the model cannot be exported, or the file
            differs from it by more than ``tolerance``.
        UserError: The model does not say what goes in, and ``inputs`` is missing; or
            ``step`` is asked of a model that is not causal.
        ValueError: ``path`` has another ending, or ``inputs`` has no batch.
        FileNotWrittenError: The file could not be written.
    """
    path = Path(path)
    if path.suffix != '.onnx':
        raise ValueError(f'an ONNX file ends in .onnx, got {path.name}')
    if inputs is not None and (inputs.dim() < 2 or 0 in inputs.shape):
        raise ValueError(
            f'inputs must be a batch of examples, (N, ...), got {tuple(inputs.shape)}'
        )
    _require(*PACKAGES)
    network: Network | StepNetwork = (StepNetwork if step else Network)(
        copy.deepcopy(model).cpu().float()
    )
    network.eval().requires_grad_(False)
    if inputs is not None:
        shape = tuple(inputs.shape[1:])
    else:
        shape = example_shape(model)[1 if step else 0 :]
    into = describe_inputs(network, shape)
    feeds, wanted = _try_out(network, into)
    out = describe_outputs(network, wanted[0])
    names = tuple(joints) if joints is not None else joint_names(model)
    program = _translate(network, feeds[0], into, out)
    program.model.metadata_props.update(_metadata(model, into, out, names))
    program.model.producer_name = 'mmssm'
    program.model.producer_version = mmssm.__version__
    with _whole_files(path) as partial:
        program.save(partial)
        session = _open(partial)
        errors, largest = _compare(session, into, out, feeds, wanted)
        _check_errors(model, errors, largest, tolerance)
        one = feeds[BATCHES.index(1)]
        feed = _named(into, one)
        cpu = torch.device('cpu')
        report = ExportReport(
            path=path,
            opset=OPSET,
            num_bytes=sum(file.stat().st_size for file in partial.parent.iterdir()),
            inputs=into,
            outputs=out,
            joint_names=names,
            max_abs_error=errors,
            batches=BATCHES,
            torch_ms=median_ms(lambda: network(*one), cpu, repeats),
            onnxruntime_ms=median_ms(lambda: session.run(None, feed), cpu, repeats),
            num_threads=torch.get_num_threads(),
        )
    return report


def open_onnx(path: str | Path, num_threads: int | None = None) -> Any:
    """Opens an ONNX file in onnxruntime, on the CPU.

    Args:
        path: The file.
        num_threads: How many threads it may use. Default: as many as PyTorch.

    Returns:
        An ``onnxruntime.InferenceSession``: ``session.run(None, {name: array})``.

    Raises:
        FileNotFoundError: There is no such file.
        OnnxFileError: It is corrupt, or no ONNX model.
        ExportError: onnxruntime is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no ONNX file at {path}')
    _require('onnxruntime')
    return _open(path, num_threads)


def read_onnx_metadata(path: str | Path) -> dict[str, Any]:
    """Reads what :func:`export_onnx` wrote about a model into its file.

    Args:
        path: The file.

    Returns:
        ``model`` (class names), ``mmssm`` (version), ``inputs`` and ``outputs``
        (name, shape and units each), ``joint_names`` (or None).

    Raises:
        FileNotFoundError: There is no such file.
        OnnxFileError: It is corrupt, or not of this function.
        ExportError: onnxruntime is missing.
    """
    properties = open_onnx(path, 1).get_modelmeta().custom_metadata_map
    try:
        return json.loads(properties['mmssm'])
    except (KeyError, json.JSONDecodeError) as error:
        raise OnnxFileError(
            f'{path} says nothing of its joints and units: it was not written by '
            'mmssm; write it anew with `mmssm export`'
        ) from error


def _try_out(
    network: Network | StepNetwork, into: Ports
) -> tuple[list[tuple[Tensor, ...]], list[tuple[Tensor, ...]]]:
    """Batches of inputs, and what the network makes of them."""
    feeds = [random_inputs(into, batch, seed) for seed, batch in enumerate(BATCHES)]
    try:
        wanted = [network(*feed) for feed in feeds]
        if isinstance(network, StepNetwork):
            # The second frame: before the first, states are all zeros.
            feeds = [(feed[0], y[1]) for feed, y in zip(feeds, wanted, strict=True)]
            wanted = [network(*feed) for feed in feeds]
    except Exception as error:
        raise ExportError(
            f'{_name(network.model)} does not run on inputs of shape '
            f'{tuple(feeds[0][0].shape)}: {_first_line(error)}'
        ) from error
    return feeds, wanted


def _translate(
    network: Network | StepNetwork, example: tuple[Tensor, ...], into: Ports, out: Ports
) -> Any:
    """The program in ONNX."""
    from onnx_ir.passes.common import (
        ClearMetadataAndDocStringPass,
        DeduplicateInitializersPass,
    )

    from .onnx_scan import TRANSLATIONS

    batch = torch.export.Dim('batch', min=1)
    try:
        with backend('decomposed'), torch.no_grad(), _quiet():
            program = torch.export.export(
                network, example, dynamic_shapes=({0: batch},) * len(into), strict=False
            )
            translated: Any = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[port.name for port in into],
                output_names=[port.name for port in out],
                custom_translation_table=TRANSLATIONS,
            )
    except Exception as error:
        raise ExportError(
            f'{_name(network.model)} cannot be exported: torch.export and its ONNX '
            'translation need a network without decisions on values and with '
            f'operators that ONNX has. {type(error).__name__}: {_first_line(error)}'
        ) from error
    # Where each node stands in Python, with the folders of this machine.
    ClearMetadataAndDocStringPass()(translated.model)
    # Orders of tokens are the same in all blocks.
    DeduplicateInitializersPass(size_limit=2**18)(translated.model)
    _name_batch(translated.model)
    return translated


def _name_batch(model: Any) -> None:
    """Calls the batch so, in all shapes; the exporter calls it s0 or the like."""
    import onnx_ir

    symbol = re.compile(rf'\b{re.escape(str(model.graph.inputs[0].shape[0]))}\b')
    values = [*model.graph.inputs]
    for node in model.graph.all_nodes():
        values += node.outputs
    for value in values:
        for axis, size in enumerate(value.shape or ()):
            if isinstance(size, onnx_ir.SymbolicDim):
                value.shape[axis] = symbol.sub(BATCH, str(size))


def _compare(
    session: Any,
    into: Ports,
    out: Ports,
    feeds: Sequence[tuple[Tensor, ...]],
    wanted: Sequence[tuple[Tensor, ...]],
) -> tuple[dict[str, float], dict[str, float]]:
    """Largest difference, and value, of each output; NaN counts as infinite."""
    errors, largest = ({port.name: 0.0 for port in out} for _ in range(2))
    for feed, expected in zip(feeds, wanted, strict=True):
        found = session.run(None, _named(into, feed))
        for port, one, other in zip(out, found, expected, strict=True):
            error = _difference(one, other.numpy(), port.name)
            errors[port.name] = max(errors[port.name], error)
            value = float(other.abs().max()) if other.numel() else 0.0
            largest[port.name] = max(largest[port.name], value)
    return errors, largest


def _named(into: Ports, feed: tuple[Tensor, ...]) -> dict[str, NDArray]:
    """Inputs as onnxruntime takes them."""
    return {p.name: tensor.numpy() for p, tensor in zip(into, feed, strict=True)}


def _difference(found: NDArray, expected: NDArray, name: str) -> float:
    if found.shape != expected.shape:
        raise ExportError(
            f'onnxruntime gives {name} of shape {found.shape}, PyTorch '
            f'{expected.shape}; the file was not written'
        )
    if found.size == 0:
        return 0.0
    error = float(np.abs(found.astype(np.float64) - expected).max())
    return error if isfinite(error) else float('inf')


def _check_errors(
    model: nn.Module,
    errors: Mapping[str, float],
    largest: Mapping[str, float],
    tolerance: float,
) -> None:
    wrong = {
        name: error
        for name, error in errors.items()
        if not (isfinite(error) and error <= tolerance * max(1.0, largest[name]))
    }
    if wrong:
        worst = ', '.join(f'{name} by {error:.2g}' for name, error in wrong.items())
        raise ExportError(
            f'{_name(model)} differs in onnxruntime from PyTorch: {worst}, allowed is '
            f'{tolerance:g}, of outputs above 1 as a share; the file was not written. '
            'Are its weights finite and trained? A larger tolerance can be given'
        )


def _metadata(
    model: nn.Module, into: Ports, out: Ports, names: Sequence[str] | None
) -> dict[str, str]:
    said = dict(
        mmssm=mmssm.__version__,
        model=_name(model),
        inputs=[asdict(port) for port in into],
        outputs=[asdict(port) for port in out],
        joint_names=None if names is None else list(names),
    )
    return {'mmssm': json.dumps(said)}


def _name(model: nn.Module) -> str:
    parts = [model, *(getattr(model, part, None) for part in ('backbone', 'head'))]
    return ', '.join(type(part).__name__ for part in parts if part is not None)


def _open(path: Path, num_threads: int | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or torch.get_num_threads()
    options.log_severity_level = 3  # its warnings tell of nothing to be mended
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=['CPUExecutionProvider']
        )
    except Exception as error:  # onnxruntime's have no common class
        raise OnnxFileError(
            f'{path} is no whole ONNX model: {_first_line(error)}; write it anew with '
            '`mmssm export`'
        ) from error


def _require(*packages: str) -> None:
    missing = []
    for package in packages:
        try:
            import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise ExportError(
            f'ONNX files need {", ".join(missing)}, which cannot be imported: pip '
            f'install {" ".join(missing)}'
        )


@contextmanager
def _whole_files(path: Path) -> Iterator[Path]:
    """A hidden place for a file and its weights, which take their names at the end."""
    folder = path.with_name(f'.{path.name}.partial')
    try:
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        folder.mkdir(parents=True)
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        yield folder / path.name
        # The weights first: without them the model's name would point at half of it.
        for file in sorted(folder.iterdir(), key=lambda f: f.name == path.name):
            file.replace(path.parent / file.name)
    except OSError as error:
        if isinstance(error, UserError):
            raise
        raise _unwritten(path, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unwritten(path: Path, error: OSError) -> FileNotWrittenError:
    return FileNotWrittenError(
        error.errno,
        f'{error.strerror or error}: {path} was not written; an earlier file is '
        'untouched. Make room and export again',
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter from talking of its own affairs."""
    loggers = [
        logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir')
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    """What an error says first, of the first one in a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
