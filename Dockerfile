# The service alone: Postgres, PostgREST and NATS are others' images (docker-compose.yml) or elsewhere.

# The minor version and the Debian release stand still; a rebuild takes their security fixes.
FROM python:3.13-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/model-registry
WORKDIR /src

# Apart from the code, so that a change of code does not install everything anew. All of the lock comes as wheels.
COPY requirements.lock ./
RUN /opt/model-registry/bin/pip install --require-hashes --only-binary :all: --requirement requirements.lock

# The build backend is in the lock too: nothing is installed here that has no hash.
COPY pyproject.toml ./
COPY migrations migrations
COPY schema schema
COPY seeds seeds
COPY service service
RUN /opt/model-registry/bin/pip install --no-deps --no-build-isolation .

# What is in the image, for scanners; `make sbom` writes the same bytes. Debian's packages are the base image's to list.
COPY scripts/write_sbom.py scripts/
RUN python scripts/write_sbom.py --output /opt/model-registry/share/sbom.cdx.json


FROM python:3.13-slim-trixie

# A fixed number, so that whoever owns a mounted directory can be said in advance. A named volume takes the
# directory's owner from the image.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/model-registry --create-home model-registry
COPY --from=build /opt/model-registry /opt/model-registry
ENV PATH=/opt/model-registry/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MODEL_REGISTRY_CACHE_DIR=/var/lib/model-registry

USER model-registry
WORKDIR /var/lib/model-registry
EXPOSE 8110

# The image has no curl. An answer of 400 and above raises, and the exit code is 1.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8110/healthz', timeout=2)"]

CMD ["model-registry", "serve", "--host", "0.0.0.0"]
