# As s1, on split s0 (unseen grasps: every fifth sequence).
_base_ = ['heatmap-depth_df-mamba-a_1xb64-20e_dexycb-s1-128x128.py']

train_dataloader = dict(dataset=dict(setup='s0'))
val_dataloader = dict(dataset=dict(setup='s0'))
test_dataloader = dict(dataset=dict(setup='s0'))
