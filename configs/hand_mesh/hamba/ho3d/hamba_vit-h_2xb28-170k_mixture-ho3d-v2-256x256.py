# The same on version 2.
_base_ = ['hamba_vit-h_2xb28-170k_mixture-ho3d-v3-256x256.py']

test_dataloader = dict(dataset=dict(data_root='data/ho3d/HO3D_v2/', version='v2'))
test_evaluator = dict(submission='ho3d_v2')
