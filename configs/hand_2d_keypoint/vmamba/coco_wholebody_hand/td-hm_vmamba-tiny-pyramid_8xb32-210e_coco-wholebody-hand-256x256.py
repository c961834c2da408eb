# MMPose's HRNetV2 config with another backbone: its neck brings all four maps to
# stride 4 and joins their 96 + 192 + 384 + 768 channels.
_base_ = [
    'mmpose::hand_2d_keypoint/topdown_heatmap/coco_wholebody_hand/'
    'td-hm_hrnetv2-w18_8xb32-210e_coco-wholebody-hand-256x256.py'
]
custom_imports = dict(imports=['mmssm.registry'], allow_failed_imports=False)

model = dict(
    backbone=dict(_delete_=True, type='mmssm.VMamba', arch='tiny'),
    head=dict(in_channels=1440),
)
