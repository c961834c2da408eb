_base_ = './sasmamba-243frm_1xb16-150e_h36m-motionbert.py'

model = dict(backbone=dict(arch='large'), head=dict(in_channels=128))
