# Table 4, variant 4 of Figure 4, read as both back. The figure has one
# scan of each kind; which number is which direction is our reading.
_base_ = '../posemamba_s-243frm_1xb4-120e_h36m-original.py'

model = dict(backbone=dict(local_scan=False, scans=['spatial_back', 'temporal_back']))
