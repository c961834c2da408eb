# MMPose's InterNet config with another backbone: its three heads read the map at
# stride 32.
_base_ = [
    'mmpose::hand_3d_keypoint/internet/interhand3d/'
    'internet_res50_4xb16-20e_interhand3d-256x256.py'
]
custom_imports = dict(imports=['mmssm.registry'], allow_failed_imports=False)

model = dict(
    backbone=dict(_delete_=True, type='mmssm.VMamba', arch='tiny', out_indices=(3,)),
    head=dict(
        keypoint_head_cfg=dict(in_channels=768),
        root_head_cfg=dict(in_channels=768),
        hand_type_head_cfg=dict(in_channels=768),
    ),
)
