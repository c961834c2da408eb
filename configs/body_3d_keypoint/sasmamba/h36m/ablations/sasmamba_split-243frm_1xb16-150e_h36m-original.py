# The strides as the paper prints them: by channels, in all scans.
_base_ = '../sasmamba-243frm_1xb16-150e_h36m-original.py'

model = dict(backbone=dict(stride_mode='split', stride_grad='full'))
