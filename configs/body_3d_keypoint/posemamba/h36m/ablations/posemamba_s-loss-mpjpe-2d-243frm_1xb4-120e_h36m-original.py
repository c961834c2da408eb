# Table 5: MPJPE and the 2D loss (N-MPJPE).
_base_ = '../posemamba_s-243frm_1xb4-120e_h36m-original.py'

model = dict(head=dict(loss=dict(velocity=0.0, temporal_consistency=0.0)))
