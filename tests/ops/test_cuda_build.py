"""Tests of how the kernels for CUDA are built, and of what they compile to."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch

from mmssm.ops import _build, _library
from mmssm.ops.__main__ import main

# A thread's most registers, by kernel: what decides how many rows a multiprocessor
# works on at a time. The kernels in double, for tests and checks, have all they want.
MOST_REGISTERS = {
    r'ForwardKernelI\w+LayoutIfLi1E\w+ELb0EEE': 64,
    r'ForwardKernelI\w+LayoutIfLi4E\w+ELb1EEE': 168,
    r'ForwardKernelI\w+LayoutIf': 96,
    r'BackwardKernelI\w+LayoutIf': 128,
    r'': 255,
}


def fake_nvcc(
    folder,
    says='Cuda compilation tools, release 13.0, V13.0.88',
    knows=('80', '90', '100', '110', '120'),
):
    """A script, as some machines have in the place of the compiler."""
    nvcc = folder / 'bin' / 'nvcc'
    nvcc.parent.mkdir()
    archs = ' '.join(f'compute_{number}' for number in knows)
    nvcc.write_text(f"""#!/bin/sh
case $1 in
    --list-gpu-arch) echo {archs};;
    --dryrun) echo '#$ LIBRARIES=  "-L{folder}/stubs" "-L{folder}/lib"' >&2;;
    *) echo "{says}";;
