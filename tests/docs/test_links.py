"""Links of all Markdown files of the repository, as a view of it follows them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.modules import ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLDERS = ('benchmarks', 'configs', 'demo', 'docs', 'mmssm', 'tests', 'tools')
FILES = sorted(
    path
    for path in (
        *ROOT.glob('*.md'),
        *(file for folder in FOLDERS for file in (ROOT / folder).rglob('*.md')),
    )
    if not path.is_relative_to(ROOT / 'mmssm' / '.mim')
)


def tokens(path: Path) -> Iterator[Token]:
    for token in MarkdownIt().enable('table').parse(path.read_text(encoding='utf-8')):
        yield token
        yield from token.children or ()


def anchors(path: Path) -> set[str]:
    """The names of a page's headings, as repositories and MyST make them."""
    found, previous = set(), ''
    for token in tokens(path):
        if previous == 'heading_open':
            plain = ''.join(child.content for child in token.children)
            found.add(re.sub(r'[^\w\- ]', '', plain.lower()).replace(' ', '-'))
        previous = token.type
    return found


def fault(path: Path, target: str) -> str | None:
    name, _, anchor = target.partition('#')
    file = path.parent / name if name else path
    if not file.exists():
        return f'{target} is not there'
    if anchor and file.suffix == '.md' and anchor not in anchors(file):
        return f'{target}: there is no such heading'
    return None


def test_there_are_pages() -> None:
    assert ROOT / 'README.md' in FILES and len(FILES) > 40


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    targets = {
        str(token.attrs.get('href') or token.attrs.get('src'))
        for token in tokens(path)
        if token.type in ('link_open', 'image')
    }
    inside = (target for target in targets if not re.match(r'[a-z]+:', target))
    faults = [found for target in inside if (found := fault(path, target))]
    assert not faults


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('# A `b`, c\n')
    assert fault(page, 'page.md#a-b-c') is None
    assert fault(page, '#a-b-d') == '#a-b-d: there is no such heading'
    assert fault(page, 'other.md') == 'other.md is not there'
