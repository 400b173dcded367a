# One image a service: `docker build --build-arg SERVICE=upload-worker .`, or `make images` for all.
#
# From scratch, with Python, what it is linked with, and the code: no shell, no package manager, nothing that is written
# but /tmp. All images have the layer with Python and the libraries in common.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
WORKDIR /build
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python3 -m pip install --no-cache-dir --root-user-action ignore --no-compile --require-hashes --only-binary :all: \
      --target /opt/collect/lib -r requirements/runtime.txt
# Out with what is there to build against and to test, with Arrow's network protocol and file systems and the preset of
# Swagger UI, which nothing here uses; and with symbols: but not all libraries survive that, and numpy's do not.
RUN apt-get update -q && apt-get install -yq --no-install-recommends binutils \
 && cd /opt/collect/lib \
 && find . -type d -name tests -prune -exec rm -r {} + \
 && rm -rf bin numpy/distutils numpy/f2py pyarrow/include pyarrow/src pyarrow/*flight* pyarrow/libarrow_*.so pyarrow/*.so.*.0.0 \
      pyarrow/_pyarrow_cpp_tests* pyarrow/_dataset* pyarrow/_orc* pyarrow/_gcsfs* pyarrow/_s3fs* pyarrow/_azurefs* pyarrow/_hdfs* \
      pyarrow/_substrait* flask_openapi3_swagger/templates/swagger/js/swagger-ui-standalone-preset.js \
 && find . \( -name '*.pyi' -o -name '*.px[di]' -o -name '*.pyx' \) -delete \
 && find pyarrow obstore regex bson pymongo google charset_normalizer -name '*.so*' -exec strip --strip-unneeded {} + \
 && python3 -m compileall -q .
COPY scripts/image/ image/
RUN python3 image/rootfs.py /rootfs /opt/collect/lib \
 && cp -r --parents /opt/collect/lib /rootfs

FROM base AS code
RUN python3 -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt
COPY shared shared
RUN /venv/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels ./shared
ARG SERVICE
COPY services/${SERVICE} service
RUN /venv/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels ./service \
 && python3 -m pip install --no-cache-dir --root-user-action ignore --no-deps --target /opt/collect/app wheels/*.whl \
 && rm /opt/collect/app/bin/collect \
 && ln -s ${SERVICE} /opt/collect/app/bin/service

FROM scratch
COPY --from=base /rootfs /
ARG SERVICE
COPY --from=code /opt/collect/app /opt/collect/app
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="collect-jobs ${SERVICE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/collect/app/bin:/usr/local/bin:/usr/bin \
    PYTHONPATH=/opt/collect/app:/opt/collect/lib \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    HOME=/tmp \
    COLLECT_IMAGE=true \
    COLLECT_VERSION=${VERSION} \
    COLLECT_BIND=0.0.0.0:8080 \
    COLLECT_METRICS_PORT=8081 \
    MONITOR_HOST=0.0.0.0
USER 10001:10001
WORKDIR /tmp
CMD ["service"]
