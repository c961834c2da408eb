# MMPose's ResNet-50 config with another backbone: heatmaps from the map at stride 32.
_base_ = [
    'mmpose::hand_2d_keypoint/topdown_heatmap/freihand2d/'
    'td-hm_res50_8xb64-100e_freihand2d-224x224.py'
]
custom_imports = dict(imports=['mmssm.registry'], allow_failed_imports=False)

model = dict(
    backbone=dict(_delete_=True, type='mmssm.VMamba', arch='tiny', out_indices=(3,)),
    head=dict(in_channels=768),
)