esac
""")
    nvcc.chmod(0o755)
    return nvcc


def test_a_toolkit_that_fits(monkeypatch, tmp_path):
    nvcc = fake_nvcc(tmp_path)
    monkeypatch.setenv('CUDA_HOME', str(tmp_path))
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '8.0;9.0+PTX')
    cuda = _build.find_cuda('13.2')
    assert cuda == (None, nvcc, '13.0', ('8.0', '9.0+PTX'))
    assert cuda.describe() == 'CUDA 13.0 for 8.0 9.0+PTX'
    assert cuda.libraries == [tmp_path / 'stubs', tmp_path / 'lib']


def test_toolkits_that_do_not_fit(monkeypatch, tmp_path):
    assert 'built without CUDA' in _build.find_cuda(None).describe()
    monkeypatch.setenv('CUDA_HOME', str(tmp_path))
    assert 'no nvcc was found' in _build.find_cuda('13.0').describe()
    fake_nvcc(tmp_path)
    said = _build.find_cuda('12.8').describe()
    assert 'is of CUDA 13.0, but torch is of CUDA 12.8' in said


def test_a_compiler_without_a_version(tmp_path):
    with pytest.raises(_build.BuildError, match='names no release'):
        _build.nvcc_version(fake_nvcc(tmp_path, says='hello'))


def test_architectures(monkeypatch, tmp_path):
    nvcc = fake_nvcc(tmp_path)
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '8.6 9.0a+PTX')
    archs = _build.cuda_archs(nvcc)
    assert _build._arch_flags(archs) == [
        *('-gencode', 'arch=compute_86,code=sm_86'),
        *('-gencode', 'arch=compute_90a,code=sm_90a'),
        *('-gencode', 'arch=compute_90a,code=compute_90a'),
    ]
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '7.0 7.5 8.0 9.0+PTX')
    assert _build.cuda_archs(nvcc) == ('8.0', '9.0+PTX')
    for wrong in ('Hopper', '9'):
        monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', f'9.0 {wrong}')
        with pytest.raises(_build.BuildError, match=wrong):
            _build.cuda_archs(nvcc)
    monkeypatch.setenv('TORCH_CUDA_ARCH_LIST', '7.5')
    with pytest.raises(_build.BuildError, match=r'names no architecture from 8\.0'):
        _build.cuda_archs(nvcc)


@pytest.mark.parametrize(
    ('knows', 'archs'),
    [
        (('75', '80', '90', '100', '120'), ('8.0', '9.0', '10.0', '12.0+PTX')),
        # CUDA 12.6, which is older than the youngest GPUs.
        (('75', '80', '86', '90'), ('8.0', '9.0+PTX')),
    ],
)
def test_the_usual_architectures_are_what_the_toolkit_knows(
    monkeypatch, tmp_path, knows, archs
):
    monkeypatch.delenv('TORCH_CUDA_ARCH_LIST', raising=False)
    assert _build.cuda_archs(fake_nvcc(tmp_path, knows=knows)) == archs


def test_a_toolkit_older_than_all_architectures(monkeypatch, tmp_path):
    monkeypatch.delenv('TORCH_CUDA_ARCH_LIST', raising=False)
    with pytest.raises(_build.BuildError, match=r'compiles for none of 8\.0, 9\.0'):
        _build.cuda_archs(fake_nvcc(tmp_path, knows=('50', '75')))


@pytest.mark.parametrize('name', ['libcudart.so', 'libcudart.so.13'])
def test_the_library_of_the_toolkit_is_linked_by_its_file(tmp_path, name):
    """Some toolkits leave the name that ``-lcudart`` looks for out."""
    nvcc = fake_nvcc(tmp_path)
    cuda = _build.Cuda(None, nvcc, '13.0')
    assert _build._cuda_link_flags(cuda)[-1] == '-lcudart'
    (tmp_path / 'lib').mkdir()
    (tmp_path / 'lib' / name).touch()
    assert _build._cuda_link_flags(cuda)[-1] == str(tmp_path / 'lib' / name)


# What bindings may use of PyTorch's stable interface: all of it is in the headers of
# the oldest PyTorch that they are compiled with, newer ones have more.
INTERFACE = {
    *('STABLE_TORCH_LIBRARY', 'STABLE_TORCH_LIBRARY_FRAGMENT'),
    *('STABLE_TORCH_LIBRARY_IMPL', 'STD_TORCH_CHECK', 'TORCH_BOX'),
    *('TORCH_ERROR_CODE_CHECK', 'aoti_torch_get_current_cuda_stream'),
    *('torch::headeronly::ScalarType', 'torch::stable::Tensor'),
    *('torch::stable::accelerator::DeviceGuard', 'torch::stable::contiguous'),
    *('torch::stable::new_empty', 'torch::stable::new_zeros'),
    *('torch::stable::parallel_for', 'torch::stable::zero_'),
}


def test_bindings_use_what_the_oldest_pytorch_has():
    name = re.compile(
        r'\b(?:STABLE_TORCH|STD_|TORCH_|aoti_torch)\w+|\btorch::[a-z]+(?:::\w+)+'
    )
    used = {
        found.removesuffix('::Double').removesuffix('::Byte')
        for path in _build.SOURCES.glob('*.*')
        for found in name.findall(path.read_text())
    }
    assert used == INTERFACE


@pytest.mark.slow
def test_bindings_for_cuda_compile(tmp_path):
    """Where torch has no CUDA, nothing else compiles what is for CUDA alone."""
    try:
        compiler = shlex.split(_build.find_compiler())
    except _build.BuildError as error:
        pytest.skip(str(error))
    cuda = _build.Cuda(None, fake_nvcc(tmp_path), '13.0', ('9.0',))
    root = Path(torch.__file__).parent
    commands = _build._compile_commands(
        compiler[0], root, tmp_path, '2.11.0', cuda, lowered=False, emulated=False
    )
    command = commands[tmp_path / 'deform_sample_bindings.o']
    assert '-DMMSSM_CUDA' in command
    done = subprocess.run(
        [*compiler, *command[1:], '-fsyntax-only'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_report_says_what_is_skipped(capsys):
    obstacle = _library.obstacle('cpu')
    if obstacle is not None:
        pytest.skip(obstacle)
    main([])
    line = next(
        s for s in capsys.readouterr().out.splitlines() if s.startswith('for cuda:')
    )
    assert _library.cuda_state() in line
    if _library.obstacle('cuda') is not None:
        assert line.removeprefix('for cuda:').strip().startswith('skipped, ')


def test_a_toolkit_adds_its_files_and_libraries(tmp_path):
    nvcc = fake_nvcc(tmp_path)
    cuda = _build.Cuda(None, nvcc, '13.0', ('9.0',))
    commands = _build._compile_commands(
        'g++', tmp_path, tmp_path, '2.11.0+cu130', cuda, lowered=False, emulated=False
    )
    compiled = [c[-3] for c in commands.values() if c[0] == str(nvcc)]
    assert compiled == [str(_build.SOURCES / name) for name in _build.cuda_sources()]
    assert sum('-DMMSSM_CUDA' in c for c in commands.values()) == 3
    assert '-lcudart' in _build._cuda_link_flags(cuda)


def test_jobs_are_as_many_as_asked_for(monkeypatch):
    monkeypatch.setenv('MAX_JOBS', '3')
    assert _build._num_jobs() == 3
    monkeypatch.delenv('MAX_JOBS')
    assert _build._num_jobs() == os.cpu_count()


def test_no_gpu_is_asked(monkeypatch, tmp_path):
    def fail(*args, **kwargs):
        raise AssertionError('a build must not depend on the GPU that is there')

    for name in ('is_available', 'device_count', 'get_device_capability', 'init'):
        monkeypatch.setattr(torch.cuda, name, fail)
    nvcc = fake_nvcc(tmp_path)
    monkeypatch.setenv('CUDA_HOME', str(tmp_path))
    monkeypatch.delenv('TORCH_CUDA_ARCH_LIST', raising=False)
    cuda = _build.find_cuda('13.0')
    commands = _build._compile_commands(
        'g++', tmp_path, tmp_path, '2.11.0+cu130', cuda, lowered=False, emulated=False
    )
    compiled = [c for c in commands.values() if c[0] == str(nvcc)]
    assert all('arch=compute_80,code=sm_80' in c for c in compiled)
    assert all('arch=compute_120,code=compute_120' in c for c in compiled)


@pytest.mark.slow
@pytest.mark.parametrize('name', _build.cuda_sources())
def test_kernels_compile_without_spills(name, tmp_path):
    nvcc = _build.find_nvcc()
    if nvcc is None:
        pytest.skip('no nvcc')
    flags = ('-gencode', 'arch=compute_90,code=sm_90', '-Xptxas', '-v')
    done = subprocess.run(
        _build.nvcc_command(nvcc, name, tmp_path / 'kernels.o', *flags),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kernels = re.findall(
        r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, "
        r'(\d+) bytes spill loads.*?Used (\d+) registers',
        done.stderr,
        re.DOTALL,
    )
    assert len(kernels) == done.stderr.count('Compiling entry function') > 0
    for kernel, stores, loads, registers in kernels:
        assert (int(stores), int(loads)) == (0, 0), kernel
        most = next(n for part, n in MOST_REGISTERS.items() if re.search(part, kernel))
        assert int(registers) <= most, kernel
