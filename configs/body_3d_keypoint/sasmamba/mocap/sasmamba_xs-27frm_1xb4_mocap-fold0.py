# SasMamba in the place of the small PoseMamba: same data, recipe and about the same
# size.
_base_ = ['../../posemamba/mocap/posemamba_xs-27frm_1xb4_mocap-fold0.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmssm.SasMamba',
        embed_dims=36,
        depth=2,
        num_frames=27,
        num_joints=17,
        in_channels=3,
        d_state=4,
        drop_path_rate=0.0,
    ),
    head=dict(in_channels=36),
)
