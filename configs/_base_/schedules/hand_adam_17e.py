# As 42 epochs, with the number that the paper gives for NYU.
_base_ = ['hand_adam_42e.py']

train_cfg = dict(max_epochs=17)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[10, 14], gamma=0.2, by_epoch=True)
]
