"""DF-Mamba beside ResNet-50 on generated hands: same framework, same time.

    python benchmarks/models/synthhand.py --out DIR [--minutes 7] [--data DATA]

Each backbone is trained in the same framework, on the same images, for the same wall
time and with three seeds, its learning-rate schedule fitted to the iterations that a
few timed ones promise, and tested on the evaluation images. DF-Mamba is there with
and without its deformable scan. Every run goes through ``tools/train.py`` and
``tools/test.py``. Without ``--data``, 2,000 training and 500 evaluation images are
generated first. The results, with a predictor that learns nothing, are written to
``DIR/synthhand.json`` and ``DIR/synthhand.md``. Called again after it was stopped, it
keeps the runs of ``DIR`` that ended.
"""

import sys
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.evaluation.functional import hand

# where a run by this file's path does not look
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks._synthhand import HandBenchmark


def mean_hand(config: Config) -> dict[str, float]:
    """Errors of the mean hand of the training images, relative to the wrist."""
    means = {}
    for phase in ('train', 'val'):
        settings = {**config[f'{phase}_dataloader'].dataset, 'pipeline': []}
        with DefaultScope.overwrite_default_scope('mmpose'):
            dataset = DATASETS.build(settings)
        joints = np.concatenate(
            [dataset[i]['keypoints_cam'] for i in range(len(dataset))]
        ).astype(np.float64)
        root = dataset.metainfo['root_index']
        means[phase] = joints - joints[:, root : root + 1]
    truth = 1000 * means['val']
    pred = np.broadcast_to(1000 * means['train'].mean(0), truth.shape)
    errors = hand.joint_errors(pred, truth)
    aligned = hand.joint_errors(hand.official_align(pred, truth), truth)
    return {
        'MPJPE': hand.mean_of_joints(errors),
        'PA-MPJPE': hand.mean_of_joints(aligned),
        'AUC_0-50': 100 * hand.pck_auc(errors, 0, 50),
        'AUC_20-50': 100 * hand.pck_auc(errors, 20, 50),
    }


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
    trivial=('mean hand of the training', mean_hand),
)

if __name__ == '__main__':
    BENCHMARK.main(__doc__)
