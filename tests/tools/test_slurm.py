import os
import subprocess

import pytest
from helpers.modules import ROOT


@pytest.fixture
def slurm(tmp_path):
    """An srun that writes down its arguments."""
    srun = tmp_path / 'srun'
    srun.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    srun.chmod(0o755)
    environment = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}

    def run(script, *arguments, **variables):
        done = subprocess.run(
            [ROOT / 'tools' / script, *arguments],
            env={**environment, **variables},
            capture_output=True,
            text=True,
        )
        said = tmp_path / 'arguments'
        return done, said.read_text().splitlines() if said.exists() else []

    return run


@pytest.mark.parametrize(
    ('script', 'tool', 'fourth'),
    [
        ('slurm_train.sh', 'train.py', ['--work-dir', 'fourth one']),
        ('slurm_test.sh', 'test.py', ['fourth one']),
    ],
)
def test_arguments_go_to_srun_and_the_tool(slurm, script, tool, fourth):
    done, arguments = slurm(
        script,
        *('gpus', 'job', 'config.py', 'fourth one', '--cfg-options', 'a=b c'),
        GPUS='16',
        SRUN_ARGS='--exclusive --mem=4G',
    )
    assert done.returncode == 0, done.stderr
    assert arguments[:3] == ['-p', 'gpus', '--job-name=job']
    assert '--ntasks=16' in arguments and '--gres=gpu:8' in arguments
    assert arguments[arguments.index('--exclusive') + 1] == '--mem=4G'
    start = arguments.index('python')
    assert arguments[start:] == [
        'python',
        '-u',
        str(ROOT / 'tools' / tool),
        'config.py',
        *fourth,
        '--launcher',
        'slurm',
        '--cfg-options',
        'a=b c',
    ]


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_too_few_arguments_are_told(slurm, script):
    done, arguments = slurm(script, 'gpus', 'job', 'config.py')
    assert done.returncode == 2 and not arguments
    assert 'PARTITION JOB_NAME CONFIG' in done.stderr
