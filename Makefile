# Every target sets up what it needs first; see tools/setup_env.py --help.

PYTHON ?= python3
JOBS ?= 2
RUN = .venv/bin/python

.PHONY: env demo demo-hand test test-long lint docs docs-commands fuzz sanitize mutants \
	bench gpu-check benchmark-lifting benchmark-hands benchmark-hand-meshes full

env:
	@$(PYTHON) tools/setup_env.py

# Threads that spin while they wait make training ten times slower where another
# program wants a core too.
demo: env
	OMP_WAIT_POLICY=PASSIVE $(RUN) demo/lift_mocap.py --out work_dirs/demo

# Hand meshes, on pictures that are generated first.
demo-hand: env
	OMP_WAIT_POLICY=PASSIVE $(RUN) demo/train_hand_mesh.py --out work_dirs/demo-hand

# The workers already use the cores: one thread to each. Pages are tested in a real
# browser where there is one (Debian: apt-get install chromium).
test: env
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist loadfile --cov

lint: env
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

# The tests of minutes: kernels for CUDA on an emulator, the dry run of the GPU check.
test-long: env
	OMP_NUM_THREADS=1 $(RUN) -m pytest -m long

# The pages of docs/ as a site, work_dirs/docs/index.html; a warning is an error.
PIP = $(RUN) -m pip install -qq --disable-pip-version-check
docs: env
	@$(PIP) -c requirements/constraints.txt -r requirements/docs.txt
	OMP_NUM_THREADS=1 $(RUN) -m sphinx -W --keep-going -q -b html docs work_dirs/docs

# The proof of the scans in tests/ops, at length: new random cases at every call,
FUZZ_CASES ?= 5000
fuzz: env
	MMSSM_FUZZ_CASES=$(FUZZ_CASES) MMSSM_FUZZ_FIRST=$$(date +%s) OMP_NUM_THREADS=1 \
		$(RUN) -m pytest -q -n $(JOBS) tests/ops/test_fuzz.py

# kernels built with ASan and UBSan,
sanitize: env
	$(RUN) tests/proof/sanitize.py
	$(RUN) tests/proof/races.py

# and kernels that are wrong in one place, which a test must notice.
mutants: env
	$(RUN) tests/proof/mutants.py

# The scans beside plain PyTorch; rewrites their section of the docs. Ten minutes.
bench: env
	$(RUN) -m benchmarks.ops --docs docs/benchmarks.md

# What README and docs show and takes long, trainings cut short: half an hour. With
# MMSSM_DOCS_COMMANDS=full the full stack is compiled too.
docs-commands: env
	MMSSM_DOCS_COMMANDS=$${MMSSM_DOCS_COMMANDS:-1} OMP_NUM_THREADS=1 \
		$(RUN) -m pytest -q tests/docs

# The ops and models on a machine with an NVIDIA GPU, in the Python there; docs/gpu.md.
gpu-check:
	tools/gpu_check.sh

# PoseMamba and SasMamba beside MMPose's lifters over three folds, six minutes each:
# an hour and three quarters; called again, it goes on.
benchmark-lifting: env
	OMP_WAIT_POLICY=PASSIVE $(RUN) benchmarks/lifting/mocap_folds.py \
		--minutes 6 --out work_dirs/benchmark-lifting

# DF-Mamba, with and without deformable scan, beside ResNet-50 on generated hands,
# three seeds of 300 iterations each: one hour; called again, it goes on.
benchmark-hands: env
	OMP_WAIT_POLICY=PASSIVE $(RUN) benchmarks/models/synthhand.py \
		--out work_dirs/benchmark-hands

# Hamba's small head beside a plain MANO head on the same backbone, three seeds of
# 800 iterations each: three quarters of an hour; called again, it goes on.
benchmark-hand-meshes: env
	OMP_WAIT_POLICY=PASSIVE $(RUN) benchmarks/models/hand_mesh_synthhand.py \
		--out work_dirs/benchmark-hand-meshes

# The rest of OpenMMLab: mmcv compiled, mmdet; into .venv-full.
full:
	$(PYTHON) tools/setup_env.py --stack full
