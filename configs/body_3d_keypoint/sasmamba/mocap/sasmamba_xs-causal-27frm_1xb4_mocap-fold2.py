_base_ = ['sasmamba_xs-causal-27frm_1xb4_mocap-fold0.py']

train_dataloader = dict(dataset=dict(fold=2))
val_dataloader = dict(dataset=dict(fold=2))
test_dataloader = val_dataloader
