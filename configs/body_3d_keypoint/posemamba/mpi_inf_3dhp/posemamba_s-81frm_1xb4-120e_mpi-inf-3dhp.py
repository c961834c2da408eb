# As with 27 frames, in clips of 81.
_base_ = [
    '../../../_base_/schedules/lift_120e.py',
    '../../../_base_/datasets/mpi_inf_3dhp_81frm.py',
    '../../../_base_/models/posemamba_s.py',
]

default_hooks = dict(checkpoint=dict(save_best='MPJPE'))
train_dataloader = dict(batch_size=4)

model = dict(backbone=dict(num_frames=81), head=dict(decoder={{_base_.val_codec}}))
