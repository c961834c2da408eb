# PoseMamba-S on Human3.6M with the recipe of the paper:
# Stacked-Hourglass 2D in MotionBERT's file.
_base_ = [
    '../../../_base_/schedules/lift_120e.py',
    '../../../_base_/datasets/h36m_motionbert_243frm.py',
    '../../../_base_/models/posemamba_s.py',
]

model = dict(head=dict(decoder={{_base_.val_codec}}))
