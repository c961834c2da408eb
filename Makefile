# Every target sets up what it needs first; see tools/setup_env.py --help.

PYTHON ?= python3
JOBS ?= 2
RUN = .venv/bin/python

.PHONY: env demo test lint benchmark-lifting full

env:
	@$(PYTHON) tools/setup_env.py

# Threads that spin while they wait make training ten times slower where another
# program wants a core too.
demo: env
	OMP_WAIT_POLICY=PASSIVE $(RUN) demo/lift_mocap.py --out work_dirs/demo

# The workers already use the cores: one thread to each.
test: env
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist loadfile --cov

lint: env
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

# PoseMamba and SasMamba beside MMPose's lifters over three folds, six minutes each:
# an hour and a half.
benchmark-lifting: env
	OMP_WAIT_POLICY=PASSIVE $(RUN) benchmarks/lifting/mocap_folds.py \
		--minutes 6 --out work_dirs/benchmark-lifting

# The rest of OpenMMLab: mmcv compiled, mmdet; into .venv-full.
full:
	$(PYTHON) tools/setup_env.py --stack full
