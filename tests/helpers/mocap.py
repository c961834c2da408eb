"""Pipelines of a lifting config on the embedded motion data."""

CODEC = {'type': 'MotionBERTLabel', 'num_keypoints': 17, 'concat_vis': True}
TRAIN_CODEC = {**CODEC, 'mode': 'train'}
VAL_CODEC = {**CODEC, 'rootrel': True}

NOISE = {'type': 'mmssm.DetectorNoise'}
FLIP = {
    'type': 'RandomFlipAroundRoot',
    'keypoints_flip_cfg': {'center_mode': 'static', 'center_x': 0.0},
    'target_flip_cfg': {'center_mode': 'static', 'center_x': 0.0},
    'flip_label': True,
}
PACK = {
    'type': 'PackPoseInputs',
    'meta_keys': ('id', 'target_img_path', 'flip_indices', 'factor', 'camera_param'),
}

TRAIN_PIPELINE = [NOISE, {'type': 'GenerateTarget', 'encoder': TRAIN_CODEC}, FLIP, PACK]
VAL_PIPELINE = [NOISE, {'type': 'GenerateTarget', 'encoder': VAL_CODEC}, PACK]
