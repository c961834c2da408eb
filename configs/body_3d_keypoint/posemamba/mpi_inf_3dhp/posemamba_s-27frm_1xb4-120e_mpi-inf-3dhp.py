# PoseMamba-S on MPI-INF-3DHP, clips of 27 frames (Table 3). The authors released
# neither code nor config for this set: the recipe is that of Human3.6M.
_base_ = [
    '../../../_base_/schedules/lift_120e.py',
    '../../../_base_/datasets/mpi_inf_3dhp_27frm.py',
    '../../../_base_/models/posemamba_s.py',
]

default_hooks = dict(checkpoint=dict(save_best='MPJPE'))
train_dataloader = dict(batch_size=4)

model = dict(backbone=dict(num_frames=27), head=dict(decoder={{_base_.val_codec}}))
