_base_ = ['video-pose-lift_tcn-27frm_1xb32_mocap-fold0.py']

train_dataloader = dict(dataset=dict(fold=1))
val_dataloader = dict(dataset=dict(fold=1))
test_dataloader = val_dataloader
