"""Benchmarks of trained models: every run kept.

A run trains a config by ``tools/train.py``, tests it by ``tools/test.py`` and leaves
``result.json`` in its folder, which is read instead of a new run when the benchmark
is called again on the same terms.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def run(command: list[str], log: Path, threads: int) -> str:
    """Runs a Python script of the repository; stops everything if it fails.

    Args:
        command: The script, from the root of the repository, and its arguments.
        log: File for what it writes to the standard error.
        threads: How many it may use.

    Returns:
        Its standard output.

    Raises:
        RuntimeError: It failed.
    """
    environment = {
        **os.environ,
        'PYTHONPATH': str(REPOSITORY),
        'OMP_NUM_THREADS': str(threads),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('w') as errors:
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-W', 'default::RuntimeWarning', *command],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f'{shlex.join(command)} failed; see {log}')
    return done.stdout


def train_and_test(
    config: str,
    work_dir: Path,
    terms: dict[str, object],
    steps: Callable[[], int],
    network: Callable[[], object],
    train_options: Sequence[str] = (),
    test_options: Sequence[str] = (),
) -> dict[str, object]:
    """Trains and tests a config, or reads what that gave before.

    Args:
        config: From the root of the repository; it must train by iterations.
        work_dir: Folder of the run.
        terms: What the result depends on, ``threads`` among it; they go into the
            result.
        steps: Says how many iterations to train.
        network: Counts and times the network.
        train_options: Further ``--cfg-options`` of the training.
        test_options: ``--cfg-options`` of the test.

    Returns:
        The terms, ``iterations``, ``training_seconds``, ``network`` and ``metrics``.

    Raises:
        RuntimeError: A command failed.
    """
    kept = work_dir / 'result.json'
    if kept.exists():
        result = json.loads(kept.read_text())
        if terms.items() <= result.items():
            return result
    threads = int(str(terms['threads']))
    iterations = steps()
    started = time.perf_counter()
    run(
        [
            *('tools/train.py', config, '--no-validate', '--work-dir', str(work_dir)),
            '--cfg-options',
            *train_options,
            f'train_cfg.max_iters={iterations}',
            f'default_hooks.checkpoint.interval={iterations}',
        ],
        work_dir / 'train.log',
        threads,
    )
    seconds = time.perf_counter() - started
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    metrics = work_dir / 'metrics.json'
    test = ['tools/test.py', config, checkpoint, '--work-dir', str(work_dir / 'test')]
    options = ['--cfg-options', *test_options] if test_options else []
    run([*test, '--out', str(metrics), *options], work_dir / 'test.log', threads)
    result = {
        **terms,
        'iterations': iterations,
        'training_seconds': round(seconds, 1),
        'network': network(),
        'metrics': json.loads(metrics.read_text()),
    }
    kept.write_text(json.dumps(result, indent=1) + '\n')
    metric, error = next(iter(result['metrics'].items()))
    print(
        f'{work_dir.name}: {iterations} iterations in {seconds:.0f} s, {metric} '
        f'{error:.2f} mm',
        flush=True,
    )
    return result


def group(results: list[dict], by: str, order: str) -> dict[str, list[dict]]:
    """Results by what they are of, each group in the order of its runs."""
    groups: dict[str, list[dict]] = {}
    for result in sorted(results, key=lambda result: result.get(order, 0)):
        groups.setdefault(result[by], []).append(result)
    return groups


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and, of more than one, standard deviation."""
    mean = f'{statistics.mean(values):.{digits}f}'
    if len(values) < 2:
        return mean
    return f'{mean} ± {statistics.stdev(values):.{digits}f}'


def each(runs: list[dict], name: str) -> str:
    """A number of each run, for a table; '-' where nothing was trained."""
    return ' / '.join(f'{run[name]:.0f}' for run in runs if name in run) or '-'


def page(
    title: str,
    explanation: str,
    header: list[str],
    rows: list[list[str]],
    context: dict[str, str],
) -> str:
    """A page of Markdown: a table, and below it what it was measured with."""
    lines = [f'# {title}', '', explanation, '', f'| {" | ".join(header)} |']
    lines.append('|' + '---|' * len(header))
    lines += [f'| {" | ".join(row)} |' for row in rows]
    lines += ['', *(f'- {name}: {value}' for name, value in context.items()), '']
    return '\n'.join(lines)


def save(
    out: Path, name: str, context: dict[str, str], results: list[dict], text: str
) -> None:
    """Writes ``name``.json and ``name``.md into a folder, and prints the page."""
    (out / f'{name}.json').write_text(
        json.dumps(dict(context=context, results=results), indent=1) + '\n'
    )
    (out / f'{name}.md').write_text(text)
    print('\n' + text)
