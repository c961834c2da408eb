"""Links from the pages to files of the repository that are not pages.

Pages link to such files by relative paths, ``../mmssm/ops/scan_paths.py``, which a
view of the repository follows. On the site the same link leads

* to a page of the site, where one shows that file: a page whose whole text is one
  link to a Markdown file outside the folder of the pages shows that file;
* else to a page with the file's text, or the names in a folder, made here.

A link to something that does not exist is left to Sphinx, which warns.
"""

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = re.compile(r'\s*\[[^\]]*\]\((\.\./[^)\s]+\.md)\)\s*')
FENCE = re.compile(r'^(`{3,}|~{3,}).*?^\1[`~]*\s*?$', re.MULTILINE | re.DOTALL)
logger = logging.getLogger(__name__)

RELATIVE_LINK = re.compile(r'(\]\()(?![#/]|[a-z][a-z+.-]*:)([^)\s#]+)')


def shown_files(sources: Path) -> dict[Path, str]:
    """Returns the files outside ``sources`` that pages show, with these pages' names.

    Args:
        sources: Folder of the pages.
    """
    shown = {}
    for page in sources.rglob('*.md'):
        match = STAND_IN.fullmatch(page.read_text(encoding='utf-8'))
        if match:
            file = Path(os.path.normpath(page.parent / match[1]))
            shown[file] = page.relative_to(sources).with_suffix('').as_posix()
    return shown


def rebased(text: str, old: Path, new: Path) -> str:
    """Returns Markdown with its relative links, said from another folder.

    Args:
        text: Markdown; its blocks of code are left alone.
        old: Folder from which the links go now.
        new: Folder from which they shall go.
    """

    def move(match: re.Match) -> str:
        return match[1] + os.path.relpath(old / match[2], new)

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [RELATIVE_LINK.sub(move, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return ''.join([*parts, RELATIVE_LINK.sub(move, text[end:])])


def show_file(app: Sphinx, docname: str, source: list[str]) -> None:
    """Puts the file that a page stands in for in the page's place."""
    match = STAND_IN.fullmatch(source[0])
    if match is None:
        return
    folder = Path(app.env.doc2path(docname)).parent
    file = Path(os.path.normpath(folder / match[1]))
    if file.is_file():
        app.env.note_dependency(str(file))
        source[0] = rebased(file.read_text(encoding='utf-8'), file.parent, folder)


class RepositoryLinks(SphinxTransform):
    """Finds the links that lead out of the pages' folder to what exists."""

    default_priority = 8

    def apply(self, **kwargs: Any) -> None:
        """Replaces them by links to pages, or to pages that will be made."""
        shown = shown_files(Path(self.env.srcdir))
        wanted = files_of(self.env).setdefault(self.env.docname, set())
        kinds = (addnodes.download_reference, addnodes.pending_xref)
        for node in list(self.document.findall(lambda n: isinstance(n, kinds))):
            path = self._target(node)
            if path is None:
                continue
            if path in shown:
                link = addnodes.pending_xref(
                    '',
                    *node.children,
                    refdomain='doc',
                    reftarget=shown[path],
                    reftargetid=node.get('reftargetid'),
                    refdoc=self.env.docname,
                    reftype='myst',
                    refexplicit=True,
                )
            else:
                name = path.relative_to(ROOT).as_posix()
                wanted.add(name)
                link = nodes.reference('', '', *node.children, repository_file=name)
            link.source, link.line = node.source, node.line
            node.replace_self(link)

    def _target(self, node: nodes.Element) -> Path | None:
        """The file or folder outside the pages' folder that a link names."""
        if node.get('reftype') != 'myst':
            return None
        target = node['reftarget'].partition('#')[0]
        if node.get('refdomain') == 'doc':  # a name of a page, without its suffix
            target += '.md'
            folder = Path(self.env.srcdir)
        else:
            folder = Path(self.env.doc2path(self.env.docname)).parent
        path = Path(os.path.normpath(folder / target))
        if path.is_relative_to(self.env.srcdir) or not path.exists():
            return None
        if not path.is_relative_to(ROOT):
            logger.warning(
                'a link leads out of the repository: %s', path, location=node
            )
            return None
        return path


def files_of(env: BuildEnvironment) -> dict[str, set[str]]:
    """The files that each page links to, kept with Sphinx's own knowledge of pages."""
    if not hasattr(env, 'repository_files'):
        env.repository_files = {}
    return env.repository_files


def forget_page(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forgets the links of a page that is read again or gone."""
    files_of(env).pop(docname, None)


def page_of(file: str) -> str:
    """Name of the page that shows a file of the repository."""
    return f'repository/{file}'


def address(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Gives the links their addresses, seen from their page."""
    for node in doctree.findall(nodes.reference):
        if 'repository_file' in node:
            page = page_of(node['repository_file'])
            node['refuri'] = app.builder.get_relative_uri(docname, page)


def make_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Makes the pages of what is linked, and of all that linked folders hold."""
    names = set().union(*files_of(app.env).values())
    for path in sorted({one for name in names for one in _with_contents(ROOT / name)}):
        name = path.relative_to(ROOT).as_posix()
        body = _folder(path) if path.is_dir() else _text(app, path)
        body = f'<h1><code>{html.escape(name)}</code></h1>{body}'
        yield page_of(name), {'title': name, 'body': body, 'parents': []}, 'page.html'


def _with_contents(path: Path) -> Iterator[Path]:
    yield path
    for child in _contents(path) if path.is_dir() else ():
        yield from _with_contents(child)


def _contents(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.name[0] not in '._')


def _text(app: Sphinx, path: Path) -> str:
    try:
        lexer = get_lexer_for_filename(path.name).aliases[0]
    except ClassNotFound:
        lexer = TextLexer.aliases[0]
    text = path.read_text(encoding='utf-8')
    return app.builder.highlighter.highlight_block(text, lexer, linenos=False)


def _folder(path: Path) -> str:
    names = [html.escape(child.name) for child in _contents(path)]
    place = html.escape(path.name)
    links = (f'<a href="{place}/{name}.html">{name}</a>' for name in names)
    return f'<ul>{"".join(f"<li>{link}</li>" for link in links)}</ul>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Joins Sphinx."""
    app.connect('source-read', show_file)
    app.connect('env-purge-doc', forget_page)
    app.connect('doctree-resolved', address)
    app.connect('html-collect-pages', make_pages)
    app.add_transform(RepositoryLinks)
    return {'version': '1', 'parallel_read_safe': False, 'parallel_write_safe': True}
