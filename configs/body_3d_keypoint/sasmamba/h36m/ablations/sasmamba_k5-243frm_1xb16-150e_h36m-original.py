# Table 5: window of 5.
_base_ = '../sasmamba-243frm_1xb16-150e_h36m-original.py'

model = dict(backbone=dict(kernel_size=5))
