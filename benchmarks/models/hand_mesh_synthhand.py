"""Hamba's small head beside a plain MANO head on generated hands: same iterations.

    python benchmarks/models/hand_mesh_synthhand.py --out DIR [--data DATA]

Both heads stand on the same backbone, and are trained on the same images, with the
same losses and recipe, for the same number of iterations (``--iterations 800``) and
with three seeds, then tested on the evaluation images. Every run goes through
``tools/train.py`` and ``tools/test.py``. Without ``--data``, 2,000 training and 500
evaluation images are generated first. The results, with a predictor that learns
nothing, are written to ``DIR/hand_mesh_synthhand.json`` and
``DIR/hand_mesh_synthhand.md``. Called again after it was stopped, it keeps the runs of
``DIR`` that ended.
"""

import sys
from pathlib import Path

# where a run by this file's path does not look
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks._synthhand import HandBenchmark

BENCHMARK = HandBenchmark(
    script='benchmarks/models/hand_mesh_synthhand.py',
    title='Heads for hand meshes on generated hands',
    explanation='Mean and standard deviation over the seeds; millimetres, PA after the '
    'official alignment, MPJPE relative to the wrist; F-scores from 0 to 1. Images a '
    'second: median and quartiles.',
    what='head',
    folder='configs/hand_mesh/hamba/synthhand',
    configs={
        'HambaHead, small': 'hamba-small_res18_1xb16_synthhand-128x128',
        'MANOHead': 'mano-head_res18_1xb16_synthhand-128x128',
    },
    metrics={'PA-MPJPE': 2, 'PA-MPVPE': 2, 'F@5': 3, 'F@15': 3, 'MPJPE': 1},
    iterations=800,
)

if __name__ == '__main__':
    BENCHMARK.main(__doc__)
