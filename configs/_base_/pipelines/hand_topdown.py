# What is done to a hand's image before a model sees it, without augmentation, and
# what goes along with it: the camera, which hand it is, the root joint.
hand_meta_keys = (
    'id',
    'img_id',
    'img_path',
    'dataset_name',
    'ori_shape',
    'img_shape',
    'input_size',
    'input_center',
    'input_scale',
    'flip',
    'flip_direction',
    'flip_indices',
    'hand_type',
    'hand_type_valid',
    'focal',
    'principal_pt',
    'root_index',
    'cube_center',
    'crop_mirrored',
)
hand_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=(256, 256)),
    dict(type='PackPoseInputs', meta_keys=hand_meta_keys),
]
depth_pipeline = [
    dict(type='mmssm.LoadDepthImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='mmssm.TopdownDepthAffine', input_size=(176, 176)),
    dict(type='mmssm.NormalizeDepth'),
    dict(
        type='PackPoseInputs',
        meta_keys=(*hand_meta_keys, 'cube_size'),
    ),
]
