# Table 4: a graph convolution and stride scan.
_base_ = '../sasmamba-243frm_1xb16-150e_h36m-original.py'

model = dict(backbone=dict(structure_conv='graph'))
