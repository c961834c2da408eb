"""Blocks of code of the pages of README and docs, and their commands.

A block runs in the test as it stands. One that cannot has a comment on the line before
it, which says why::

    <!-- on request: REASON -->     it is run by `make docs-commands` alone
    <!-- not run: REASON -->        it is never run

The commands of these are checked nevertheless: script, options and config are there.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = tuple(
    str(path.relative_to(REPOSITORY))
    for path in (
        REPOSITORY / 'README.md',
        *sorted((REPOSITORY / 'docs').rglob('*.md')),
    )
    if path.relative_to(REPOSITORY).parts[1:2] != ('_build',)
)

_MARK = re.compile(r'<!-- (on request|not run): (\S.*?) -->\s*', re.DOTALL)
_ASSIGNMENT = re.compile(r'[A-Z_]+=\S*')


@dataclass(frozen=True)
class Block:
    """A fenced block, or an indented one.

    Attributes:
        page: The page's path in the repository.
        line: The block's first line, from 1.
        language: What stands behind the fence; ``'indented'`` for an indented block.
        text: What is in it.
        when: ``'always'``, ``'on request'`` or ``'not run'``.
        reason: Why not always.
    """

    page: str
    line: int
    language: str
    text: str
    when: str
    reason: str

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f'{self.page}:{self.line}'


def blocks(page: str, text: str | None = None) -> Iterator[Block]:
    """Yields the blocks of a page, in its order.

    Args:
        page: Path in the repository.
        text: What is on it; read from the file if None.
    """
    if text is None:
        text = (REPOSITORY / page).read_text(encoding='utf-8')
    before = None
    for token in MarkdownIt().parse(text):
        if token.type in ('fence', 'code_block'):
            mark = None
            if before is not None and before.map[1] == token.map[0]:
                mark = _MARK.fullmatch(before.content.strip())
            when, reason = mark.groups() if mark else ('always', '')
            language = token.info.strip() if token.type == 'fence' else 'indented'
            first = token.map[0] + 1
            yield Block(page, first, language, token.content, when, reason)
        before = token if token.type == 'html_block' else None


def commands(text: str) -> list[list[str]]:
    """The commands of a shell block as words, without comments and assignments."""
    found = []
    for line in text.replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        while words and _ASSIGNMENT.fullmatch(words[0]):
            words.pop(0)
        if words:
            found.append(words)
    return found


def filled_in(text: str, values: dict[str, str]) -> str:
    """A block with what a reader has to fill in, such as CONFIG, filled in.

    Args:
        text: The block.
        values: What stands for what; whole words, or whole lines.
    """
    for name, value in values.items():
        text = re.sub(rf'(?<![\w./-]){re.escape(name)}(?![\w./-])', value, text)
    return text
