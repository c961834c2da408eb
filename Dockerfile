# mmssm with its compiled operators and MMPose.
#
#   docker build -t mmssm .
#   docker run --rm mmssm list --weights
#
# Files of yours, and a place that keeps the networks which find people in videos:
#
#   docker run --rm -v mmssm:/cache --entrypoint python mmssm \
#       -m mmssm.inputs fetch-mediapipe
#   docker run --rm -v mmssm:/cache -v "$PWD":/data -w /data \
#       mmssm lift video.mp4 --out lifted
#
# With CUDA (needs NVIDIA's container toolkit to run):
#
#   docker build -t mmssm:cuda \
#       --build-arg BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04 .
#   docker run --rm --gpus all mmssm:cuda env
#
# On a CPU, TORCH_INDEX_URL names an index of packages that has CPU builds of PyTorch;
# without it, the build that pip finds is taken, which is larger.
ARG BASE=python:3.12-slim
FROM ${BASE}

ARG TORCH_INDEX_URL=
ARG MMSSM_TORCH=cuda
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make git \
        $(python3 -m ensurepip --version > /dev/null 2>&1 \
            || echo python3-dev python3-venv) \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/mmssm
COPY . .
RUN TORCH_INDEX_URL="${TORCH_INDEX_URL}" MMSSM_TORCH="${MMSSM_TORCH}" make env
ENV PATH=/opt/mmssm/.venv/bin:${PATH} MMSSM_REQUIRE_NATIVE=1 XDG_CACHE_HOME=/cache

ENTRYPOINT ["mmssm"]
CMD ["--help"]
