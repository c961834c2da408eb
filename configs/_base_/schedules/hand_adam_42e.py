# As 20 epochs, with the numbers that the paper gives for InterHand2.6M and RHD.
_base_ = ['hand_adam_20e.py']

train_cfg = dict(max_epochs=42)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[24, 35], gamma=0.2, by_epoch=True)
]
