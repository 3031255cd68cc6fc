# docker build -t regnetlab .
# docker run --rm --user "$(id -u):$(id -g)" -e HOME=/tmp -v "$PWD:/work" regnetlab explore photos --minutes 60
# The image holds the package with its extras for clusters and PostgreSQL, a C compiler for its kernels, and
# Fashion-MNIST; studies and reports are in the folder that is mounted, and belong to the user who runs it.
# PyPI's torch brings CUDA, several GB. Without a GPU, take PyTorch's own index for CPUs beside PyPI:
#   docker build -t regnetlab --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu .
FROM python:3.13-slim-bookworm

RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev dataset-fashion-mnist \
 && rm -rf /var/lib/apt/lists/*

ARG PIP_EXTRA_INDEX_URL=
COPY . /source
RUN pip install --no-cache-dir -c /source/constraints.txt "/source[cluster,postgres]" \
 && rm -rf /source \
 && useradd --create-home regnetlab

USER regnetlab
WORKDIR /work
ENTRYPOINT ["regnetlab"]
CMD ["--help"]
