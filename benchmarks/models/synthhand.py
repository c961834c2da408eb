"""DF-Mamba beside ResNet-50 on generated hands: same framework, same iterations.

    python benchmarks/models/synthhand.py --out DIR [--iterations 300] [--data DATA]

Each backbone is trained in the same framework, on the same images, for the same
number of iterations and with three seeds, and tested on the evaluation images;
DF-Mamba with and without its deformable scan. Every run goes through
``tools/train.py`` and ``tools/test.py``. Without ``--data``, 2,000 training and 500
evaluation images are generated first. The results, with a predictor that learns
nothing, are written to ``DIR/synthhand.json`` and ``DIR/synthhand.md``. Called again
after it was stopped, it keeps the runs of ``DIR`` that ended.
"""

import sys
from pathlib import Path

# where a run by this file's path does not look
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks._synthhand import HandBenchmark

BENCHMARK = HandBenchmark(
    script='benchmarks/models/synthhand.py',
    title='Backbones on generated hands',
    explanation='Mean and standard deviation over the seeds; millimetres, percent for '
    'the AUC. Images a second: median and quartiles.',
    what='backbone',
    folder='configs/hand_3d_keypoint/df_mamba/synthhand',
    configs={
        'DF-Mamba a': 'heatmap-depth_df-mamba-a_1xb8_synthhand-128x128',
        'DF-Mamba a, without deformable scan': 'heatmap-depth_df-mamba-a-plain-scan_'
        '1xb8_synthhand-128x128',
        'ResNet-50': 'heatmap-depth_res50_1xb8_synthhand-128x128',
    },
    metrics={'MPJPE': 2, 'PA-MPJPE': 2, 'AUC_0-50': 1, 'AUC_20-50': 1},
    iterations=300,
)

if __name__ == '__main__':
    BENCHMARK.main(__doc__)
