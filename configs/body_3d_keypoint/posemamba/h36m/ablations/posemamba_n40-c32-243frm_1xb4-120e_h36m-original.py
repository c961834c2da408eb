# Table 6: 40 blocks (depth counts pairs) of width 32.
_base_ = '../posemamba_s-243frm_1xb4-120e_h36m-original.py'

model = dict(
    backbone=dict(arch=None, embed_dims=32, depth=20), head=dict(in_channels=32)
)
