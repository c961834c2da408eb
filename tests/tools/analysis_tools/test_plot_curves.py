import json

import pytest
from helpers.modules import load_script
from PIL import Image


@pytest.fixture
def tool():
    return load_script('tools/analysis_tools/plot_curves.py')


def write_run(folder, losses):
    path = folder / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    lines = [{'loss': loss, 'iter': i} for i, loss in enumerate(losses, start=1)]
    path.write_text('\n'.join(json.dumps(line) for line in lines))
    return path


def test_draws_the_runs_it_is_given(tool, tmp_path):
    write_run(tmp_path / 'a' / 'now', [2.0, 1.0])
    other = write_run(tmp_path / 'b', [3.0, 1.5])
    out = tmp_path / 'curves.png'
    tool.main([str(tmp_path / 'a'), str(other), '--out', str(out)])
    with Image.open(out) as picture:
        assert picture.size[0] > picture.size[1] > 100


def test_folder_without_a_log_is_refused(tool, tmp_path):
    with pytest.raises(SystemExit, match=r'scalars\.json'):
        tool.main([str(tmp_path), '--out', str(tmp_path / 'curves.png')])
