# PoseMamba-S with the improved recipe and the exact gradient; not the paper's.
_base_ = [
    '../../../_base_/schedules/lift_ema_120e.py',
    '../../../_base_/datasets/h36m_sh_243frm.py',
    '../../../_base_/models/posemamba_s.py',
]

model = dict(backbone=dict(local_grad='full'), head=dict(decoder={{_base_.val_codec}}))
