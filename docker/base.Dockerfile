# CDP Bridge on any image with Python 3.11: no compiler, no package cache, a user without rights. See README.md.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG PACKAGES="cdp-bridge"
COPY wheels /wheels
RUN python3 -m venv /opt/cdp-bridge \
 && /opt/cdp-bridge/bin/pip install --no-cache-dir --no-index --find-links /wheels ${PACKAGES}

FROM ${BASE}
COPY --from=build /opt/cdp-bridge /opt/cdp-bridge
# The user has no name and needs none; the folder is where its state goes.
RUN mkdir /data && chown 65532:65532 /data
ENV PATH="/opt/cdp-bridge/bin:${PATH}" \
    HOME=/data \
    CDP_BRIDGE_STORE=sqlite:////data/cdp-bridge.db \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["cdp-bridge"]
CMD ["--help"]
