# Table 4: no convolution and PoseMamba's local-global scan.
_base_ = '../sasmamba-243frm_1xb16-150e_h36m-original.py'

model = dict(
    backbone=dict(
        structure_conv=None,
        local_order=[0, 0, 1, 2, 3, 0, 4, 5, 6, 8, 11, 12, 13, 8, 14, 15, 16],
    )
)
