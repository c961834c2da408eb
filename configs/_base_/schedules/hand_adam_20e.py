# DF-Mamba's training: Adam, fp32, from scratch, no warm-up. The paper gives epochs,
# learning rate and weight decay (the last not for 20 epochs: taken over from 42); steps
# at 4/7 and 5/6 of the epochs to a fifth are those of A2J-Transformer's code.
_base_ = ['../default_runtime.py']

train_cfg = dict(max_epochs=20, val_interval=1)
optim_wrapper = dict(
    constructor='mmssm.MambaOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=5e-4, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[11, 17], gamma=0.2, by_epoch=True)
]
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(checkpoint=dict(save_best='MPJPE', rule='less', max_keep_ckpts=1))
