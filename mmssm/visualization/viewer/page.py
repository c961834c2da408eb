"""A page as one file: template, style, script, pictures and numbers in one."""

import base64
import hashlib
import html
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path, PurePath
from string import Template
from typing import Any

from mmssm import __version__
from mmssm.utils.whole_files import open_atomically

from .packing import json_in_html

_ASSETS = resources.files(__package__) / 'assets'
_SCRIPTS = ('core.js', 'player.js', 'timeline.js', 'space.js', 'page.js')

IMAGES_PER_SECOND = 2.0
"""How fast images that are no video are shown after one another."""


def write_page(
    path: str | Path,
    title: str,
    scripts: Iterable[str],
    pictures: Iterable[str],
    data: Callable[[], dict[str, Any]],
) -> None:
    """Writes a page whole or not at all, one picture at a time.

    The page's policy (CSP) forbids every request and every script but its own, which
    it knows by its hash: names that were not escaped still could not run.

    Args:
        path: The HTML file; its folder is made if need be.
        title: Heading.
        scripts: Names of the script files of this kind of page, in order.
        pictures: Base64 texts.
        data: Called once all pictures are written: what the scripts read.

    Raises:
        FileNotWrittenError: It could not be written.
    """
    before, after = _asset('page.html').split('$pictures')
    style = _asset('page.css')
    script = '\n'.join(_asset(name) for name in (*_SCRIPTS, *scripts))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    head = Template(before).substitute(
        title=html.escape(title),
        policy=policy,
        generator=f'mmssm {__version__}',
        style=style,
    )
    with open_atomically(path) as file:
        file.write(_encoded(head))
        for picture in pictures:
            file.write(picture.encode('ascii') + b'\n')
        rest = Template(after).substitute(data=json_in_html(data()), script=script)
        file.write(_encoded(rest))


def source_name(source: str) -> str:
    """The last part of a path: pages are passed on, folders are nobody's business."""
    return PurePath(source).name or source


def other_name(model: str, source: str, other_model: str, other_source: str) -> str:
    """What to call the result that a page compares with: what tells it apart."""
    if other_model != model:
        return other_model
    name = source_name(other_source)
    return f'{other_model}, {name}' if name != source_name(source) else 'another run'


def plural(count: int, one: str, many: str) -> str:
    """``1 person``, ``2 people``."""
    return f'{count} {one if count == 1 else many}'


def describe_frames(count: int, fps: float | None, size: tuple[int, int]) -> str:
    """Number of frames, their rate and size, for the line under the title."""
    rate = '' if fps is None else f' at {fps:g} fps'
    return f'{plural(count, "frame", "frames")}{rate} · {size[0]} x {size[1]} pixels'


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding='utf-8')


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _encoded(text: str) -> bytes:
    # a file name may hold bytes that are no UTF-8
    return text.encode('utf-8', 'replace')
