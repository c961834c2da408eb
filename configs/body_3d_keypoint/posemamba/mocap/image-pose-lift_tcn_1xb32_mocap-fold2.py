_base_ = ['image-pose-lift_tcn_1xb32_mocap-fold0.py']

train_dataloader = dict(dataset=dict(fold=2))
val_dataloader = dict(dataset=dict(fold=2))
test_dataloader = val_dataloader
