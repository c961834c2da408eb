# MPI-INF-3DHP in clips of 81 frames; everything else as in those of 27.
_base_ = ['./mpi_inf_3dhp_27frm.py']

train_dataloader = dict(dataset=dict(seq_len=81))
val_dataloader = dict(dataset=dict(seq_len=81))
test_dataloader = val_dataloader
