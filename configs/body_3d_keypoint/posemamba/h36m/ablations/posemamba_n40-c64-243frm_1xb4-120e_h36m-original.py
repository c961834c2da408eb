# Table 6: 40 blocks (depth counts pairs) of width 64.
_base_ = '../posemamba_s-243frm_1xb4-120e_h36m-original.py'

model = dict(backbone=dict(arch=None, embed_dims=64, depth=20))
