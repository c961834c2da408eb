"""Tests of finding, building, loading and reporting the compiled library."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from helpers import fresh
from helpers.compilers import hasty

import mmssm
from mmssm.ops import _build, _library
from mmssm.ops.__main__ import main

ROOT = Path(mmssm.__file__).resolve().parents[1]

SCAN = """
    import torch, warnings
    from mmssm.ops import selective_scan
    one = torch.ones(1, 1, 3)
    y = selective_scan(one, one, -torch.ones(1, 1), one, one)
    print(y.shape)
"""


def run(code, cache, **environment):
    """Runs code in a process that sees an own, empty cache of libraries."""
    environment = {'XDG_CACHE_HOME': str(cache), **environment}
    return fresh.run(code, path=[cache / 'code'], cwd=cache, **environment)


@pytest.fixture
def without_library(tmp_path):
    """A copy of the ops without a library, and an empty cache."""
    target = tmp_path / 'code' / 'mmssm'
    target.mkdir(parents=True)
    shutil.copy(ROOT / 'mmssm' / '__init__.py', target)
    shutil.copytree(
        ROOT / 'mmssm' / 'ops',
        target / 'ops',
        ignore=shutil.ignore_patterns('*.so', '__pycache__'),
    )
    return tmp_path


def test_falls_back_with_one_warning(without_library):
    done = run(SCAN + '    selective_scan(one, one, -one[0, :, :1], one, one)\n',
               without_library)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('RuntimeWarning') == 1
    assert 'python -m mmssm.ops build' in done.stderr


def test_required_kernels_are_an_error(without_library):
    done = run(SCAN, without_library, MMSSM_REQUIRE_NATIVE='1')
    assert done.returncode == 1
    assert 'MMSSM_REQUIRE_NATIVE is set: the kernels are not built' in done.stderr
    done = run(
        SCAN, without_library, MMSSM_REQUIRE_NATIVE='1', MMSSM_BACKEND='reference'
    )
    assert done.returncode == 0, done.stderr
    assert 'Warning' not in done.stderr


def test_ops_import_torch_alone(without_library):
    """With every other distribution of the environment hidden."""
    done = run(
        """
        import sys, importlib.abc
        ALLOWED = {'mmssm', 'torch', 'functorch', 'torchgen'}
        # What torch itself imports if it is there.
        OF_TORCH = {'numpy', 'typing_extensions', 'sympy', 'mpmath', 'networkx',
                    'jinja2', 'markupsafe', 'filelock', 'fsspec', 'setuptools'}

        class Hide(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                top = name.partition('.')[0]
                known = sys.stdlib_module_names | ALLOWED | OF_TORCH
                if top not in known and not top.startswith('_'):
                    raise ModuleNotFoundError(name)

        import torch
        before = set(sys.modules)
        sys.meta_path.insert(0, Hide())
        import mmssm.ops
        new = {name.partition('.')[0] for name in set(sys.modules) - before}
        print(sorted(new - sys.stdlib_module_names))
        """,
        without_library,
    )
    assert done.returncode == 0, done.stderr
    # Neither MMEngine nor anything else, and not the registries of mmssm.
    assert set(eval(done.stdout)) <= {'mmssm', 'torch'}


def test_ops_do_not_import_the_registry(without_library):
    done = run(
        "import sys, mmssm.ops; print('mmssm.registry' in sys.modules)",
        without_library,
    )
    assert done.stdout.strip() == 'False', done.stderr


def _fake_library(path, stamp):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'\0\1' + f'mmssm-stamp:{stamp}:'.encode() + b'\0')


@pytest.mark.parametrize(
    ('stamp', 'message'),
    [
        ('sources=0123 torch=2.0', 'was built from other sources'),
        (None, 'is no library of mmssm'),
        (f'sources={_build.source_hash()} torch=2.0', 'cannot be loaded'),
    ],
)
def test_files_that_are_not_loaded(tmp_path, monkeypatch, stamp, message):
    path = tmp_path / _build.LIBRARY
    if stamp is None:
        path.write_bytes(b'nothing')
    else:
        _fake_library(path, stamp)
    monkeypatch.setattr(_library, '_loaded', _library._Loaded())
    monkeypatch.setattr(_library, 'candidates', lambda: (path, tmp_path / 'none'))
    assert not _library.load()
    assert message in _library.obstacle('cpu')
    assert 'python -m mmssm.ops build' in _library.obstacle('cpu')
    assert _library.path() is None


def test_what_is_not_there_is_not_built(tmp_path, monkeypatch):
    monkeypatch.setattr(_library, '_loaded', _library._Loaded())
    monkeypatch.setattr(_library, 'candidates', lambda: (tmp_path / 'none',))
    assert not _library.load()
    assert _library.obstacle('cpu').startswith('the kernels are not built')


@pytest.mark.parametrize(('cuda', 'used'), [(None, 0), ('13.0', 1)])
def test_kernels_for_cuda_are_preferred(tmp_path, monkeypatch, cuda, used):
    """Those in the cache, where the toolkit came after the installation."""
    paths = tmp_path / 'installed', tmp_path / 'cache', tmp_path / 'none'
    stamp = _build.stamp('2.11.0')
    states = 'skipped, no nvcc', 'CUDA 13.0 for 9.0'
    for path, state in zip(paths[:2], states, strict=True):
        path.write_text(f'mmssm-stamp:{stamp}: mmssm-cuda:{state}:')
    monkeypatch.setattr(torch.version, 'cuda', cuda)
    monkeypatch.setattr(_library, '_loaded', _library._Loaded())
    monkeypatch.setattr(_library, '_load', lambda path: None)
    monkeypatch.setattr(_library, 'candidates', lambda: paths)
    assert _library.load()
    assert _library.path() == paths[used]


def test_loaded_library_has_the_stamp_of_its_sources():
    path = _library.path()
    if path is None:
        pytest.skip(_library.obstacle('cpu'))
    assert f'sources={_build.source_hash()}' in _library.read_stamp(path)
    assert _library.load()


def test_checkpoint_interval_is_the_one_of_the_kernels():
    from mmssm.ops._native import CHECKPOINT_STEPS

    header = (_build.SOURCES / 'common' / 'scan.h').read_text()
    assert f'kCheckpointSteps = {CHECKPOINT_STEPS};' in header


def test_report(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert torch.__version__ in said
    assert _build.source_hash() in said
    assert str(_build.cache_folder(torch.__version__)) in said
    assert 'cpu:' in said


def test_report_of_what_is_missing(capsys, monkeypatch):
    from mmssm.ops import _backend

    monkeypatch.setattr(_library, '_loaded', _library._Loaded(None, 'no luck'))
    monkeypatch.setattr(_backend, '_native_required', True)
    main(['info'])
    said = capsys.readouterr().out
    assert 'reference: no luck' in said
    assert 'MMSSM_REQUIRE_NATIVE is set' in said


def test_build_without_a_compiler(monkeypatch, capsys):
    monkeypatch.setenv('PATH', '')
    monkeypatch.delenv('CXX', raising=False)
    assert main(['build']) == 1
    assert 'no C++ compiler found (looked for g++' in capsys.readouterr().err
    monkeypatch.setenv('CXX', 'my-compiler -m64')
    with pytest.raises(_build.BuildError, match='CXX=my-compiler -m64'):
        _build.find_compiler()


def test_build_with_a_compiler_that_fails(monkeypatch, tmp_path):
    compiler = tmp_path / 'broken'
    compiler.write_text('#!/bin/sh\necho no such luck >&2\nexit 3\n')
    compiler.chmod(0o755)
    monkeypatch.setenv('CXX', str(compiler))
    with pytest.raises(_build.BuildError, match='no such luck'):
        _build.build(tmp_path / 'out')
    assert list((tmp_path / 'out').iterdir()) == []


def test_build_puts_the_library_in_place(monkeypatch, tmp_path):
    """With a compiler that only writes the stamp it is given."""
    compiler = tmp_path / 'quick'
    compiler.write_text(
        f'#!{sys.executable}\n'
        'import sys\n'
        "target = sys.argv[sys.argv.index('-o') + 1]\n"
        "stamp = [a for a in sys.argv if a.startswith('-DMMSSM_STAMP=')]\n"
        "objects = [a for a in sys.argv if a.endswith('.o') and a != target]\n"
        'data = b"".join(open(o, "rb").read() for o in objects)\n'
        'data += b"".join(b"mmssm-stamp:" + s[15:-1].encode() + b":" for s in stamp)\n'
        'open(target, "wb").write(data)\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv('CXX', str(compiler))
    path = _build.build(tmp_path / 'deep' / 'out')
    assert [path] == list((tmp_path / 'deep' / 'out').iterdir())
    assert _library.read_stamp(path) == _build.stamp(torch.__version__)


def test_old_torch_and_windows(monkeypatch):
    with pytest.raises(_build.BuildError, match=r'need torch >= 2.11, found 2.4.1'):
        _build._check_platform('2.4.1')
    monkeypatch.setattr(sys, 'platform', 'win32')
    with pytest.raises(_build.BuildError, match='Windows'):
        _build._check_platform('2.13.0')


@pytest.mark.slow
def test_builds_and_loads_in_a_fresh_process(without_library):
    if shutil.which('g++') is None:
        pytest.skip('no g++')
    done = run(
        'import mmssm.ops.__main__ as m, sys; sys.exit(m.main(["build"]))',
        without_library,
        CXX=str(hasty(without_library)),
    )
    assert done.returncode == 0, done.stderr
    done = run(SCAN, without_library, MMSSM_REQUIRE_NATIVE='1')
    assert done.returncode == 0, done.stderr
