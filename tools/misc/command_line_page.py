"""Brings the help texts in docs/command_line.md up to date.

    python tools/misc/command_line_page.py

Between ``<!-- help: NAME -->`` and ``<!-- end -->`` stands what `mmssm NAME --help`
prints; all else is written by hand.
"""

import os
import re
from pathlib import Path

from mmssm.cli import COMMANDS, command_parser

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'command_line.md'


def updated(text: str) -> str:
    """The page with the help as it is now.

    Raises:
        ValueError: A command has no place in the page.
    """
    os.environ['COLUMNS'] = '80'
    for name in COMMANDS:
        block = f'\n\n```text\n{command_parser(name).format_help()}```\n\n'
        text, count = re.subn(
            rf'(<!-- help: {name} -->).*?(<!-- end -->)',
            lambda match, block=block: match[1] + block + match[2],
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise ValueError(f'{PAGE}: expected one "<!-- help: {name} -->"')
    return text


def shown_help(text: str, name: str) -> str:
    """The help of a command as the page shows it."""
    return text.partition(f'<!-- help: {name} -->')[2].partition('<!-- end -->')[0]


def main() -> None:
    """Rewrites the page."""
    PAGE.write_text(updated(PAGE.read_text()))


if __name__ == '__main__':
    main()
