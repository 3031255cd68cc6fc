# docker build -t regnetlab .
# docker run --rm -v "$PWD:/work" regnetlab run quick
# The image holds the package with its extras for clusters and PostgreSQL, a C compiler for its kernels, and
# Fashion-MNIST; studies and reports are in the folder that is mounted.
FROM python:3.13-slim

RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev dataset-fashion-mnist \
 && rm -rf /var/lib/apt/lists/*

COPY . /source
RUN pip install --no-cache-dir -c /source/constraints.txt "/source[cluster,postgres]" \
 && rm -rf /source \
 && useradd --create-home regnetlab

USER regnetlab
WORKDIR /work
ENTRYPOINT ["regnetlab"]
CMD ["--help"]
