"""What README and docs show runs: commands, and blocks of Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import fresh, page_process, page_scenery, pages
from helpers.pages import PAGES, REPOSITORY, blocks

LANGUAGES = {'bash', 'python', 'text', 'indented'}
SHELLS = {'bash': ('bash', '-euo', 'pipefail'), 'python': (sys.executable,)}
COMMANDS = ('$ ', 'make ', 'mmssm ', 'pip ', 'python ', 'tools/')
LINKED = (
    *('.venv', 'Makefile', 'benchmarks', 'configs', 'demo', 'mmssm'),
    *('model-index.yml', 'tests', 'tools'),
)
RUN = 'import sys; from helpers.page_process import main; main(*sys.argv[1:])'
PREPARE = 'import sys; from helpers.page_scenery import prepare; prepare(sys.argv[1])'
IMPORTED = ('mmssm.registry', 'mmssm.apis', 'mmssm.cli', 'helpers.page_process')


def with_blocks(*when):
    """Pages that have commands or Python which runs at these times."""
    return [
        page
        for page in PAGES
        if any(
            block.language in ('bash', 'python') and block.when in when
            for block in blocks(page)
        )
    ]


@pytest.fixture
def folder(tmp_path):
    """A working directory that looks like a checkout."""
    for name in LINKED:
        if (REPOSITORY / name).exists():
            (tmp_path / name).symlink_to(REPOSITORY / name)
    return tmp_path


def test_every_block_says_what_it_is():
    wrong = []
    for page in PAGES:
        for block in blocks(page):
            if block.language not in LANGUAGES:
                wrong.append(f'{block.place}: the block has no language')
            shown = block.language in ('text', 'indented')
            if shown and block.text.startswith(COMMANDS[1:]):
                wrong.append(f'{block.place}: commands belong into a ```bash block')
    assert not wrong


@pytest.mark.parametrize('page', with_blocks('always', 'on request', 'not run'))
def test_blocks_run(page, folder, tmp_path_factory):
    report = tmp_path_factory.mktemp('report') / 'wrong.json'
    done = fresh.run(
        RUN,
        page,
        report,
        path=[REPOSITORY, REPOSITORY / 'tests'],
        cwd=folder,
        imported=IMPORTED,
        PYTHONPATH=str(REPOSITORY),
        XDG_CACHE_HOME=str(folder / 'cache'),
    )
    assert done.returncode == 0, done.stderr
    wrong = json.loads(report.read_text())
    assert not wrong, '\n'.join(wrong)


@pytest.mark.skipif(
    not os.environ.get('MMSSM_DOCS_COMMANDS'), reason='minutes; make docs-commands'
)
@pytest.mark.parametrize('page', with_blocks('on request'))
def test_long_commands_run(page, folder):
    """As a reader's shell runs them; trainings are cut short."""
    environment = {
        **os.environ,
        'MMSSM_DEMO_STEPS': '8',
        'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        'PYTHONPATH': f'{REPOSITORY}:{REPOSITORY / "tests"}',
        'XDG_CACHE_HOME': str(folder / 'cache'),
    }
    subprocess.run(
        [sys.executable, '-c', PREPARE, page], cwd=folder, env=environment, check=True
    )
    for block in blocks(page):
        if block.when == 'on request':
            text = pages.filled_in(block.text, page_scenery.short_values(page))
            done = subprocess.run(
                [*SHELLS[block.language], '-c', text],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert done.returncode == 0, f'{block.place}\n{done.stdout[-4000:]}'


def test_a_mark_belongs_to_the_block_below_it():
    text = """
<!-- not run: takes
a day -->
```bash
make it
```

<!-- on request: minutes -->

```bash
make that
```

```bash
<!-- not run: inside -->
```

<!-- not run: -->
```python
run()
```
"""
    found = list(blocks('page.md', text))
    assert [(block.when, block.reason) for block in found] == [
        ('not run', 'takes\na day'),
        *[('always', '')] * 3,
    ]
    assert [block.line for block in found] == [4, 10, 14, 19]


def test_commands_are_told_apart():
    text = """
# nothing
CXX=g++ A_B= make it   # and why
python a.py 'b c' \\
    --d e
"""
    assert pages.commands(text) == [
        ['make', 'it'],
        ['python', 'a.py', 'b c', '--d', 'e'],
    ]


def test_words_in_capitals_are_filled_in():
    values = {'CONFIG': 'a.py', 'make it': 'make -n it'}
    text = 'x CONFIG --my-CONFIG CONFIGS\nmake it\nmake it-all'
    assert pages.filled_in(text, values) == (
        'x a.py --my-CONFIG CONFIGS\nmake -n it\nmake it-all'
    )


@pytest.mark.parametrize(
    'words',
    [
        'mmssm lift a.mp4 --outt b',
        'mmssm lfit a.mp4',
        'mmssm convert mano a.pkl',
        'mmssm train no-such-model',
        'python tools/train.py configs/no_such.py',
        'python tools/no_such.py',
        'python -m mmssm.ops bild',
        'make no-such-target',
        'tools/no_such.sh',
        'tools/dist_test.sh a.py 2',
        'ls',
    ],
)
def test_wrong_commands_are_found(words):
    with pytest.raises(page_process.BlockError):
        page_process.check(words.split())


def test_a_command_that_fails_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ['python', 'tools/model_converters/mano.py', 'a.pkl', 'b.npz']
    page_process.check(words)
    with pytest.raises(page_process.BlockError, match='status 1'):
        page_process.run_apart(words)
