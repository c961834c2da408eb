# Hamba's head on VMamba-T, which sees the whole crop. Its cells are centred on every
# 32nd pixel from the border on, where convolutions of stride 2 put them.
_base_ = './hamba_vit-h.py'

model = dict(
    backbone=dict(_delete_=True, type='mmssm.VMamba', arch='tiny', out_indices=(3,)),
    crop_columns=None,
    head=dict(in_channels=768, feat_size=(8, 8), crop_columns=None, first_cell=0.0),
)
