"""What the host does without us, found out once, in a process of its own."""

import json
from pathlib import Path

import pytest
from helpers import fresh


@pytest.fixture(scope='session')
def bare_host(tmp_path_factory) -> dict[str, str | None]:
    """What each probe of ``bare_host.py`` raised, by its name."""
    probes = Path(__file__).with_name('bare_host.py').read_text()
    result = fresh.run(probes, cwd=tmp_path_factory.mktemp('bare_host'))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])
