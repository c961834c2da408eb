# Table 4, row 8: GSS blocks scan the joints in another order, drawn once.
_base_ = '../hamba_vit-h_2xb28-60k_mixture-256x256.py'

model = dict(head=dict(scan_order=(
    10, 19, 17, 14, 0, 18, 11, 2, 3, 9, 5, 7, 4, 20, 6, 15, 16, 8, 1, 13, 12,
)))  # fmt: skip
