# SasMamba with the improved recipe, the losses of the released code and the exact
# gradient; not the paper's.
_base_ = [
    '../../../_base_/schedules/lift_ema_120e.py',
    '../../../_base_/datasets/h36m_sh_243frm.py',
    '../../../_base_/models/sasmamba.py',
]

train_dataloader = dict(batch_size=16)
auto_scale_lr = dict(base_batch_size=16)

model = dict(
    backbone=dict(stride_grad='full'),
    head=dict(
        loss=dict(mpjpe=1.0, n_mpjpe=0.5, temporal_consistency=0.0, weighted_mpjpe=0.0),
        decoder={{_base_.val_codec}},
    ),
)
