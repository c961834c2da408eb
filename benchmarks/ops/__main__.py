"""Runs every benchmark of the scans and writes their section of the docs.

    python -m benchmarks.ops [--out DIR] [--docs docs/benchmarks.md]

Each question is a script of this folder and runs in a process of its own; each can be
run alone: ``python -m benchmarks.ops.forward --help``.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks._measure import REPOSITORY, Row, describe_machine, table
from mmssm.ops import _library

QUESTIONS = (
    'forward',
    'training',
    'threads',
    'isa',
    'precision',
    'small',
    'paths',
    'deform',
    'posemamba',
    'footprint',
)
BEGIN, END = '<!-- begin: make bench -->', '<!-- end: make bench -->'


def main(argv: list[str]) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.ops',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=REPOSITORY / 'work_dirs' / 'benchmark-ops',
        help='folder for one JSON file per question',
    )
    parser.add_argument('--docs', type=Path, help='page whose section is rewritten')
    parser.add_argument(
        '--seconds', type=float, default=2.0, help='time for each comparison'
    )
    args = parser.parse_args(argv)
    start = time.perf_counter()
    results = [ask(question, args.out, args.seconds) for question in QUESTIONS]
    used, usable = _library.cpu_isa()
    context = describe_machine() | {'kernels': f'{used} (of {usable})'}
    text = section(results, context, time.perf_counter() - start)
    if args.docs:
        page = args.docs.read_text()
        args.docs.write_text(replace_section(page, text))
    print(text)


def ask(question: str, out: Path, seconds: float) -> dict:
    """Runs one script; returns what it wrote."""
    target = out.resolve() / f'{question}.json'
    subprocess.run(
        [sys.executable, '-m', f'benchmarks.ops.{question}',
         '--out', str(target), '--seconds', str(seconds)],
        cwd=REPOSITORY,
        check=True,
    )  # fmt: skip
    return json.loads(target.read_text())


def section(results: list[dict], context: dict[str, str], seconds: float) -> str:
    """Returns the section of the docs, with a table for each question."""
    rows = [row for result in results for row in result['rows']]
    gates = [row['met'] for row in rows if row['gate'] is not None]
    lines = [
        '`make bench` measures this and writes it here: '
        f'{sum(met in ("aim", "yes") for met in gates)} of {len(gates)} gates met, '
        f'in {seconds / 60:.1f} minutes.',
        '',
        *(f'- {name}: {value}' for name, value in context.items()),
        f'- threads: {results[0]["context"]["threads"]} unless said',
        '',
        'Shapes are (N, groups x channels, L), d_state 16 unless said; float32, '
        'softplus, bias and D. Variants are timed in turns within one process, and '
        'the shortest time of each counts. *exp* is `torch.exp` over as many elements '
        'as the scan has states to update, the yardstick of the machine.',
    ]
    for result in results:
        table_rows = [
            Row(**{k: v for k, v in row.items() if k != 'met'})
            for row in result['rows']
        ]
        lines += ['', f'### {result["title"]}', '', table(table_rows)]
    return '\n'.join(lines)


def replace_section(page: str, text: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """Puts a text between the marks of a page.

    Raises:
        ValueError: If the page does not have each mark once, in order.
    """
    begin_mark, end_mark = marks
    before, begin, rest = page.partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end or begin_mark in rest or end_mark in after:
        raise ValueError(
            f'the page must have {begin_mark} and then {end_mark}, once each'
        )
    return f'{before}{begin_mark}\n\n{text}\n\n{end_mark}{after}'


if __name__ == '__main__':
    main(sys.argv[1:])
