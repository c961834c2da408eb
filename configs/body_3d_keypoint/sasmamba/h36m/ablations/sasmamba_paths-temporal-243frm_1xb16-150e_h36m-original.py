# Table 6: joint by joint, both ways.
_base_ = '../sasmamba-243frm_1xb16-150e_h36m-original.py'

model = dict(backbone=dict(scans=['temporal', 'temporal_back']))
