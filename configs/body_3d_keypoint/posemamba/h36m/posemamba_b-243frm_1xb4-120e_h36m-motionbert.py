_base_ = './posemamba_s-243frm_1xb4-120e_h36m-motionbert.py'

model = dict(backbone=dict(arch='base'), head=dict(in_channels=128))
