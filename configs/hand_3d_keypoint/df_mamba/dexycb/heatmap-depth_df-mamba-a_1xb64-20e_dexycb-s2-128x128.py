# As s1, on split s2 (unseen views: cameras 6 and 7).
_base_ = ['heatmap-depth_df-mamba-a_1xb64-20e_dexycb-s1-128x128.py']

train_dataloader = dict(dataset=dict(setup='s2'))
val_dataloader = dict(dataset=dict(setup='s2'))
test_dataloader = dict(dataset=dict(setup='s2'))
