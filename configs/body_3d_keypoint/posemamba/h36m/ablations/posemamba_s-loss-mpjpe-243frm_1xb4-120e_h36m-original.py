# Table 5: MPJPE alone.
_base_ = '../posemamba_s-243frm_1xb4-120e_h36m-original.py'

model = dict(head=dict(loss=dict(n_mpjpe=0.0, velocity=0.0, temporal_consistency=0.0)))
