# MMPose's DSTFormer (MotionBERT) in the place of the small PoseMamba: same data and
# losses and about the same size. Its learning rate is lower, as attention wants.
_base_ = ['posemamba_xs-27frm_1xb4_mocap-fold0.py']

# optimizer: nothing here carries the marks of the state-space layers
optim_wrapper = dict(
    constructor='DefaultOptimWrapperConstructor', optimizer=dict(lr=1e-3)
)

model = dict(
    backbone=dict(
        _delete_=True,
        type='DSTFormer',
        in_channels=3,
        feat_size=44,
        depth=2,
        num_heads=4,
        mlp_ratio=2,
        num_keypoints=17,
        seq_len=27,
        att_fuse=True,
    ),
    head=dict(
        _delete_=True,
        type='MotionRegressionHead',
        in_channels=44,
        out_channels=3,
        embedding_size=44,
        loss={{_base_.model.head.loss}},
        decoder={{_base_.val_codec}},
    ),
)
