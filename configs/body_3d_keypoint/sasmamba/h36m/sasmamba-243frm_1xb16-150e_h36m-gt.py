# SasMamba on Human3.6M with the losses and schedule of the paper:
# ground-truth 2D.
_base_ = [
    '../../../_base_/schedules/lift_120e.py',
    '../../../_base_/datasets/h36m_gt_243frm.py',
    '../../../_base_/models/sasmamba.py',
]

# schedule of the paper
train_cfg = dict(max_epochs=150)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_dataloader = dict(batch_size=16)
auto_scale_lr = dict(base_batch_size=16)

model = dict(head=dict(decoder={{_base_.val_codec}}))
