# The service alone: Postgres, PostgREST and NATS have their own images (docker-compose.yml) or run elsewhere.

# The minor version and the Debian release are fixed; a rebuild installs their security fixes.
FROM python:3.13-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/model-registry
WORKDIR /src

# A layer before the code, so that a change of code does not reinstall everything. All locked packages have wheels.
COPY requirements.lock ./
RUN /opt/model-registry/bin/pip install --require-hashes --only-binary :all: --requirement requirements.lock

# The build backend is in the lock too, so nothing is installed without a hash.
COPY pyproject.toml ./
COPY migrations migrations
COPY schema schema
COPY seeds seeds
COPY service service
RUN /opt/model-registry/bin/pip install --no-deps --no-build-isolation .

# The contents of the image, for scanners; `make sbom` writes the same bytes. Debian's packages are listed by the base image.
COPY scripts/write_sbom.py scripts/
RUN python scripts/write_sbom.py --output /opt/model-registry/share/sbom.cdx.json


FROM python:3.13-slim-trixie

# A fixed number, so that the owner of a mounted directory is known in advance. A named volume takes its owner
# from the image.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/model-registry --create-home model-registry
COPY --from=build /opt/model-registry /opt/model-registry
ENV PATH=/opt/model-registry/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MODEL_REGISTRY_CACHE_DIR=/var/lib/model-registry

USER model-registry
WORKDIR /var/lib/model-registry
EXPOSE 8110

# The image has no curl. A status of 400 or above raises an exception, and the exit code is 1.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8110/healthz', timeout=2)"]

CMD ["model-registry", "serve", "--host", "0.0.0.0"]
