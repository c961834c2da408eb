# The released code has no config of this size: width and depth are the paper's
# Table 2, the recipe is that of the other sizes.
_base_ = './posemamba_s-243frm_1xb4-120e_h36m-gt.py'

model = dict(backbone=dict(arch='xlarge'), head=dict(in_channels=256))
