# MMPose's RTMPose config with another backbone: SimCC from the map at stride 32.
_base_ = [
    'mmpose::hand_2d_keypoint/rtmpose/coco_wholebody_hand/'
    'rtmpose-m_8xb32-210e_coco-wholebody-hand-256x256.py'
]
custom_imports = dict(imports=['mmssm.registry'], allow_failed_imports=False)

model = dict(
    backbone=dict(_delete_=True, type='mmssm.VMamba', arch='tiny', out_indices=(3,)),
    head=dict(in_channels=768),
)
