"""How many instructions the kernels for CUDA need for each exponential of a scan.

    python -m benchmarks.ops.cuda_instructions [--arch 90]

Compiles the scans in float32 and reads the machine code; no GPU is needed or asked.
An element is one state of one channel at one step: one exponential, of which a
multiprocessor of an H100 or H200 makes 16 in a cycle while it issues 4 instructions of
32 threads, so that 8 instructions of a thread to an element are as fast as its
exponentials. What is counted is a round of the innermost loop; what comes once per
tile of 16 steps, loads and step sizes, comes on top. Counts are no times.

Needs nvcc, and nvdisasm of the toolkit or of the package nvidia-cuda-nvdisasm.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from shutil import which
from typing import NamedTuple

from mmssm.ops import _build

FILES = ('cuda/forward_float.cu', 'cuda/backward_float.cu')
# Steps whose states the backward has in registers (kPieceSteps in backward.cuh).
PIECE_STEPS = 8
_KERNEL = re.compile(
    r'(Forward|Backward)KernelINS0_6LayoutIfLi(\d+)ELi(\d+)ELi(\d+)EEELb1ELb(\d)E'
)
_FUNCTION = re.compile(r'^\.text\.(\w+):$')
_LABEL = re.compile(r'^(\.L_x_\d+):$')
_INSTRUCTION = re.compile(r'^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?(.*?)\s*;')
_BRANCH = re.compile(r'^BRA\b.*`\((\.L_x_\d+)\)')


class Loop(NamedTuple):
    """Instructions from a loop's head to the branch back."""

    start: int
    end: int


class Code(NamedTuple):
    """The instructions of a kernel, and its loops."""

    instructions: list[str]
    loops: list[Loop]

    def count(self, name: str, loop: Loop) -> int:
        """Returns how many instructions of a loop begin with a name."""
        inside = self.instructions[loop.start : loop.end]
        return sum(line.startswith(name) for line in inside)

    def innermost(self) -> list[Loop]:
        """Returns the loops that have no other within."""
        return [
            a
            for a in self.loops
            if not any(
                b != a and a.start <= b.start and b.end <= a.end for b in self.loops
            )
        ]


class Count(NamedTuple):
    """Instructions of one loop.

    Attributes:
        kernel: Direction and layout.
        loop: What the loop does.
        instructions: Of a thread, in one round.
        elements: That a thread is done with after it.
    """

    kernel: str
    loop: str
    instructions: int
    elements: int

    @property
    def each(self) -> float:
        """Instructions of a thread to an element."""
        return self.instructions / self.elements


def parse(listing: str) -> dict[str, Code]:
    """Reads what ``nvdisasm -c`` prints.

    Returns:
        The code of each kernel by its mangled name.
    """
    codes: dict[str, Code] = {}
    labels: dict[str, int] = {}
    code = Code([], [])
    for line in listing.splitlines():
        if match := _FUNCTION.match(line):
            code = codes[match.group(1)] = Code([], [])
            labels = {}
        elif match := _LABEL.match(line):
            labels[match.group(1)] = len(code.instructions)
        elif match := _INSTRUCTION.match(line):
            code.instructions.append(match.group(1))
            branch = _BRANCH.match(match.group(1))
            if branch and branch.group(1) in labels:
                end = len(code.instructions)
                code.loops.append(Loop(labels[branch.group(1)], end))
    return codes


def count(name: str, code: Code) -> list[Count]:
    """Counts the instructions of the loops over steps of one kernel.

    Args:
        name: Mangled name; others than of whole scans have no counts.
        code: What was read of it.
    """
    match = _KERNEL.search(name)
    if match is None:
        return []
    direction, states, lanes, rows, sampled = match.groups()
    kernel = f'{direction.lower()}, {states} states x {lanes} threads x {rows} rows'
    kernel += ', sampled' if sampled == '1' else ''
    # Softplus divides; the scan does not.
    steps = [
        loop
        for loop in code.innermost()
        if code.count('MUFU.EX2', loop) and not code.count('MUFU.RCP', loop)
    ]
    if not steps:
        raise RuntimeError(f'{name} has no loop with exponentials')
    scan = max(steps, key=lambda loop: code.count('MUFU.EX2', loop))
    size = scan.end - scan.start
    counts = [Count(kernel, 'scan', size, code.count('MUFU.EX2', scan))]
    if direction == 'Backward':
        counts[0] = counts[0]._replace(loop='states anew')
        counts.append(Count(kernel, 'back', _piece(code), PIECE_STEPS * int(states)))
    return counts


def _piece(code: Code) -> int:
    """Returns the instructions of a piece of the backward, up to its first barrier."""
    pieces = [
        loop
        for loop in code.loops
        if all(code.count(x, loop) for x in ('MUFU.EX2', 'SHFL', 'BAR'))
    ]
    if not pieces:
        raise RuntimeError('the backward has no loop over pieces')
    loop = min(pieces, key=lambda loop: loop.end - loop.start)
    inside = code.instructions[loop.start : loop.end]
    return next(i for i, line in enumerate(inside) if line.startswith('BAR'))


def find_nvdisasm(nvcc: Path) -> Path:
    """Returns the disassembler.

    Raises:
        RuntimeError: If there is none, with what to install.
    """
    beside = nvcc.resolve().parent / 'nvdisasm'
    if beside.exists():
        return beside
    if found := which('nvdisasm'):
        return Path(found)
    try:
        files = metadata.files('nvidia-cuda-nvdisasm') or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == 'nvdisasm':
            return Path(str(file.locate()))
    raise RuntimeError(
        f'no nvdisasm beside {nvcc}, in PATH or as a package; install it with '
        '`pip install nvidia-cuda-nvdisasm`'
    )


def disassemble(nvcc: Path, name: str, arch: str) -> str:
    """Compiles a kernel file and returns its machine code as text."""
    nvdisasm = find_nvdisasm(nvcc)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / 'kernels.cubin'
        flags = ('-gencode', f'arch=compute_{arch},code=sm_{arch}')
        command = _build.nvcc_command(nvcc, name, target, *flags)
        command[command.index('-c')] = '-cubin'
        for step in command, [str(nvdisasm), '-c', str(target)]:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f'{step[0]} failed:\n{done.stderr[-2000:]}')
    return done.stdout


def table(counts: list[Count]) -> str:
    """Returns a Markdown table; the last column is that of a warp, to an element."""
    lines = [
        '| kernel | loop | instructions | elements | each | of a warp |',
        '| --- | --- | ---: | ---: | ---: | ---: |',
    ]
    lines += [
        f'| {c.kernel} | {c.loop} | {c.instructions} | {c.elements} | {c.each:.1f} '
        f'| {c.each / 32:.3f} |'
        for c in counts
    ]
    return '\n'.join(lines)


def main(argv: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--arch', default='90', help='architecture, as in 80 or 90')
    args = parser.parse_args(argv)
    nvcc = _build.find_nvcc()
    if nvcc is None:
        print('no nvcc was found (CUDA_HOME, PATH, /usr/local/cuda)', file=sys.stderr)
        return 1
    counts = []
    for name in FILES:
        for kernel, code in parse(disassemble(nvcc, name, args.arch)).items():
            counts += count(kernel, code)
    print(
        f'CUDA {_build.nvcc_version(nvcc)}, sm_{args.arch}\n\n{table(sorted(counts))}'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
