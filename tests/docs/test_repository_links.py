"""Links of the pages to files of the repository, on the site."""

import importlib
import io
from pathlib import Path
from types import ModuleType

import pytest
from helpers.modules import ROOT

pytest.importorskip('myst_parser', reason='`make docs` installs it')

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

EXTENSION = ROOT / 'docs' / '_extensions' / 'repository_links.py'


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXTENSION.parent))
    return importlib.import_module('repository_links')


def build(
    extension: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    root: Path,
    pages: dict[str, str],
) -> str:
    """Builds a site of pages in ``root/docs`` and returns the warnings."""
    monkeypatch.setattr(extension, 'ROOT', root)
    sources = root / 'docs'
    sources.mkdir()
    for name, text in pages.items():
        (sources / name).write_text(text)
    warnings = io.StringIO()
    with docutils_namespace():
        app = Sphinx(
            sources,
            None,
            root / 'site',
            root / 'doctrees',
            'html',
            confoverrides={
                'extensions': ['myst_parser', 'repository_links'],
                'html_theme': 'basic',
            },
            status=None,
            warning=warnings,
        )
        app.build()
    return warnings.getvalue()


def test_files_and_folders_get_pages(extension, monkeypatch, tmp_path):
    (tmp_path / 'code').mkdir()
    (tmp_path / 'code' / 'one.py').write_text('x = "<b>"\n')
    (tmp_path / 'code' / 'NOTICE').write_text('free\n')
    text = '# A\n\n[it](../code/one.py) [its folder](../code) [more](../code/NOTICE)\n'
    assert build(extension, monkeypatch, tmp_path, {'index.md': text}) == ''
    page = (tmp_path / 'site' / 'index.html').read_text()
    for name in ('code/one.py', 'code', 'code/NOTICE'):
        assert f'href="repository/{name}.html"' in page
    shown = (tmp_path / 'site' / 'repository' / 'code' / 'one.py.html').read_text()
    assert '&lt;b&gt;' in shown and '<b>' not in shown
    folder = (tmp_path / 'site' / 'repository' / 'code.html').read_text()
    assert '<a href="code/one.py.html">one.py</a>' in folder


def test_a_page_shows_a_file_with_its_links(extension, monkeypatch, tmp_path):
    (tmp_path / 'code').mkdir()
    (tmp_path / 'code' / 'one.py').write_text('x = 1\n')
    readme = '# Read me\n\n[one](one.py), [back](../docs/index.md)\n'
    (tmp_path / 'code' / 'README.md').write_text(readme)
    pages = {
        'index.md': '# A\n\n[r](../code/README.md)\n\n```{toctree}\nshown\n```\n',
        'shown.md': '[code/README.md](../code/README.md)\n',
    }
    assert build(extension, monkeypatch, tmp_path, pages) == ''
    site = tmp_path / 'site'
    assert 'href="shown.html"' in (site / 'index.html').read_text()
    shown = (site / 'shown.html').read_text()
    assert 'Read me' in shown
    assert 'href="repository/code/one.py.html"' in shown
    assert 'href="index.html"' in shown


@pytest.mark.parametrize(
    'link', ['../code/none.py', '../none.md', 'none.md', '#none', '../../outside.py']
)
def test_a_broken_link_is_a_warning(extension, monkeypatch, tmp_path, link):
    (tmp_path / 'outside.py').write_text('')
    root = tmp_path / 'root'
    root.mkdir()
    pages = {'index.md': f'# A\n\n[it]({link})\n'}
    warnings = build(extension, monkeypatch, root, pages)
    assert 'none' in warnings or 'outside' in warnings


def test_links_are_said_from_another_folder(extension):
    text = '[a](b.py#c) ![d](e/f.png) [g](https://h.i/j) [k](#l)\n```\n[m](n)\n```\n'
    old, new = Path('/one/two'), Path('/one/three')
    assert extension.rebased(text, old, new) == (
        '[a](../two/b.py#c) ![d](../two/e/f.png) [g](https://h.i/j) [k](#l)\n'
        '```\n[m](n)\n```\n'
    )


def test_pages_that_stand_in_name_files_that_are_there(extension):
    shown = extension.shown_files(ROOT / 'docs')
    assert ROOT / 'CHANGELOG.md' in shown
    readmes = {*(ROOT / 'configs').rglob('README.md')}
    assert readmes <= set(shown)
    assert all(path.is_file() for path in shown)
