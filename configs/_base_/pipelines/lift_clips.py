# Steps that every pipeline over clips in MotionBERT's normalisation shares.
flip = dict(
    type='RandomFlipAroundRoot',
    keypoints_flip_cfg=dict(center_mode='static', center_x=0.0),
    target_flip_cfg=dict(center_mode='static', center_x=0.0),
    flip_label=True,
)
pack = dict(
    type='PackPoseInputs',
    # the keypoints are kept for the pictures
    meta_keys=(
        'id',
        'category_id',
        'target_img_path',
        'flip_indices',
        'factor',
        'camera_param',
        'keypoints',
        'keypoints_visible',
    ),
)
