import json

from helpers.modules import load_script


def test_loaders_of_both_formats_and_training_are_timed(tmp_path, monkeypatch):
    script = load_script('benchmarks/lifting/loader_speed.py')
    monkeypatch.setattr(script, 'VIDEO_FRAMES', 1215)
    monkeypatch.setattr(script, 'training_clips_per_second', lambda *_: 2.0)
    arguments = ['--videos', '1', '--workers', '0', '--out', str(tmp_path)]
    script.main(arguments)
    results = json.loads((tmp_path / 'loader_speed.json').read_text())
    assert len(results) == 3 and min(results.values()) > 0
