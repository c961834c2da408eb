"""The import rules of ``docs/architecture.md``, read off the source."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'mmssm'

# room -> rooms of mmssm that it may import besides itself
ALLOWED = {
    'ops': set(),
    'geometry': {'utils'},
    'structures': set(),
    'utils': {'ops'},
    'compat': {'utils'},
    'models/layers': {'ops', 'geometry', 'structures'},
    'models': {'models/layers', 'ops', 'geometry', 'structures', 'registry'},
    'codecs': {'structures', 'geometry', 'registry'},
    'datasets': {'structures', 'geometry', 'utils', 'registry'},
    'evaluation': {'structures', 'geometry', 'utils', 'registry'},
    'visualization': {'structures', 'geometry', 'utils', 'inputs', 'registry'},
    'inputs': {'structures', 'geometry', 'utils', 'registry'},
}
LATE_ROOMS = {'engine', 'apis', 'cli'}


def room_of(module: str) -> str:
    """Room of a dotted module name below ``mmssm``."""
    parts = module.split('.')[1:]
    if not parts:
        return ''
    return 'models/layers' if parts[:2] == ['models', 'layers'] else parts[0]


def imported_modules(path: Path) -> set[str]:
    """Absolute names of the mmssm modules that a file imports."""
    module = '.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts)
    package = module.removesuffix('.__init__').split('.')
    if path.name != '__init__.py':
        package = package[:-1]
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = '.'.join([*base, *([node.module] if node.module else [])])
            names |= {f'{stem}.{alias.name}' for alias in node.names}
    return {name for name in names if name.split('.')[0] == 'mmssm'}


def room_of_file(path: Path) -> str:
    module = '.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts)
    return room_of(module.removesuffix('.__init__'))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


SOURCES = sorted(PACKAGE.rglob('*.py'))
RULED = [path for path in SOURCES if room_of_file(path) in ALLOWED]
OUTSIDE_COMPAT = [
    path for path in SOURCES if room_of_file(path) not in {'compat', 'registry'}
]


@pytest.mark.parametrize('path', RULED, ids=name_of)
def test_file_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of_file(path)
    seen = {room_of(name) for name in imported_modules(path)}
    forbidden = seen - ALLOWED[room] - {room, '', '__version__'}
    assert not forbidden, f'{path.name} ({room}) imports {sorted(forbidden)}'


def test_every_room_has_a_rule() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if (p / '__init__.py').exists()}
    assert rooms <= set(ALLOWED) | LATE_ROOMS


@pytest.mark.parametrize('path', OUTSIDE_COMPAT, ids=name_of)
def test_compat_is_imported_by_the_registry_alone(path: Path) -> None:
    assert 'compat' not in {room_of(name) for name in imported_modules(path)}


def test_ops_imports_torch_alone() -> None:
    host = {'mmengine', 'mmcv', 'mmpose', 'mmdet', 'numpy', 'scipy', 'cv2'}
    for path in (PACKAGE / 'ops').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            assert not host & {name.split('.')[0] for name in names}, path
