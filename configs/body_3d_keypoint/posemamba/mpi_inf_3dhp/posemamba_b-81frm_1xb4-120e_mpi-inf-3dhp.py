_base_ = './posemamba_s-81frm_1xb4-120e_mpi-inf-3dhp.py'

model = dict(backbone=dict(arch='base'), head=dict(in_channels=128))
