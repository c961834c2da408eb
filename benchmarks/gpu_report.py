"""Writes what GPU checks have measured into the docs.

    python -m benchmarks.gpu_report docs/benchmarks.md DIR [DIR ...]

Each folder is the output of one call of ``tools/gpu_check.sh``; of a benchmark that is
in several, the last counts. Results of a dry run are refused.
"""

import argparse
import sys
from pathlib import Path

from benchmarks._gpu import DRY_RUN, read_results
from benchmarks.gpu_check import RESULTS, section_lines
from benchmarks.ops.__main__ import replace_section

MARKS = '<!-- begin: gpu check -->', '<!-- end: gpu check -->'


def collect(folders: list[Path]) -> dict[str, dict]:
    """Returns the benchmarks of all folders, by name.

    Raises:
        ValueError: If a folder has none, or those of a dry run.
    """
    found: dict[str, dict] = {}
    for folder in folders:
        results = read_results(folder / RESULTS)
        if not results:
            raise ValueError(
                f'{folder} has no {RESULTS}; give the output folder of '
                'tools/gpu_check.sh, whose stages bench and models write it'
            )
        for name, section in results.items():
            if section['context']['device'] == DRY_RUN:
                raise ValueError(
                    f'{folder / RESULTS} is of a dry run on a CPU ({name})'
                )
        found |= results
    return found


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.gpu_report',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('page', type=Path, help='page whose section is rewritten')
    parser.add_argument('folders', type=Path, nargs='+', metavar='DIR')
    args = parser.parse_args(argv)
    try:
        sections = collect(args.folders)
    except ValueError as error:
        parser.error(str(error))
    blocks = ['\n'.join(section_lines(section, '###')) for section in sections.values()]
    page = args.page.read_text()
    args.page.write_text(replace_section(page, '\n\n'.join(blocks), MARKS))
    return 0


if __name__ == '__main__':
    sys.exit(main())
