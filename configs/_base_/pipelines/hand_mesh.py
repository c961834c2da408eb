# What is done to a hand's image before a mesh head sees it: the square crop of HaMeR
# and Hamba, without augmentation, left hands mirrored, and what goes along with it.
# Configs whose hand model is another than MANO inherit and change the codec.
hand_mesh_meta_keys = (
    'id',
    'img_id',
    'img_path',
    'dataset_name',
    'ori_shape',
    'img_shape',
    'input_size',
    'input_center',
    'input_scale',
    'bbox_rotation',
    'crop_mirrored',
    'hand_type',
    'focal',
    'principal_pt',
    'root_index',
)
