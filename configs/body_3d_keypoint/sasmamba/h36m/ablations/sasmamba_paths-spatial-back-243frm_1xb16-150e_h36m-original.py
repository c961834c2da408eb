# Table 6: frame by frame, back.
_base_ = '../sasmamba-243frm_1xb16-150e_h36m-original.py'

model = dict(backbone=dict(scans=['spatial_back']))
