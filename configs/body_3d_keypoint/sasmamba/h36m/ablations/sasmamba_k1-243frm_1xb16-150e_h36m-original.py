# Table 5: window of 1 (no convolution, as in the released code).
_base_ = '../sasmamba-243frm_1xb16-150e_h36m-original.py'

model = dict(backbone=dict(kernel_size=1))
