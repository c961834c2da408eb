# Table 4: bidirectional, without the local order.
_base_ = '../posemamba_s-243frm_1xb4-120e_h36m-original.py'

model = dict(backbone=dict(local_scan=False))
