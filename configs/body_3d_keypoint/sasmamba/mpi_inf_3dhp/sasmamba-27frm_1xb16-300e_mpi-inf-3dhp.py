# SasMamba on MPI-INF-3DHP, clips of 27 frames, with optimizer, losses and number of
# epochs of the released code (the paper says AdamW, and gives no losses for this
# set).
_base_ = [
    '../../../_base_/schedules/lift_120e.py',
    '../../../_base_/datasets/mpi_inf_3dhp_27frm.py',
    '../../../_base_/models/sasmamba.py',
]

train_cfg = dict(max_epochs=300)
default_hooks = dict(checkpoint=dict(save_best='MPJPE'))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=5e-4, amsgrad=True))
train_dataloader = dict(batch_size=16)
auto_scale_lr = dict(base_batch_size=16)
randomness = dict(seed=1)

model = dict(
    backbone=dict(num_frames=27, in_channels=3),
    head=dict(
        loss=dict(mpjpe=1.0, n_mpjpe=0.5, temporal_consistency=0.0, weighted_mpjpe=0.0),
        decoder={{_base_.val_codec}},
    ),
)
