"""Files that people who contribute and report meet first."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / '.github' / 'ISSUE_TEMPLATE').glob('*.yml'))

# a source distribution carries no hidden files
pytestmark = pytest.mark.skipif(
    not (ROOT / '.github').is_dir(), reason='only in a checkout'
)


def read(name: str):
    return yaml.safe_load((ROOT / name).read_text())


def lint_commands() -> list[str]:
    """The modules and arguments that `make lint` runs."""
    text = (ROOT / 'Makefile').read_text()
    recipe = re.search(r'^lint:.*\n((?:\t.*\n)+)', text, re.MULTILINE)
    return [line.strip().removeprefix('$(RUN) -m ') for line in recipe[1].splitlines()]


def test_pre_commit_runs_what_lint_runs() -> None:
    (repository,) = read('.pre-commit-config.yaml')['repos']
    hooks = {hook['entry'].partition(' -m ')[2] for hook in repository['hooks']}
    plain = {hook.removesuffix(' --force-exclude') for hook in hooks}
    # before a commit files are formatted, not only looked at
    assert plain == {c.removesuffix(' --check') for c in lint_commands()}
    for hook in repository['hooks']:
        assert hook['entry'].startswith('.venv/bin/python -m ')


def test_the_workflow_is_the_local_one() -> None:
    (job,) = read('.github/workflows/ci.yml')['jobs'].values()
    runs = [step['run'] for step in job['steps'] if 'run' in step]
    assert runs[-1] == '.ci/run'
    assert all('apt-get' in other for other in runs[:-1])
    assert (ROOT / '.ci' / 'run').stat().st_mode & 0o100


@pytest.mark.parametrize('path', TEMPLATES, ids=lambda path: path.stem)
def test_issue_templates(path: Path) -> None:
    template = yaml.safe_load(path.read_text())
    if path.stem == 'config':
        assert 'blank_issues_enabled' in template
        return
    assert template['name'] and template['description']
    ids = [part['id'] for part in template['body']]
    assert len(set(ids)) == len(ids) > 1
    for part in template['body']:
        assert part['type'] in {'input', 'textarea'}
        assert part['attributes']['label']
    if path.stem in ('bug', 'reproduction'):
        labels = [part['attributes']['label'] for part in template['body']]
        assert any('mmssm env' in label for label in labels)


def test_there_is_a_template_for_each_kind() -> None:
    kinds = {path.stem for path in TEMPLATES}
    assert kinds == {'bug', 'config', 'feature', 'reproduction'}


def test_the_image_is_for_a_cpu_unless_it_is_told() -> None:
    text = (ROOT / 'Dockerfile').read_text()
    assert 'ARG BASE=python:3.12-slim\nFROM ${BASE}\n' in text
    assert 'nvidia/cuda:' in text
    assert 'make env' in text
    assert not re.search(r'https?://', text)
    assert 'ENTRYPOINT ["mmssm"]' in text


def test_who_contributes_is_told_commands_that_exist() -> None:
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    targets = set(re.findall(r'^make ([a-z-]+)', text, re.MULTILINE))
    assert {'env', 'lint', 'test'} <= targets
    makefile = (ROOT / 'Makefile').read_text()
    for target in targets:
        assert re.search(rf'^{target}:', makefile, re.MULTILINE)
    for link in re.findall(r'\]\(([^)#:]+)\)', text):
        assert (ROOT / link).exists(), link


def test_how_to_cite() -> None:
    citation = read('CITATION.cff')
    assert citation['cff-version'] == '1.2.0'
    for key in ('message', 'title', 'authors', 'license', 'version', 'abstract'):
        assert citation[key]
    assert citation['license'] == 'Apache-2.0'
    papers = [entry['title'] for entry in citation['references']]
    assert len(papers) == 4
    for entry in citation['references']:
        assert entry['type'] == 'article' and entry['authors'] and entry['url']
