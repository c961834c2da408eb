"""What the demos that train share: running tools, the number of steps."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def steps_from_environment() -> int | None:
    """The value of ``MMSSM_DEMO_STEPS``, if it is set."""
    value = os.environ.get('MMSSM_DEMO_STEPS')
    if not value:
        return None
    if not value.isdecimal() or int(value) < 1:
        sys.exit(
            'error: MMSSM_DEMO_STEPS must be a number of training iterations, 1 or '
            f'more, found {value!r}'
        )
    return int(value)


def interpreter() -> str:
    """This Python, as a person would type it in the root of the repository."""
    path = Path(sys.executable)
    inside = path.is_relative_to(REPOSITORY)
    return str(path.relative_to(REPOSITORY) if inside else path)


def run_tool(*command: str) -> None:
    """Runs a tool of the repository, from its root; stops if it fails."""
    print(f'\n$ {shlex.join([interpreter(), *command])}', flush=True)
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    # The host's deprecations are kept quiet; slow operators (RuntimeWarning) are not.
    quiet = ['-W', 'ignore', '-W', 'default::RuntimeWarning']
    done = subprocess.run(
        [sys.executable, *quiet, *command], cwd=REPOSITORY, env=environment
    )
    if done.returncode:
        sys.exit(f'error: {command[0]} stopped with status {done.returncode}')


def newest(folder: Path, pattern: str) -> Path:
    """The file of the last run."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def verdict(steps: int, full: int) -> str:
    """Says whether the numbers of a training mean anything.

    Args:
        steps: Iterations trained.
        full: Iterations of the whole recipe.
    """
    if steps >= full:
        return f'Trained for {steps} iterations.'
    text = (
        f'Trained for {steps} of {full} iterations: the numbers do not show what the '
        'model can do.'
    )
    return f'NOT TRAINED: {text}' if steps < full // 10 else text


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table, its first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  '.join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
